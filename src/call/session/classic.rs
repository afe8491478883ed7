//! I/O: the classic exchange, `--sdp`: two complete session descriptions, carried by hand, with any WebRTC
//! endpoint. There is no secret: who carries the descriptions vouches for them, and the stack compares the
//! certificates with the fingerprints in them.

use super::converse::{First, Joined};
use super::handshake::ports_of;
use super::{CODE_LIFETIME, Line, Session, items_of, no_address, random, sleep_until, step};
use crate::call::ending::Ending;
use crate::call::event::{CallEvent, CallState, CodeEvent, CodeForm, CodeKind, Command};
use crate::call::identity::Identity;
use crate::call::peer::{
    self, Agreement, IceCredentials, Peer, PeerConfig, PeerEvent, PeerStreams, RELAY_HOLD, SentStreams,
};
use crate::call::{Call, Effect, Input, Role, state};
use crate::code::paste;
use crate::code::sdp::{Sdp, SdpKind};
use crate::config::CallConfig;
use crate::error::{Exit, Failure};
use crate::transport::{Agent, Credentials, GATHER_DEADLINE, Port};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use std::sync::Arc;

/// Makes a call by a whole session description.
pub async fn offer(config: &CallConfig, line: Line) -> Ending {
    run(config, None, line).await
}

/// Joins a call by the whole session description of the other end.
pub async fn answer(config: &CallConfig, offer: Sdp, line: Line) -> Ending {
    run(config, Some(offer), line).await
}

async fn run(config: &CallConfig, offer: Option<Sdp>, line: Line) -> Ending {
    line.emit(state(CallState::Gathering, None)).await;
    let mut session = match Session::open(config, line).await {
        Ok(session) => session,
        Err((line, failure)) => return line.end(Ending::Broken(failure)).await,
    };
    let role = if offer.is_some() { Role::Answerer } else { Role::Offerer };
    let mut end = match describe(&mut session, offer).await {
        Ok(end) => end,
        Err(failure) => {
            let ending = session.line.end(Ending::Broken(failure)).await;
            session.transport.close().await;
            return ending;
        }
    };
    let mut life = session.life(role, CODE_LIFETIME, None);
    match wait(&mut session, &mut life, &mut end).await {
        Ok(agreement) => {
            let End { agent, ports, peer, streams, .. } = end;
            let joined = Joined { _agent: agent, ports, peer: Arc::new(peer), streams };
            Box::pin(session.converse(life, joined, First::Agreed(agreement))).await
        }
        Err(ending) => {
            end.peer.close().await;
            session.transport.close().await;
            ending
        }
    }
}

/// This end, described.
struct End {
    agent: Agent,
    ports: Vec<Port>,
    peer: Peer,
    streams: PeerStreams,
    /// The answerer's, at once; the offerer's when the answer came.
    agreement: Option<Agreement>,
}

async fn describe(session: &mut Session, offer: Option<Sdp>) -> Result<End, Failure> {
    let gathered = session.transport.gather(GATHER_DEADLINE).await;
    session.gathered(&gathered).await;
    if session.config.network.relay_only && gathered.candidates.is_empty() {
        return Err(no_address(&session.config, &gathered));
    }
    let local = fresh_credentials();
    let agent =
        session.transport.call(&Credentials { ufrag: local.ufrag.clone(), pwd: local.pwd.clone() }, None);
    let ports = agent.ports();
    let identity = Identity::generate().map_err(|error| broken(&error.to_string()))?;
    let config = PeerConfig {
        identity,
        local,
        ports: ports_of(&ports),
        relay_hold: RELAY_HOLD,
        video_codecs: crate::media::video_codecs(),
        sent: SentStreams::new().map_err(|error| broken(&error.to_string()))?,
        verify_fingerprint: true,
        started: session.line.started,
    };
    let (peer, streams) = Peer::open(config).await.map_err(|error| broken(&error.to_string()))?;
    let candidates: Vec<peer::Candidate> = items_of(&gathered.candidates);
    let (kind, sdp, agreement) = match offer {
        None => {
            let sdp = peer.classic_offer(&candidates).await.map_err(|error| broken(&error.to_string()))?;
            (SdpKind::Offer, sdp, None)
        }
        Some(offer) => {
            let answered = peer.classic_answer(&offer.sdp, &candidates).await;
            let (sdp, agreement) = answered.map_err(|error| unusable(&error.to_string()))?;
            (SdpKind::Answer, sdp, Some(agreement))
        }
    };
    session.emit(CallEvent::Code(code_event(&Sdp { kind, sdp }))).await;
    session.emit(state(CallState::Waiting, None)).await;
    Ok(End { agent, ports, peer, streams, agreement })
}

