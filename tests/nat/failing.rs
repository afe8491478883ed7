//! Networks that fail in mid-call between two homes: NATs that forget, or get another address, and a direct path that
//! is blocked. `scripts/bench faults` measures how long the sound is away.

use super::natlab::kind::Kind::{self, FullCone, PortRestricted, Symmetric};
use super::natlab::relay::Relay;
use super::natlab::world::{Who, World};
use super::support::process::Process;
use std::time::Duration;

/// Machines compete for few processors.
const SOON: Duration = Duration::from_secs(30);
/// A relayed call looks for a direct path again after 6, 12, 24, … seconds.
const BETTER: Duration = Duration::from_secs(60);
/// What was on its way when it happened is told by then, and that it is silent.
const AFTER: f64 = 4.0;

/// A call with sound between two homes; the offerer knows our relay.
struct Ends {
    alice: Process,
    bob: Process,
    world: World,
    _relay: Relay,
}

impl Ends {
    fn begin(one: Kind, other: Kind) -> Option<Self> {
        let world = World::new([one.into(), other.into()])?;
        let relay = Relay::start(&world);
        let (stun, links) = (Relay::two_stun(), relay.options());
        let alices: Vec<&str> =
            ["offer"].into_iter().chain(stun.iter().chain(&links).map(String::as_str)).collect();
        let mut alice = world.lab.p2pcall_with_a_tone("alice", &alices);
        let code = alice.wait_for_code(SOON);
        let bobs: Vec<&str> = ["answer", &code].into_iter().chain(stun.iter().map(String::as_str)).collect();
        let bob = world.lab.p2pcall_with_a_tone("bob", &bobs);
        let mut ends = Self { alice, bob, world, _relay: relay };
        for end in [&mut ends.alice, &mut ends.bob] {
            end.wait_for_state("connected", SOON);
            end.hears(0.0, SOON);
        }
        Some(ends)
    }

    /// Both hear each other some time from now.
    fn hear(&mut self) {
        for end in [&mut self.alice, &mut self.bob] {
            end.hears(AFTER, SOON);
        }
    }

    fn hang_up(mut self) {
        self.alice.type_line("/hangup");
        assert_eq!((self.alice.exit(SOON), self.bob.exit(SOON)), (0, 0));
    }
}

#[test]
fn a_nat_that_forgets_whom_it_let_in_is_followed_to_its_next_port() {
    // Another port for each peer and each time: the friend hears us, and would answer where nobody is.
    for (one, other, who) in [(Symmetric, FullCone, Who::Alice), (Symmetric, Symmetric, Who::Bob)] {
        let Some(mut ends) = Ends::begin(one, other) else { return };
        ends.world.flush(who);
        ends.hear();
        ends.hang_up();
    }
}

#[test]
fn a_nat_that_gets_another_public_address_keeps_its_call() {
    let Some(mut ends) = Ends::begin(PortRestricted, PortRestricted) else { return };
    for who in [Who::Alice, Who::Bob] {
        ends.world.renumber(who);
        ends.hear();
    }
    ends.hang_up();
}

#[test]
fn a_direct_path_that_is_blocked_gives_way_to_the_relay_and_is_taken_again_when_it_opens() {
    let Some(mut ends) = Ends::begin(PortRestricted, PortRestricted) else { return };
    ends.world.part();
    for end in [&mut ends.alice, &mut ends.bob] {
        end.wait_for("the relay", SOON, |event| event["event"] == "path" && event["kind"] == "relay");
    }
    ends.hear();
    ends.world.unite();
    for end in [&mut ends.alice, &mut ends.bob] {
        end.wait_for("a direct path", BETTER, |event| event["event"] == "path" && event["kind"] != "relay");
        end.hears(2.0, SOON);
    }
    ends.hang_up();
}
