//! I/O: the answerer's way from a code to an authenticated friend.

use super::attempt;
use super::handshake::{Met, Terms, Unmet, meet};
use super::meeting::name;
use super::relayed;
use super::{CODE_LIFETIME, Line, Session, credentials, no_address, sleep_until, step, unix_seconds};
use crate::call::ending::Ending;
use crate::call::event::{CallEvent, CallState, CodeEvent, CodeForm, CodeKind, Command, PathKind};
use crate::call::identity::Identity;
use crate::call::peer::RELAY_HOLD;
use crate::call::{ANSWER_TIMEOUT, Call, Effect, Input, Role, state};
use crate::code::facts::{Host, Item, Reply};
use crate::code::network::Shown;
use crate::code::{OfferCode, ReplyCode};
use crate::config::{CallConfig, VideoChoice};
use crate::error::{Exit, Failure};
use crate::nat::explain;
use crate::nat::glance::Waited;
use crate::transport::{GATHER_DEADLINE, Gathered, GuestAccess, ServerName, TransportEvent};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Ringing does not wait for a relay: a direct path needs none. When so much of a direct path's head start is over
/// and it was not found, the relay is rung from; that takes a few milliseconds more.
const RELAY_JOINS_AFTER: Duration = RELAY_HOLD.saturating_sub(Duration::from_millis(50));
/// Who has nothing but the friend's relay waits for so long to be let in: the relay may have been started again, and
/// knows the code when the friend has been there.
const GUEST_PATIENCE: Duration = Duration::from_secs(5);
/// How often that is looked for.
const GUEST_INTERVAL: Duration = Duration::from_millis(100);
/// Ringing does not wait longer than this for DNS.
const NAME_PATIENCE: Duration = Duration::from_secs(1);
/// A reply that is entered at once leads to a path in this time, if there is any.
const NO_PATH_AFTER: Duration = Duration::from_secs(25);
const NO_PATH: &str = "Still no path to your friend was found.";
/// A handshake that broke begins anew after so long.
const RETRY_PAUSE: Duration = Duration::from_millis(300);

/// Joins a call: from its code to its end.
pub async fn answer(config: &CallConfig, code: OfferCode, line: Line) -> Ending {
    line.emit(state(CallState::Gathering, None)).await;
    let session = match Session::open(config, line).await {
        Ok(session) => session,
        Err((line, failure)) => return line.end(Ending::Broken(failure)).await,
    };
    let (expiry, now) = (code.offer().expiry, unix_seconds());
    if let Some(remark) = expiry.remark(now) {
        let message = format!("This code {remark}: trying.");
        session.warn("code_expired", message, "If nobody is there, ask for a new code.").await;
    } else if let Some(remark) = expiry.early_remark(now, CODE_LIFETIME.as_secs()) {
        let message = format!("This code {remark}: trying.");
        session.warn("clock_wrong", message, "Nothing to do: the call does not depend on it.").await;
    }
    match ring_and_converse(session, code).await {
        Ok(ending) | Err(ending) => ending,
    }
}

/// What an answerer rings with.
struct Ringing {
    code: OfferCode,
    terms: Terms,
    candidates: Vec<SocketAddr>,
    handshake: JoinSet<Result<Met, Unmet>>,
    /// The handshake has found a way to the friend.
    path_found: Arc<AtomicBool>,
    /// When it first rang.
    began: Option<Duration>,
    /// When to ring anew, with a relay that came meanwhile.
    anew: Option<Duration>,
    /// When to say why there is no path, though a reply was shown.
    doubt: Option<Duration>,
    /// The friend's relays, for when our own are of no use.
    visits: Vec<GuestAccess>,
    /// The friend may have been given the reply code, and knocks at the name that the code gives us.
    replied: bool,
}

