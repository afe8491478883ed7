//! I/O: the offerer's way from nothing to an authenticated friend.

use super::attempt;
use super::handshake::{Met, Terms, Unmet, meet};
use super::relayed::{self, HeadStart};
use super::{CODE_LIFETIME, Line, Session, credentials, no_address, random, sleep_until, step, unix_seconds};
use crate::call::Role;
use crate::call::ending::Ending;
use crate::call::event::{CallEvent, CallState, CodeEvent, CodeForm, CodeKind, Command, PathKind};
use crate::call::identity::Identity;
use crate::call::peer::RELAY_HOLD;
use crate::call::{Call, Input, state};
use crate::code::expiry::Expiry;
use crate::code::facts::{Fingerprint, Offer, Secret};
use crate::code::keys::CallKeys;
use crate::code::{OfferCode, ReplyCode, paste};
use crate::config::{CallConfig, VideoChoice};
use crate::error::{Exit, Failure};
use crate::nat::glance::{self, Waited};
use crate::transport::{AgentId, GATHER_DEADLINE, Gathered, LocalCandidate, OfferId, TransportEvent};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};

/// How often the NATs on this side are opened for a friend whose reply was entered.
const PUNCH_INTERVAL: Duration = Duration::from_millis(500);
/// A friend who can be reached is, so long after the reply: checks go out many times a second at both ends.
const NO_PATH_AFTER: Duration = Duration::from_secs(20);
const NO_PATH: &str = "The reply was entered, and still no path to your friend was found.";
/// How long the code waits for the relay to take the doorbell and the guest.
const REGISTRATION_DEADLINE: Duration = Duration::from_secs(1);

/// Makes a call: from gathering to its end.
pub async fn offer(config: &CallConfig, line: Line) -> Ending {
    line.emit(state(CallState::Gathering, None)).await;
    let mut line = line;
    loop {
        let session = match Session::open(config, line).await {
            Ok(session) => session,
            Err((line, failure)) => return line.end(Ending::Broken(failure)).await,
        };
        match wait_with_a_code(session).await {
            Outcome::Over(ending) => return ending,
            Outcome::Moved(same_line) => line = same_line,
        }
    }
}

/// How the waiting with one code ended.
enum Outcome {
    /// With the call.
    Over(Ending),
    /// The network is another one now: the code's addresses are dead.
    Moved(Line),
}

/// Why a code is of no use any more.
const NETWORK_CHANGED: &str = "The network changed: the code on the screen is dead.";
const RELAY_CHANGED: &str = "The relay had to give another address: the code on the screen is dead.";

/// The relayed addresses of a code: they may outlive those of the machine, and the other way round.
#[derive(Default)]
struct Relays {
    /// Those that still work.
    alive: Vec<LocalCandidate>,
    /// Those that were lost and are asked for anew: the same address is as good as ever.
    lost: Vec<LocalCandidate>,
    /// The code's other addresses are dead.
    alone: bool,
}

/// What a waiting offer holds.
struct Waiting {
    code: OfferCode,
    keys: CallKeys,
    terms: Terms,
    offer: OfferId,
    /// Where a reply says that the friend is.
    punch: Vec<SocketAddr>,
    /// When to say that the friend is not there.
    doubt: Option<Duration>,
    relays: Relays,
    head_start: HeadStart,
    handshakes: JoinSet<(AgentId, Result<Met, Unmet>)>,
    handles: HashMap<AgentId, AbortHandle>,
}

async fn wait_with_a_code(mut session: Session) -> Outcome {
    session.transport.set_probe(relayed::probe(random()));
    let gathered = tokio::select! {
        gathered = session.transport.gather(GATHER_DEADLINE) => gathered,
        () = hangup(&mut session.line.commands) => {
            let ending = Ending::HungUp { connected: false };
            return over(session, ending).await;
        }
    };
    session.gathered(&gathered).await;
    let waiting = match prepare(&mut session, &gathered) {
        Ok(waiting) => waiting,
        Err(failure) => return over(session, Ending::Broken(failure)).await,
    };
    if !session.transport.set_extras(&relayed::registration(&waiting.keys), REGISTRATION_DEADLINE).await {
        log::warn!("a relay is slow to take the doorbell and the guest of the code");
    }
    session.emit(CallEvent::Code(code_event(&waiting.code, &gathered.candidates))).await;
    session.emit(state(CallState::Waiting, None)).await;
    let mut life = session.life(Role::Offerer, CODE_LIFETIME, None);
    match ring(&mut session, &mut life, waiting).await {
        Rung::Met(met, others) => {
            session.transport.set_extras(&relayed::burnt(&others.keys), Duration::ZERO).await;
            drop(others);
            let (joined, first) = met.parts();
            Outcome::Over(Box::pin(session.converse(life, joined, first)).await)
        }
        Rung::Over(ending) => {
            session.transport.close().await;
            Outcome::Over(ending)
        }
        Rung::Moved(message) => {
            session.warn("network_changed", message, "A new code comes at once: share that one.").await;
            session.transport.close().await;
            Outcome::Moved(session.line)
        }
    }
}

