//! Calls between machines behind NATs and firewalls of every kind, in a laboratory of namespaces and exact routers
//! (`tests/natlab`). Needs root on Linux; elsewhere it says so and passes. `scripts/bench nat` runs every pair.
#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, waits by the clock, and says what it measured"
)]

mod natlab;
mod support;

#[path = "nat/changes.rs"]
mod changes;
#[path = "nat/diagnose.rs"]
mod diagnose;
#[path = "nat/failing.rs"]
mod failing;
#[path = "nat/foreseen.rs"]
mod foreseen;
#[path = "nat/liars.rs"]
mod liars;
#[path = "nat/open_ports.rs"]
mod open_ports;

use natlab::attempt::{GIVES_UP, Outcome, Scenario, Servers};
use natlab::crowd::{self, Ran};
use natlab::explained::{self, Mischance};
use natlab::improve::improve;
use natlab::kind::Kind::{
    self, AddressRestricted, Cgnat, Firewalled, FullCone, Linux, LinuxRandom, PortRestricted, Public,
    Symmetric, SymmetricByAddress, SymmetricSequential, TlsOnly, UdpBlocked,
};
use natlab::kind::Side;
use std::sync::Mutex;
use std::time::Duration;

/// What a loaded machine may add to a deadline.
const SLOWNESS: Duration = Duration::from_secs(10);
/// A relayed call becomes direct in so long where it can.
const BETTER: Duration = Duration::from_secs(10);
/// Laboratories that work side by side on two processors.
const AT_ONCE: usize = 4;