async fn ring_and_converse(mut session: Session, code: OfferCode) -> Result<Ending, Ending> {
    let mut ringing = match prepare(&mut session, code).await {
        Ok(ringing) => ringing,
        Err(failure) => {
            let ending = session.line.end(Ending::Broken(failure)).await;
            session.transport.close().await;
            return Err(ending);
        }
    };
    let left = ringing.code.offer().expiry.seconds_left(unix_seconds());
    // A clock may be wrong: the offerer decides whether the code has expired.
    let left = u64::try_from(left).ok().filter(|left| *left > 0).map_or(CODE_LIFETIME, Duration::from_secs);
    let mut life = session.life(Role::Answerer, ANSWER_TIMEOUT, Some(left.min(CODE_LIFETIME)));
    session.emit(state(CallState::Connecting, None)).await;
    session.trying.since = Some(session.now());
    ringing.start(&session);
    match ring(&mut session, &mut life, &mut ringing).await {
        Ok(met) => {
            let (joined, first) = met.parts();
            Ok(Box::pin(session.converse(life, joined, first)).await)
        }
        Err(ending) => {
            session.transport.close().await;
            Err(ending)
        }
    }
}

async fn prepare(session: &mut Session, code: OfferCode) -> Result<Ringing, Failure> {
    let identity = Identity::generate().map_err(|error| {
        Failure::new(Exit::Failure, "no_certificate", format!("No certificate could be made: {error}."), "")
    })?;
    let keys = code.keys();
    let network = &session.config.network;
    let mut visits = if network.no_servers { Vec::new() } else { relayed::visits(code.offer(), &keys) };
    session.transport.set_remote_relays(relayed::relayed(code.offer()));
    let gathered = gather(session, &mut visits).await;
    session.expect(&gathered, code.offer(), Waited::Briefly).await;
    if session.config.network.relay_only && gathered.candidates.is_empty() {
        return Err(no_address(&session.config, &gathered));
    }
    let no_servers = session.config.network.no_servers;
    let mut candidates = resolve(&code.offer().items, no_servers).await;
    if !no_servers {
        let others = session.transport.other_ways(&candidates).await;
        candidates.extend(others);
    }
    if candidates.is_empty() {
        let message = "This code names no address that can be reached from here.";
        return Err(Failure::new(Exit::NoConnection, "no_address", message, "Ask for a new code."));
    }
    session.trying.remotes = attempt::candidates(&code.offer().items);
    let terms = Terms {
        role: Role::Answerer,
        identity,
        keys,
        fingerprint: Some(code.offer().fingerprint),
        video_codecs: crate::media::video_codecs(),
        sent: super::sent_streams()?,
        direct: false,
        started: session.line.started,
    };
    Ok(Ringing {
        code,
        terms,
        candidates,
        handshake: JoinSet::new(),
        path_found: Arc::default(),
        began: None,
        anew: None,
        doubt: None,
        visits,
        replied: false,
    })
}

/// Where to ring from, as far as ringing has to wait for it: without a relay there is nowhere where relays alone are
/// allowed. The friend's is used where there is none of our own, or none that works.
async fn gather(session: &mut Session, visits: &mut Vec<GuestAccess>) -> Gathered {
    let own_relays = !session.config.network.relays.is_empty();
    let mut visiting = !own_relays && visit(session, visits);
    if !session.config.network.relay_only {
        let gathered = session.transport.gather(Duration::ZERO).await;
        session.glanced(&gathered).await;
        return gathered;
    }
    let mut gathered = session.transport.gather(GATHER_DEADLINE).await;
    session.gathered(&gathered).await;
    if gathered.candidates.is_empty() {
        visiting |= visit(session, visits);
    }
    let patience_ends = session.now() + GUEST_PATIENCE;
    while visiting && gathered.candidates.is_empty() && session.now() < patience_ends {
        tokio::time::sleep(GUEST_INTERVAL).await;
        gathered = session.transport.gather(Duration::ZERO).await;
        session.gathered(&gathered).await;
    }
    gathered
}

/// Logs in at the friend's relays, once; `false` if there are none, or it was done.
fn visit(session: &Session, visits: &mut Vec<GuestAccess>) -> bool {
    let any = !visits.is_empty();
    visits.drain(..).for_each(|access| session.transport.visit(&access));
    any
}