async fn over(session: Session, ending: Ending) -> Outcome {
    let ending = session.line.end(ending).await;
    session.transport.close().await;
    Outcome::Over(ending)
}

/// Waits for a hang-up, and takes nothing else for one.
async fn hangup(commands: &mut tokio::sync::mpsc::Receiver<Command>) {
    loop {
        match commands.recv().await {
            Some(Command::Hangup) => return,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

/// Makes the code, and answers to it.
fn prepare(session: &mut Session, gathered: &Gathered) -> Result<Waiting, Failure> {
    let identity = Identity::generate().map_err(|error| {
        Failure::new(Exit::Failure, "no_certificate", format!("No certificate could be made: {error}."), "")
    })?;
    let relay_of = |one: &LocalCandidate| session.transport.relay(one.relay?.link);
    let told = relayed::tell(&gathered.candidates, false, relay_of);
    if told.items.is_empty() {
        return Err(no_address(&session.config, gathered));
    }
    let fingerprint = Fingerprint::of(&identity.fingerprint(), false);
    let ours = glance::ours(gathered, &session.config.network, Waited::Long);
    let network = ours.network;
    session.offered(ours);
    let code = OfferCode::new(Offer {
        fingerprint,
        secret: Secret(random()),
        expiry: Expiry::at(unix_seconds() + CODE_LIFETIME.as_secs()),
        network,
        wants_video: session.config.media.video != VideoChoice::None,
        open_relay: told.open_relay,
        items: told.items,
    })
    .map_err(|error| {
        Failure::new(Exit::Failure, "no_code", format!("No code could be made: {error}."), "")
    })?;
    let keys = code.keys();
    let offer = session.transport.serve(&credentials(&keys.offer_ice));
    let terms = Terms {
        role: Role::Offerer,
        identity,
        keys: keys.clone(),
        fingerprint: None,
        video_codecs: crate::media::video_codecs(),
        sent: super::sent_streams()?,
        direct: false,
        started: session.line.started,
    };
    let relayed = gathered.candidates.iter().filter(|candidate| candidate.kind == PathKind::Relay);
    let relays = Relays { alive: relayed.copied().collect(), ..Relays::default() };
    Ok(Waiting {
        code,
        keys,
        terms,
        offer,
        punch: Vec::new(),
        doubt: None,
        relays,
        head_start: HeadStart::default(),
        handshakes: JoinSet::new(),
        handles: HashMap::new(),
    })
}

fn code_event(code: &OfferCode, candidates: &[crate::transport::LocalCandidate]) -> CodeEvent {
    let text = code.text();
    // A host with a public address needs no reply from anywhere, unless a firewall stands before it.
    let public = candidates.iter().any(|candidate| {
        candidate.kind == PathKind::Host && crate::transport::interfaces::is_public(candidate.address.ip())
    });
    // And our relay lets the friend in.
    let surely = public || code.offer().open_relay;
    CodeEvent {
        kind: CodeKind::Offer,
        form: CodeForm::P2p,
        chars: text.chars().count(),
        code: text,
        reply_needed: surely.then_some(false),
        expires_in: CODE_LIFETIME.as_secs(),
    }
}

/// How the ringing ended.
enum Rung {
    Met(Box<Met>, Box<Waiting>),
    Over(Ending),
    Moved(&'static str),
}

async fn ring(session: &mut Session, life: &mut Call, mut waiting: Waiting) -> Rung {
    let mut punches = tokio::time::interval(PUNCH_INTERVAL);
    let mut telling = attempt::ticks();
    loop {
        life.explain(session.explanation());
        let effects = tokio::select! {
            Some(event) = session.transport_events.recv() => match heard(session, &mut waiting, event).await {
                None => Vec::new(),
                Some(why) => return Rung::Moved(why),
            },
            Some(done) = waiting.handshakes.join_next() => {
                let Some(met) = finished(&mut waiting, done) else { continue };
                for stranger in session.transport.burn(met.agent.id()) {
                    if let Some(handle) = waiting.handles.remove(&stranger) {
                        handle.abort();
                    }
                }
                return Rung::Met(Box::new(met), Box::new(waiting));
            }
            command = session.line.commands.recv() => match command {
                Some(Command::Paste(text)) => {
                    pasted(session, &mut waiting, &text).await;
                    Vec::new()
                }
                Some(command) => step(life, &session.line, Input::Told(command)),
                None => step(life, &session.line, Input::Told(Command::Hangup)),
            },
            _ = punches.tick(), if !waiting.punch.is_empty() => {
                waiting.punch(session);
                continue;
            }
            _ = telling.tick() => {
                session.attempt_goes_on().await;
                continue;
            }
            () = sleep_until(session.line.started, waiting.doubt) => {
                waiting.doubt = None;
                session.warn_of_no_path(NO_PATH).await;
                continue;
            }
            () = sleep_until(session.line.started, life.poll_timeout()) => {
                step(life, &session.line, Input::Tick)
            }
        };
        if let Some(ending) = session.carry_out_alone(effects).await {
            session.transport.withdraw(waiting.offer);
            return Rung::Over(ending);
        }
    }
}

/// Takes a transport event; says why the code is dead, when it is.
async fn heard(session: &mut Session, waiting: &mut Waiting, event: TransportEvent) -> Option<&'static str> {
    match event {
        TransportEvent::Ring { agent, from, relayed, remote, .. } => {
            if let Some(attached) = session.transport.attach(agent) {
                let mut terms = waiting.terms.clone();
                terms.keys.answer_ice.ufrag = remote;
                let mut hold = waiting.head_start.left(session.now(), RELAY_HOLD);
                // Who rings first from the relay itself has given direct paths their head start, or has none; but for
                // a relay on this very machine, whose address is everybody's here.
                let from_relay = waiting.relays.alive.iter().any(|relay| relay.address.ip() == from.ip());
                if relayed && from_relay && !session.is_own(from.ip()) {
                    hold = Duration::ZERO;
                }
                let meeting = async move { (agent, meet(terms, attached, Vec::new(), hold, || ()).await) };
                let handle = waiting.handshakes.spawn(meeting);
                waiting.handles.insert(agent, handle);
            }
        }
        TransportEvent::Evicted { agent } => {
            if let Some(handle) = waiting.handles.remove(&agent) {
                handle.abort();
            }
        }
        TransportEvent::ServerFailed(failure) => session.server_failed(failure).await,
        TransportEvent::CandidateLearnt(candidate) => {
            session.path.own.push(super::told(&candidate));
            return waiting.relays.learn(&candidate);
        }
        TransportEvent::CandidateLost(candidate) => {
            session.path.own.retain(|own| own.address != candidate.address);
            return waiting.relays.lose(|relay| relay.address == candidate.address);
        }
        TransportEvent::MappingChanged { .. } => return waiting.relays.remain(),
        TransportEvent::InterfacesChanged { gone } => {
            let left_from = |relay: &LocalCandidate| relay.relay.and_then(|path| path.from);
            let dead = waiting.relays.lose(|relay| left_from(relay).is_some_and(|from| gone.contains(&from)));
            return dead.or_else(|| waiting.relays.remain());
        }
        TransportEvent::Refused { .. } | TransportEvent::PortClosed { .. } => {}
    }
    None
}

impl Waiting {
    /// Opens the NATs of this side for a friend whose reply was entered. A friend whom nothing hides learns from it
    /// where we are, which is not what our code says if our NAT shows each peer another port.
    fn punch(&self, session: &Session) {
        let (own, friend) = (&self.keys.offer_ice, &self.keys.answer_ice);
        session.transport.knock(&self.punch, &own.ufrag, &credentials(friend));
    }
}

impl Relays {
    /// Some were lost. Those that are left, or the machine's own addresses, keep the code alive.
    fn lose(&mut self, lost: impl Fn(&LocalCandidate) -> bool) -> Option<&'static str> {
        self.lost.extend(self.alive.extract_if(.., |relay| lost(relay)));
        (self.alone && self.alive.is_empty()).then_some(NETWORK_CHANGED)
    }

    /// A relayed address came. Our own relay gives back the one that was lost with it; any other is in no code.
    fn learn(&mut self, candidate: &LocalCandidate) -> Option<&'static str> {
        let known = self.lost.iter().position(|one| one.address == candidate.address);
        self.alive.extend(known.map(|index| self.lost.swap_remove(index)));
        let other = candidate.kind == PathKind::Relay && known.is_none();
        (other && !self.lost.is_empty()).then_some(RELAY_CHANGED)
    }

    /// All other addresses were lost.
    fn remain(&mut self) -> Option<&'static str> {
        self.alone = true;
        self.alive.is_empty().then_some(NETWORK_CHANGED)
    }
}

