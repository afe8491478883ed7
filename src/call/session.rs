//! I/O: the one task that joins a call's life, its transport, its peer connection and its media to whoever
//! shows and commands it. All decisions are the life's ([`crate::call::Call`]); here they are carried out.
//!
//! ```text
//! offer:  gather -> code -> rings -> handshakes (several at once) -> the first that authenticates -> converse
//! answer: code -> one handshake, again and again --4 s--> reply code                              -> converse
//! ```

mod again;
mod answer;
mod ask;
mod attempt;
pub mod classic;
mod converse;
mod course;
mod describe;
mod expect;
mod farewell;
mod files;
mod handshake;
mod media;
mod meeting;
mod offer;
mod punch;
mod recording;
mod relayed;

use super::Role;
use super::channel::Candidate;
use super::ending::Ending;
use super::event::{CallEvent, Command, Notice, PathKind};
use super::path::Path;
use super::peer;
use super::{Call, Effect, Input, LifeConfig};
use crate::code::keys::IceCredentials;
use crate::config::CallConfig;
use crate::error::{Exit, Failure};
use crate::media::slot::Screens;
use crate::nat::predict::Prediction;
use crate::transport::{
    Credentials, Gathered, LocalCandidate, ServerFailure, ServerProblem, Transport, TransportEvent,
};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

use attempt::Trying;

pub use answer::answer;
pub use ask::answer_when_asked;
pub use offer::offer;

/// How long a code lives, by the offerer's monotonic clock.
pub const CODE_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// How a session is joined to whoever shows and commands it.
#[derive(Debug)]
pub struct Line {
    /// What happens, and when since the program's start. Full: the session waits.
    pub events: mpsc::Sender<(Duration, CallEvent)>,
    /// What a person or a script says.
    pub commands: mpsc::Receiver<Command>,
    /// The program's start.
    pub started: Instant,
    /// Where pictures are shown.
    pub screens: Screens,
}

/// A call that has its sockets.
struct Session {
    config: CallConfig,
    line: Line,
    transport: Transport,
    transport_events: mpsc::Receiver<TransportEvent>,
    path: Path,
    /// What was said of servers: once is enough.
    failures_told: Vec<ServerFailure>,
    /// The path that was last said to be expected.
    expected: Option<Prediction>,
    /// What is known of the attempt to connect.
    trying: Trying,
}

impl Session {
    async fn open(config: &CallConfig, line: Line) -> Result<Self, (Line, Failure)> {
        match Transport::open(&config.network).await {
            Ok((transport, transport_events)) => Ok(Self {
                config: config.clone(),
                line,
                transport,
                transport_events,
                path: Path::default(),
                failures_told: Vec::new(),
                expected: None,
                trying: Trying::default(),
            }),
            Err(error) => {
                let message = format!("No network to call over: {error}.");
                let help = "Check the network connection, and the addresses given with --bind.";
                Err((line, Failure::new(Exit::Failure, "no_network", message, help)))
            }
        }
    }

    /// The life's clock.
    fn now(&self) -> Duration {
        self.line.now()
    }

    /// Where a friend with these candidates can be reached from here: by the network's NAT64 first, where this machine
    /// has IPv6 only.
    async fn ways_to(&self, candidates: &[Candidate]) -> Vec<SocketAddr> {
        let told: Vec<SocketAddr> = candidates.iter().map(|candidate| candidate.address).collect();
        let mut ways = self.transport.other_ways(&told).await;
        ways.extend(told);
        ways
    }

    async fn emit(&self, event: CallEvent) {
        self.line.emit(event).await;
    }

    /// Whether this machine has the address.
    fn is_own(&self, address: IpAddr) -> bool {
        self.path.own.iter().any(|one| one.kind == PathKind::Host && one.address.ip() == address)
    }

    async fn warn(&self, code: &'static str, message: impl Into<String>, help: impl Into<String>) {
        self.emit(CallEvent::Warning(Notice { code, message: message.into(), help: help.into() })).await;
    }

    /// Says what gathering found wrong, and remembers the candidates.
    async fn gathered(&mut self, gathered: &Gathered) {
        self.path.own = gathered.candidates.iter().map(told).collect();
        for failure in &gathered.failures {
            if !self.failures_told.contains(failure) {
                self.server_failed(failure.clone()).await;
            }
        }
    }

    /// The same after a gathering that did not wait: who has not answered yet may still do so.
    async fn glanced(&mut self, gathered: &Gathered) {
        let mut known = gathered.clone();
        known.failures.retain(|failure| !matches!(failure.problem, ServerProblem::Silent(_)));
        self.gathered(&known).await;
    }

    /// Says that a server is of no use.
    async fn server_failed(&mut self, failure: ServerFailure) {
        self.warn(failure.code(), sentence(&failure.to_string()), sentence(&failure.help())).await;
        self.failures_told.push(failure);
    }

