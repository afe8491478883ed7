//! One call across a laboratory, carried out as two persons would: the code goes one way, and where a reply code is
//! shown it goes back.

use super::kind::{Path, Side, expected};
use super::relay::Relay;
use super::world::World;
use crate::support::process::Process;
use serde_json::Value;
use std::time::{Duration, Instant};

/// What serves both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Servers {
    /// Our relay, whose link the offerer has; it is both ends' STUN server.
    Relay,
    /// The same machine, for STUN alone.
    Stun,
    /// None at all.
    Nothing,
}

/// A call that shall be attempted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) offerer: Side,
    pub(crate) answerer: Side,
    pub(crate) servers: Servers,
    /// The code waits so long before it is answered.
    pub(crate) waits: Duration,
}

/// How it went.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) path: Path,
    /// `kind` of the path event: host, srflx, prflx, relay; `failed` where there is none.
    pub(crate) kind: String,
    /// From the answer, or from the reply code where one was needed, until both were connected, or until whoever
    /// has the reply said that it cannot be.
    pub(crate) took: Duration,
    pub(crate) replied: bool,
    /// The last words of an attempt that failed.
    pub(crate) words: String,
}

/// Machines compete for few processors.
const SOON: Duration = Duration::from_secs(20);
/// A call that cannot connect says so within half a minute.
pub(crate) const GIVES_UP: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(50);
/// A call that begins by a relay becomes direct in so long.
const BETTER: Duration = Duration::from_secs(10);

impl Scenario {
    pub(crate) fn new(offerer: impl Into<Side>, answerer: impl Into<Side>, servers: Servers) -> Self {
        Self { offerer: offerer.into(), answerer: answerer.into(), servers, waits: Duration::ZERO }
    }

    /// As tables name it.
    pub(crate) fn name(&self) -> String {
        let side = |side: Side| format!("{}{}", side.kind.name(), if side.ipv6 { " and IPv6" } else { "" });
        format!("{} -> {}, {:?}", side(self.offerer), side(self.answerer), self.servers)
    }

    /// Which path the rule promises.
    pub(crate) fn expected(&self) -> Path {
        match self.servers {
            Servers::Nothing => Path::None,
            servers => expected(self.offerer, self.answerer, servers == Servers::Relay),
        }
    }

    /// Builds the laboratory and calls; `None` where there can be none.
    ///
    /// # Panics
    /// When an end does what it never should.
    pub(crate) fn run(&self) -> Option<Outcome> {
        let world = World::new([self.offerer, self.answerer])?;
        let relay = (self.servers != Servers::Nothing).then(|| Relay::start(&world));
        let options = if relay.is_some() { Relay::two_stun() } else { vec!["--no-servers".to_owned()] };
        let link = relay.iter().filter(|_| self.servers == Servers::Relay).flat_map(Relay::options);
        let start = |machine: &str, words: &[&str]| {
            let mut more = log_options(&self.name(), machine);
            more.extend(link.clone().filter(|_| machine == "alice"));
            let all = words.iter().copied().chain(options.iter().chain(&more).map(String::as_str));
            world.lab.p2pcall(machine, &all.collect::<Vec<_>>())
        };
        let mut alice = start("alice", &["offer"]);
        let code = alice.wait_for_code(SOON);
        std::thread::sleep(self.waits);
        let began = Instant::now();
        let bob = start("bob", &["answer", &code]);
        Some(Call { alice, bob, began, replied: false }.outcome(self.expected()))
    }
}

/// For whoever looks into a failure: with `P2PCALL_NATLAB_LOGS` each end logs into a file of that folder.
pub(super) fn log_options(scenario: &str, machine: &str) -> Vec<String> {
    let Ok(folder) = std::env::var("P2PCALL_NATLAB_LOGS") else { return Vec::new() };
    ["-vv".to_owned(), "--log-file".to_owned(), format!("{folder}/{scenario}, {machine}.log")].into()
}

/// Both ends of a call that is attempted.
struct Call {
    alice: Process,
    bob: Process,
    /// When the answer, or the reply code, was entered.
    began: Instant,
    replied: bool,
}

impl Call {
    fn outcome(mut self, expected: Path) -> Outcome {
        let told = self.bob.wait_for("an end, a call or a reply code", LONGEST, |event| {
            event["event"] == "code" || is_decided(event)
        });
        let told = match told["code"].as_str() {
            None => told,
            Some(reply) => {
                self.alice.type_line(reply);
                (self.began, self.replied) = (Instant::now(), true);
                self.alice.wait_for("an end or a call", LONGEST, is_decided)
            }
        };
        if told["state"] == "connected" { self.connected(expected) } else { self.failed(&told) }
    }

    fn connected(mut self, expected: Path) -> Outcome {
        for end in [&mut self.alice, &mut self.bob] {
            if !end.of_kind("state").any(|event| event["state"] == "connected") {
                end.wait_for_state("connected", SOON);
            }
        }
        let took = self.began.elapsed();
        let mut kind = path_of(&mut self.bob);
        if expected == Path::Direct && kind == "relay" {
            kind = better(&mut self.bob).unwrap_or(kind);
        }
        self.alice.type_line("/hangup");
        assert_eq!((self.alice.exit(SOON), self.bob.exit(SOON)), (0, 0), "the exit codes of a call");
        let path = if kind == "relay" { Path::Relay } else { Path::Direct };
        Outcome { path, kind, took, replied: self.replied, words: String::new() }
    }

    fn failed(self, told: &Value) -> Outcome {
        let words = [&told["message"], &told["help"]].map(|words| words.as_str().unwrap_or_default());
        Outcome {
            path: Path::None,
            kind: "failed".to_owned(),
            took: self.began.elapsed(),
            replied: self.replied,
            words: words.join(" "),
        }
    }
}

/// Connected, over, or given up: an offer goes on for as long as its code lives.
fn is_decided(event: &Value) -> bool {
    let state = event["state"].as_str().unwrap_or_default();
    (event["event"] == "state" && ["connected", "ended"].contains(&state)) || event["code"] == "no_path"
}

/// The kind of the path that an end told last.
fn path_of(end: &mut Process) -> String {
    let known = end.of_kind("path").last().cloned();
    let path = known.unwrap_or_else(|| end.wait_for("a path", SOON, |event| event["event"] == "path"));
    path["kind"].as_str().expect("a kind").to_owned()
}

/// The kind of a path that is not relayed, if one comes.
fn better(end: &mut Process) -> Option<String> {
    // Statistics come each second, so this ends.
    let deadline = Instant::now() + BETTER;
    while Instant::now() < deadline {
        let event = end.wait_for("statistics or a path", SOON, |event| {
            event["event"] == "stats" || event["event"] == "path"
        });
        if event["event"] == "path" && event["kind"] != "relay" {
            return event["kind"].as_str().map(str::to_owned);
        }
    }
    None
}