fn finished(
    waiting: &mut Waiting,
    done: Result<(AgentId, Result<Met, Unmet>), tokio::task::JoinError>,
) -> Option<Met> {
    match done {
        Ok((_, Ok(met))) => Some(met),
        Ok((agent, Err(error))) => {
            waiting.handles.remove(&agent);
            log::info!("somebody rang and was not let in: {error}");
            None
        }
        Err(error) if error.is_cancelled() => None,
        Err(error) => {
            log::error!("a handshake broke: {error}");
            None
        }
    }
}

/// A text was pasted: the reply to this call, or a mistake.
async fn pasted(session: &mut Session, waiting: &mut Waiting, text: &str) {
    match paste::read_reply(text, &waiting.code, &waiting.keys) {
        Ok(reply) => {
            session.reply_entered(reply.reply());
            waiting.punch = addresses(&reply);
            let others = session.transport.other_ways(&waiting.punch).await;
            waiting.punch.extend(others);
            waiting.punch(session);
            session.attempt_goes_on().await;
            waiting.doubt = Some(session.now() + NO_PATH_AFTER);
            session.emit(state(CallState::Connecting, None)).await;
        }
        Err(wrong) => session.warn("bad_code", wrong.to_string(), "").await,
    }
}

fn addresses(reply: &ReplyCode) -> Vec<SocketAddr> {
    super::answer::literal_addresses(&reply.reply().items)
}