impl Ringing {
    /// Rings, from the ports there are now, and by a name of its own: were it the one of the ring before, the friend's
    /// answers to that would be taken for answers to this one, and the handshake be torn between the two.
    fn start(&mut self, session: &Session) {
        let mut terms = self.terms.clone();
        if !self.replied {
            terms.keys.answer_ice.ufrag = name();
        }
        let keys = &terms.keys;
        let agent =
            session.transport.call(&credentials(&keys.answer_ice), Some(&credentials(&keys.offer_ice)));
        self.path_found = Arc::default();
        let found = Arc::clone(&self.path_found);
        let path_found = move || found.store(true, Ordering::Relaxed);
        let now = session.now();
        let hold = RELAY_HOLD.saturating_sub(now.saturating_sub(*self.began.get_or_insert(now)));
        self.anew = None;
        self.handshake.spawn(meet(terms, agent, self.candidates.clone(), hold, path_found));
    }

    /// Rings anew, with the relay among the ports, which are fixed once. Not while somebody is there: the code may be
    /// burnt by this very handshake.
    fn start_anew(&mut self, session: &Session) {
        self.anew = None;
        if !self.path_found.load(Ordering::Relaxed) {
            self.handshake.abort_all();
            self.start(session);
        }
    }
}

async fn ring(session: &mut Session, life: &mut Call, ringing: &mut Ringing) -> Result<Met, Ending> {
    let mut telling = attempt::ticks();
    loop {
        life.explain(session.explanation());
        let effects = tokio::select! {
            Some(done) = ringing.handshake.join_next() => match finished(session, life, ringing, done).await {
                Ok(met) => return Ok(met),
                Err(effects) => effects,
            },
            Some(event) = session.transport_events.recv() => heard(session, life, ringing, event).await,
            () = sleep_until(session.line.started, ringing.anew), if ringing.anew.is_some() => {
                ringing.start_anew(session);
                Vec::new()
            }
            _ = telling.tick() => {
                session.attempt_goes_on().await;
                continue;
            }
            () = sleep_until(session.line.started, ringing.doubt), if ringing.doubt.is_some() => {
                ringing.doubt = None;
                session.warn_of_no_path(NO_PATH).await;
                continue;
            }
            command = session.line.commands.recv() => {
                step(life, &session.line, Input::Told(command.unwrap_or(Command::Hangup)))
            }
            () = sleep_until(session.line.started, life.poll_timeout()) => {
                step(life, &session.line, Input::Tick)
            }
        };
        if effects.contains(&Effect::ShowReply) {
            ringing.replied = true;
            ringing.start_anew(session);
            show_reply(session, ringing).await;
        }
        if let Some(ending) = session.carry_out_alone(effects).await {
            return Err(ending);
        }
    }
}

/// A handshake ended: with the friend, or it begins anew, or the call ends.
async fn finished(
    session: &Session,
    life: &mut Call,
    ringing: &mut Ringing,
    done: Result<Result<Met, Unmet>, tokio::task::JoinError>,
) -> Result<Met, Vec<Effect>> {
    let failure = match done {
        Ok(Ok(met)) => return Ok(met),
        Ok(Err(Unmet::WrongCertificate)) => wrong_certificate(),
        Ok(Err(error)) => {
            log::info!("ringing again: {error}");
            tokio::time::sleep(RETRY_PAUSE).await;
            ringing.start(session);
            return Err(Vec::new());
        }
        Err(error) if error.is_cancelled() => return Err(Vec::new()),
        Err(error) => Failure::new(Exit::Failure, "internal", format!("A task broke: {error}."), ""),
    };
    Err(step(life, &session.line, Input::Broke(failure)))
}

