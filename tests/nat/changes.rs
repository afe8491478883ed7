//! A NAT that gets another public address while a code waits.

use super::natlab::kind::Kind::PortRestricted;
use super::natlab::relay::Relay;
use super::natlab::world::{Who, World};
use super::support::process::Process;
use super::{SLOWNESS, support};
use std::time::{Duration, Instant};

/// Machines compete for few processors.
const SOON: Duration = Duration::from_secs(30);
/// In so long there is a code that is good.
const GOOD_AGAIN: Duration = Duration::from_secs(5);

/// An offer behind a NAT that changes then.
fn moved(with_relay: bool) -> Option<(World, Relay, Process, String)> {
    let world = World::new([PortRestricted.into(), PortRestricted.into()])?;
    let relay = Relay::start(&world);
    let mut options = Relay::stun();
    options.extend(relay.options().into_iter().filter(|_| with_relay));
    let words: Vec<&str> = ["offer"].into_iter().chain(options.iter().map(String::as_str)).collect();
    let mut alice = world.lab.p2pcall("alice", &words);
    let code = alice.wait_for_code(SOON);
    world.renumber(Who::Alice);
    Some((world, relay, alice, code))
}

/// Bob calls by the code that is shown then.
fn comes_back(with_relay: bool) {
    let Some((world, _relay, mut alice, code)) = moved(with_relay) else { return };
    let changed = Instant::now();
    let other = alice.wait_for_code(SOON);
    let what = if with_relay { "with a relay" } else { "without a relay" };
    support::measured(&format!("another code, after the NAT got another address, {what}"), changed.elapsed());
    assert!(changed.elapsed() < GOOD_AGAIN + SLOWNESS && code != other, "{:?}", changed.elapsed());
    let stun = Relay::stun();
    let mut bob = world.lab.p2pcall("bob", &["answer", &other, &stun[0], &stun[1]]);
    if !with_relay {
        let reply = bob.wait_for_code(SOON);
        alice.type_line(&reply);
    }
    for end in [&mut alice, &mut bob] {
        end.wait_for_state("connected", SOON);
    }
}

#[test]
fn a_nat_with_another_address_means_another_code_within_five_seconds() {
    comes_back(false);
    comes_back(true);
}