    /// The settings of the life that begins now.
    fn life(&self, role: Role, deadline: Duration, reply_deadline: Option<Duration>) -> Call {
        let now = self.now();
        let deadline = self.config.timeout.unwrap_or(deadline);
        let config = LifeConfig {
            role,
            name: self.config.name.clone(),
            candidates: self.path.own.clone(),
            auto_accept: self.config.auto_accept,
            deadline: now + deadline,
            reply_deadline: reply_deadline.map(|left| now + self.config.timeout.unwrap_or(left)),
            duration: self.config.duration,
            reconnect: self.config.reconnect,
        };
        Call::new(now, config)
    }

    /// Carries out what can be while nobody is there; `Some` when the call is over.
    async fn carry_out_alone(&self, effects: Vec<Effect>) -> Option<Ending> {
        for effect in effects {
            match effect {
                Effect::Emit(event) => self.emit(event).await,
                Effect::Finish(ending) => return Some(ending),
                _ => {}
            }
        }
        None
    }
}

impl Line {
    /// Time since the program's start.
    #[expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]
    pub fn now(&self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }

    /// Tells whoever listens; nobody may.
    pub async fn emit(&self, event: CallEvent) {
        // Whoever has stopped reading must not stop the call: what is told again soon has half of the channel.
        let full = self.events.capacity() * 2 < self.events.max_capacity();
        if full && event.is_momentary() {
            return;
        }
        let _ = self.events.send((self.now(), event)).await;
    }

    /// Ends a call that never got as far as having a life.
    pub async fn end(&self, ending: Ending) -> Ending {
        for event in ending.error().into_iter().chain([ending.event()]) {
            self.emit(event).await;
        }
        ending
    }
}

/// Sleeps until the life's next deadline.
async fn sleep_until(line_started: Instant, due: Option<Duration>) {
    match due {
        Some(due) => tokio::time::sleep_until((line_started + due).into()).await,
        None => std::future::pending().await,
    }
}

/// There is nothing to put into a code, or to ring from.
fn no_address(config: &CallConfig, gathered: &Gathered) -> Failure {
    if !config.network.relay_only {
        let message = "This machine has no address that a friend could reach.";
        let help = "Check the network, or use a relay: see --relay.";
        return Failure::new(Exit::NoConnection, "no_address", message, help);
    }
    if config.network.relays.is_empty() && gathered.failures.is_empty() {
        let message = "The code lets nobody in at a relay, and --relay-only allows nothing else.";
        let help = "Give a relay with --relay LINK, or leave --relay-only out.";
        return Failure::new(Exit::NoConnection, "no_address", message, help);
    }
    let causes: Vec<String> = gathered.failures.iter().map(ToString::to_string).collect();
    let causes = if causes.is_empty() { String::new() } else { format!(": {}", causes.join("; ")) };
    let message = format!("No relay gave an address, and --relay-only allows no other{causes}.");
    Failure::new(Exit::NoConnection, "no_address", message, "Check the relay given with --relay.")
}

/// Fresh random bytes.
///
/// # Panics
/// When the system has no randomness: nothing here is safe without.
#[expect(clippy::expect_used, reason = "without randomness there is no private call")]
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's source of randomness works");
    bytes
}

/// What this end will send.
fn sent_streams() -> Result<peer::SentStreams, Failure> {
    peer::SentStreams::new().map_err(|error| {
        Failure::new(Exit::Failure, "no_randomness", format!("No call can be made: {error}."), "")
    })
}

/// Seconds since 1970 by the machine's clock, which may be wrong.
#[expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A candidate as the friend is told of it.
fn told(candidate: &LocalCandidate) -> Candidate {
    Candidate { kind: candidate.kind, address: candidate.address }
}

/// The candidates of a whole description.
fn items_of(candidates: &[LocalCandidate]) -> Vec<peer::Candidate> {
    let item = |candidate: &LocalCandidate| peer::Candidate {
        kind: candidate.kind,
        address: candidate.address,
        base: (candidate.kind == PathKind::Srflx).then_some(candidate.base),
    };
    candidates.iter().filter(|candidate| !candidate.bridge).map(item).collect()
}

fn credentials(ice: &IceCredentials) -> Credentials {
    Credentials { ufrag: ice.ufrag.clone(), pwd: ice.pwd.clone() }
}

/// A fragment as a sentence.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase).into_iter().flatten();
    let mut whole: String = first.chain(chars).collect();
    if !whole.is_empty() && !whole.ends_with(['.', '!', '?']) {
        whole.push('.');
    }
    whole
}

/// One input to the life, at the present moment.
fn step(life: &mut Call, line: &Line, input: Input) -> Vec<Effect> {
    life.handle(line.now(), input)
}