/// Takes a transport event.
async fn heard(
    session: &mut Session,
    life: &mut Call,
    ringing: &mut Ringing,
    event: TransportEvent,
) -> Vec<Effect> {
    match event {
        TransportEvent::Refused { .. } => return step(life, &session.line, Input::CodeUsed),
        TransportEvent::CandidateLearnt(candidate) => {
            session.path.own.push(super::told(&candidate));
            life.set_candidates(session.path.own.clone());
            let gathered = session.transport.gather(Duration::ZERO).await;
            session.expect(&gathered, ringing.code.offer(), Waited::Briefly).await;
            if candidate.kind == PathKind::Relay {
                ringing.anew = ringing.began.map(|began| began + RELAY_JOINS_AFTER);
            }
        }
        TransportEvent::ServerFailed(failure) => {
            if matches!(failure.server, ServerName::Relay(_)) {
                visit(session, &mut ringing.visits);
            }
            session.server_failed(failure).await;
        }
        _ => {}
    }
    Vec::new()
}

fn wrong_certificate() -> Failure {
    let message = "Whoever answers at the code's address is not the one who made the code.";
    let help = "Somebody may sit in between, or another call took the address over. Ask for a new code.";
    Failure::new(Exit::NoConnection, "wrong_certificate", message, help)
}

/// No path so far: the friend's NAT may open if it sends to us first.
async fn show_reply(session: &mut Session, ringing: &mut Ringing) {
    // The servers have been asked seconds ago.
    let gathered = session.transport.gather(Duration::ZERO).await;
    session.gathered(&gathered).await;
    session.expect(&gathered, ringing.code.offer(), Waited::Long).await;
    let wants_video = session.config.media.video != VideoChoice::None;
    let shown = Shown::of(session.trying.meeting.ours);
    let reply = Reply { wants_video, shown, items: reply_items(&gathered.candidates) };
    let Ok(reply) = ReplyCode::new(reply, &ringing.terms.keys) else { return };
    session.trying.reply = explain::Reply::Shown;
    ringing.doubt = Some(session.now() + NO_PATH_AFTER);
    let text = reply.text();
    let left = ringing.code.offer().expiry.seconds_left(unix_seconds());
    session
        .emit(CallEvent::Code(CodeEvent {
            kind: CodeKind::Answer,
            form: CodeForm::P2p,
            chars: text.chars().count(),
            code: text,
            reply_needed: Some(true),
            expires_in: u64::try_from(left).unwrap_or(CODE_LIFETIME.as_secs()),
        }))
        .await;
    session.emit(state(CallState::Waiting, None)).await;
}

/// The one best address, so that the reply can be read aloud: where the NAT answers, else a relay, else a
/// global or local one.
fn reply_items(candidates: &[crate::transport::LocalCandidate]) -> Vec<Item> {
    let items = relayed::tell(candidates, false, |_| None).items;
    let of_kind = |wanted: PathKind| {
        items.iter().find(|item| {
            let Item::Address { kind, .. } = item else { return false };
            kind.word()
                == match wanted {
                    PathKind::Host => "host",
                    PathKind::Srflx => "srflx",
                    PathKind::Relay => "relay",
                    PathKind::Prflx => "prflx",
                }
        })
    };
    [PathKind::Srflx, PathKind::Relay, PathKind::Host]
        .into_iter()
        .find_map(of_kind)
        .cloned()
        .into_iter()
        .collect()
}

/// The addresses of a code that need no DNS.
pub(super) fn literal_addresses(items: &[Item]) -> Vec<SocketAddr> {
    items
        .iter()
        .filter_map(|item| match item {
            Item::Address { host: Host::V4(ip), port, .. } => Some(SocketAddr::new((*ip).into(), *port)),
            Item::Address { host: Host::V6(ip), port, .. } => Some(SocketAddr::new((*ip).into(), *port)),
            _ => None,
        })
        .collect()
}

/// All addresses of a code; names are looked up, unless no server may be asked.
async fn resolve(items: &[Item], no_servers: bool) -> Vec<SocketAddr> {
    let mut addresses = literal_addresses(items);
    for item in items {
        let Item::Address { host: Host::Name(name), port, .. } = item else { continue };
        if no_servers {
            continue;
        }
        let lookup = tokio::net::lookup_host((name.as_str(), *port));
        if let Ok(Ok(found)) = tokio::time::timeout(NAME_PATIENCE, lookup).await {
            addresses.extend(found);
        }
    }
    addresses
}