/// Attempts all, and complains of those that did not take the path that the rule names, or otherwise did not please.
fn check(scenarios: &[Scenario], complaint: impl Fn(&Outcome) -> Option<&'static str> + Sync) {
    let complaints = Mutex::new(Vec::new());
    crowd::run(scenarios, AT_ONCE, |index, ran| {
        let Some(scenario) = scenarios.get(index) else { return };
        let (name, expected) = (scenario.name(), scenario.expected());
        let words = match ran {
            Ran::Skipped => return,
            Ran::Broke => format!("{name}: see above"),
            Ran::Done(outcome) => {
                support::measured(&format!("{name}: {}", outcome.kind), outcome.took);
                if outcome.path != expected {
                    format!("{name}: {expected:?} expected, instead {outcome:?}")
                } else if let Some(words) = complaint(&outcome) {
                    format!("{name}: {words}: {outcome:?}")
                } else {
                    return;
                }
            }
        };
        complaints.lock().expect("nobody panics with it").push(words);
    });
    let complaints = complaints.into_inner().expect("nobody panics with it");
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn pairs(pairs: &[(Kind, Kind)], servers: Servers) -> Vec<Scenario> {
    pairs.iter().map(|(a, b)| Scenario::new(*a, *b, servers)).collect()
}

#[test]
fn with_a_relay_every_pair_connects_by_one_code_and_directly_where_there_is_a_way() {
    let all = [
        (Public, Symmetric),
        (Symmetric, Public),
        (Firewalled, Firewalled),
        (FullCone, Symmetric),
        (Symmetric, AddressRestricted),
        (PortRestricted, PortRestricted),
        (PortRestricted, SymmetricByAddress),
        (Symmetric, Symmetric),
        (Cgnat, Cgnat),
        (Cgnat, SymmetricSequential),
        (SymmetricSequential, PortRestricted),
        (SymmetricSequential, Symmetric),
        (UdpBlocked, PortRestricted),
        (Symmetric, TlsOnly),
        (TlsOnly, UdpBlocked),
        (Linux, Linux),
        (LinuxRandom, Linux),
    ];
    check(&pairs(&all, Servers::Relay), |outcome| outcome.replied.then_some("it took a reply code"));
}

/// A call between these begins by the relay and becomes direct.
fn becomes_direct(offerer: Side, answerer: Side) {
    let Some(improved) = improve(offerer, answerer, BETTER + SLOWNESS) else { return };
    let what = format!("{} -> {}: relay to {:?}", offerer.kind.name(), answerer.kind.name(), improved.direct);
    support::measured(&what, improved.after);
    println!("sound invented until after that: {} ms", improved.invented_ms);
    assert!(improved.first == "relay" && improved.direct.is_some(), "{what}: {improved:?}");
}

#[test]
fn ipv6_at_both_ends_makes_two_symmetric_nats_direct() {
    let both = |kind: Kind| Side { ipv6: true, ..kind.into() };
    becomes_direct(both(Symmetric), both(Symmetric));
}

#[test]
fn a_symmetric_nat_and_a_port_restricted_one_become_direct_by_guessing() {
    let all = [(Symmetric, PortRestricted), (PortRestricted, Symmetric), (SymmetricByAddress, Firewalled)];
    all_of(&all, |(offerer, answerer)| {
        becomes_direct((*offerer).into(), (*answerer).into());
        None
    });
}

#[test]
fn without_a_relay_every_pair_that_can_connects_by_the_reply_code() {
    let all = [
        (Public, Symmetric),
        (Symmetric, Public),
        (Symmetric, FullCone),
        (AddressRestricted, SymmetricByAddress),
        (PortRestricted, SymmetricSequential),
        (SymmetricSequential, PortRestricted),
        (SymmetricSequential, Firewalled),
        (Firewalled, PortRestricted),
        (Cgnat, Cgnat),
        (Linux, Linux),
    ];
    check(&pairs(&all, Servers::Stun), |_| None);
}

#[test]
fn without_a_relay_a_pair_that_cannot_connect_says_so_and_what_would_help() {
    let all = [(Symmetric, Symmetric), (PortRestricted, LinuxRandom), (UdpBlocked, Public), (Cgnat, TlsOnly)];
    check(&pairs(&all, Servers::Stun), |outcome| {
        if outcome.took > GIVES_UP + SLOWNESS {
            return Some("it took too long");
        }
        (!outcome.words.contains("relay")).then_some("it does not name the remedy")
    });
}

/// A call that cannot connect: the two networks, what else goes wrong, what the offerer says of it and what the
/// answerer does: the likely cause, and the next command.
type Explained = (Kind, Kind, Mischance, Option<[&'static str; 2]>, [&'static str; 2]);

const RELAY: &str = "p2pcall relay add LINK";
const OFFER: &str = "p2pcall offer";

const EXPLAINED: [Explained; 7] = [
    (Symmetric, Symmetric, Mischance::None, Some(["Both networks", RELAY]), ["Both networks", RELAY]),
    (
        Symmetric,
        PortRestricted,
        Mischance::None,
        Some(["This network shows every friend another port", RELAY]),
        ["The friend's network shows every friend another port", RELAY],
    ),
    (
        PortRestricted,
        Symmetric,
        Mischance::None,
        Some(["The friend's network shows every friend another port", RELAY]),
        ["This network shows every friend another port", RELAY],
    ),
    (
        PortRestricted,
        UdpBlocked,
        Mischance::None,
        Some(["Likely no UDP leaves your friend's network", RELAY]),
        ["No UDP leaves this network, as it seems", RELAY],
    ),
    (
        PortRestricted,
        PortRestricted,
        Mischance::OffererKilled,
        None,
        ["likely `p2pcall offer` has ended", OFFER],
    ),
    (Public, PortRestricted, Mischance::OffererKilled, None, ["refuses our packets", OFFER]),
    (PortRestricted, FullCone, Mischance::OffererCut, None, ["a firewall drops the packets", OFFER]),
];

#[test]
fn a_call_that_cannot_connect_names_the_pairs_the_likely_cause_and_one_command() {
    all_of(&EXPLAINED, |(alice, bob, mischance, at_alice, at_bob)| {
        let said = explained::attempt(*alice, *bob, *mischance)?;
        let name = format!("{}, {}, {mischance:?}", alice.name(), bob.name());
        let ends = [(said.alice.as_ref(), at_alice.as_ref()), (said.bob.as_ref(), Some(at_bob))];
        ends.into_iter().find_map(|(said, expect)| {
            let ([cause, next], Some(said)) = (expect?, said) else {
                return Some(format!("{name}: one end says nothing"));
            };
            support::measured(&name, said.took);
            let right = said.cause.contains(cause) && said.next == *next && said.tried > 0;
            let soon = said.took <= GIVES_UP + SLOWNESS;
            (!right || !soon).then(|| format!("{name}: {said:?}"))
        })
    });
}

#[test]
fn a_code_that_waits_for_a_minute_behind_a_forgetful_nat_is_still_good() {
    let waits = Duration::from_secs(60);
    let all = [
        (30, PortRestricted, Servers::Relay),
        (30, FullCone, Servers::Stun),
        (10, PortRestricted, Servers::Relay),
        (10, FullCone, Servers::Stun),
    ];
    let all = all.map(|(memory, friend, servers)| {
        let forgetful = Side { lifetime: Some(Duration::from_secs(memory)), ..Symmetric.into() };
        Scenario { waits, ..Scenario::new(forgetful, friend, servers) }
    });
    check(&all, |_| None);
}

/// Runs these side by side, a few at a time, and complains of all at once.
fn all_of<T: Sync>(cases: &[T], check: impl Fn(&T) -> Option<String> + Sync) {
    let next = Mutex::new(cases.iter());
    let complaints = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(case) = next.lock().expect("nobody panics with it").next() else { return };
                    let complaint = check(case);
                    complaints.lock().expect("nobody panics with it").extend(complaint);
                }
            });
        }
    });
    let complaints = complaints.into_inner().expect("nobody panics with it");
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
