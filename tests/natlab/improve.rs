//! A call that begins by a relay and is to become direct while it lasts.

use super::attempt::log_options;
use super::kind::Side;
use super::relay::Relay;
use super::world::{SERVER, SERVER_SECOND, World};
use crate::support::process::Process;
use std::time::{Duration, Instant};

/// Machines compete for few processors.
const SOON: Duration = Duration::from_secs(20);

/// How it went.
#[derive(Debug, Clone)]
pub(crate) struct Improved {
    /// `kind` of the answerer's first path.
    pub(crate) first: String,
    /// `kind` of its direct one; `None` where none came in time.
    pub(crate) direct: Option<String>,
    /// From connected at both ends until both said that their path is direct.
    pub(crate) after: Duration,
    /// Sound that the end with more of it invented for lack of packets, from the call's beginning until after the move.
    pub(crate) invented_ms: u64,
}

/// Calls with our relay, known to the offerer alone, and with two STUN servers, which is what it takes to know how a
/// NAT deals out ports. `None` where there can be no laboratory.
///
/// # Panics
/// When an end does what it never should.
pub(crate) fn improve(offerer: Side, answerer: Side, limit: Duration) -> Option<Improved> {
    let world = World::new([offerer, answerer])?;
    let relay = Relay::start(&world);
    let stun = ["--stun", &format!("{SERVER}:3478"), "--stun", &format!("{SERVER_SECOND}:3478")];
    let links = relay.options();
    let links = links.iter().map(String::as_str);
    let name = format!("{} -> {}, improved", offerer.kind.name(), answerer.kind.name());
    let [alices_log, bobs_log] = ["alice", "bob"].map(|machine| log_options(&name, machine));
    let log = alices_log.iter().map(String::as_str);
    let alices: Vec<&str> = ["offer"].into_iter().chain(stun).chain(links).chain(log).collect();
    let mut alice = world.lab.p2pcall_with_a_tone("alice", &alices);
    let code = alice.wait_for_code(SOON);
    let log = bobs_log.iter().map(String::as_str);
    let bobs: Vec<&str> = ["answer", &code].into_iter().chain(stun).chain(log).collect();
    let mut bob = world.lab.p2pcall_with_a_tone("bob", &bobs);
    for end in [&mut bob, &mut alice] {
        end.wait_for_state("connected", SOON);
    }
    let connected = Instant::now();
    let first = next_path(&mut bob, SOON, |_| true).expect("a path");
    let direct = bob_and_alice(&mut bob, &mut alice, connected + limit);
    let after = connected.elapsed();
    let invented_ms = [&mut alice, &mut bob].map(invented).into_iter().max().unwrap_or_default();
    alice.type_line("/hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0), "the exit codes of a call");
    Some(Improved { first, direct, after, invented_ms })
}

/// What the second statistics from now tell: those of a whole second.
fn invented(end: &mut Process) -> u64 {
    let [_, stats] = [(); 2].map(|()| end.wait_for("statistics", SOON, |event| event["event"] == "stats"));
    stats["audio"]["concealed_ms"].as_u64().expect("a number")
}

/// The kind of the answerer's path once both ends have a direct one.
fn bob_and_alice(bob: &mut Process, alice: &mut Process, deadline: Instant) -> Option<String> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let kind = next_path(bob, left(), |kind| kind != "relay")?;
    next_path(alice, left(), |kind| kind != "relay")?;
    Some(kind)
}

/// The kind of the first path that fits, whether it came before or comes now.
fn next_path(end: &mut Process, limit: Duration, fits: impl Fn(&str) -> bool) -> Option<String> {
    let kind = |event: &serde_json::Value| {
        let kind = (event["event"] == "path").then(|| event["kind"].as_str()).flatten()?;
        fits(kind).then(|| kind.to_owned())
    };
    if let Some(known) = end.events.iter().find_map(kind) {
        return Some(known);
    }
    // Statistics come each second, so this ends.
    let deadline = Instant::now() + limit;
    loop {
        let event = end.wait_for("statistics or a path", SOON, |event| {
            event["event"] == "stats" || event["event"] == "path"
        });
        if let Some(kind) = kind(&event) {
            return Some(kind);
        }
        if Instant::now() >= deadline {
            return None;
        }
    }
}