/// Waits for the other end's description, where it is still to come, and for the connection.
async fn wait(session: &mut Session, life: &mut Call, end: &mut End) -> Result<Agreement, Ending> {
    loop {
        let effects = tokio::select! {
            event = end.streams.events.recv() => match (event, end.agreement) {
                (Some(PeerEvent::Connected), Some(agreement)) => return Ok(agreement),
                (Some(PeerEvent::Failed) | None, _) => step(life, &session.line, Input::Broke(no_path())),
                _ => Vec::new(),
            },
            Some(_) = session.transport_events.recv() => Vec::new(),
            command = session.line.commands.recv() => match command {
                Some(Command::Paste(text)) => pasted(session, end, &text).await,
                Some(command) => step(life, &session.line, Input::Told(command)),
                None => step(life, &session.line, Input::Told(Command::Hangup)),
            },
            () = sleep_until(session.line.started, life.poll_timeout()) => {
                step(life, &session.line, Input::Tick)
            }
        };
        if let Some(ending) = session.carry_out_alone(effects).await {
            return Err(ending);
        }
    }
}

/// A text was pasted: the other end's description, or a mistake.
async fn pasted(session: &Session, end: &mut End, text: &str) -> Vec<Effect> {
    if end.agreement.is_some() {
        session.warn("bad_code", "The descriptions are exchanged already.", "Wait for the connection.").await;
        return Vec::new();
    }
    match paste::read_sdp_answer(text) {
        Ok(answer) => match end.peer.classic_accept(&answer.sdp).await {
            Ok(agreement) => {
                end.agreement = Some(agreement);
                session.emit(state(CallState::Connecting, None)).await;
            }
            Err(error) => {
                let failure = unusable(&error.to_string());
                session.warn("bad_code", failure.message, failure.help).await;
            }
        },
        Err(wrong) => session.warn("bad_code", wrong.to_string(), "").await,
    }
    Vec::new()
}

fn code_event(sdp: &Sdp) -> CodeEvent {
    let code = sdp.to_json_line();
    CodeEvent {
        kind: if sdp.kind == SdpKind::Offer { CodeKind::Offer } else { CodeKind::Answer },
        form: CodeForm::Sdp,
        chars: code.chars().count(),
        code,
        reply_needed: Some(true),
        expires_in: CODE_LIFETIME.as_secs(),
    }
}

/// RFC 8445 §5.3 asks for 24 bits of ufrag and 128 of pwd.
fn fresh_credentials() -> IceCredentials {
    IceCredentials {
        ufrag: STANDARD_NO_PAD.encode(random::<6>()),
        pwd: STANDARD_NO_PAD.encode(random::<18>()),
    }
}

fn broken(error: &str) -> Failure {
    Failure::new(
        Exit::Failure,
        "no_description",
        format!("No session description could be made: {error}."),
        "",
    )
}

fn unusable(error: &str) -> Failure {
    let message = format!("The session description can't be used: {error}.");
    Failure::new(
        Exit::Usage,
        "bad_code",
        message,
        "Copy it whole, after gathering is complete on the other end.",
    )
}

fn no_path() -> Failure {
    let message = "No path to the other end was found.";
    Failure::new(Exit::NoConnection, "no_path", message, "A relay on either side helps: see --relay.")
}
