//! A router that opens a port on request makes its home reachable from anywhere, for as long as that is of use.

use super::natlab::diagnosis;
use super::natlab::kind::Kind::{PortRestricted, Public, Symmetric};
use super::natlab::kind::Side;
use super::natlab::relay::Relay;
use super::natlab::truth::Asked;
use super::natlab::world::{Who, World};
use std::time::Duration;

/// Machines compete for few processors.
const SOON: Duration = Duration::from_secs(30);

/// Alice's router deals out random ports, and opens one on request.
fn world() -> Option<World> {
    World::new([Side { opens_ports: true, ..Symmetric.into() }, PortRestricted.into()])
}

/// Alice offers with these options, bob answers; the kind of the first path, and how many ports were open meanwhile.
fn call(world: &World, relay: &Relay, options: &[&str]) -> (String, usize) {
    let stun = Relay::stun();
    let mut words = vec!["offer"];
    words.extend(options);
    words.extend(stun.iter().map(String::as_str));
    let link = relay.options();
    if options.contains(&"--no-portmap") {
        words.extend(link.iter().map(String::as_str));
    }
    let mut alice = world.lab.p2pcall("alice", &words);
    let code = alice.wait_for_code(SOON);
    let opened = world.opened(Who::Alice);
    let mut bob = world.lab.p2pcall("bob", &["answer", &code, &stun[0], &stun[1]]);
    let path = bob.wait_for("a path", SOON, |event| event["event"] == "path");
    for end in [&mut alice, &mut bob] {
        if !end.of_kind("state").any(|event| event["state"] == "connected") {
            end.wait_for_state("connected", SOON);
        }
    }
    alice.type_line("/hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
    (path["kind"].as_str().unwrap_or_default().to_owned(), opened)
}

#[test]
fn a_symmetric_nat_that_opens_a_port_is_called_directly_by_one_code_and_no_relay() {
    let Some(world) = world() else { return };
    let relay = Relay::start(&world);
    let (kind, opened) = call(&world, &relay, &[]);
    assert!(["srflx", "prflx"].contains(&kind.as_str()), "{kind}");
    assert_eq!((opened, world.opened(Who::Alice)), (1, 0), "open while the call lasted, and afterwards");
    // Without that, and with a relay, the relay is what is left.
    let (kind, opened) = call(&world, &relay, &["--no-portmap"]);
    assert_eq!((kind.as_str(), opened), ("relay", 0));
}

#[test]
fn diagnose_opens_a_port_by_each_protocol_has_it_tried_and_takes_it_back() {
    let open = Side { opens_ports: true, ..PortRestricted.into() };
    let Some(world) = World::new([open, Public.into()]) else { return };
    let found = diagnosis::diagnose_in(&world, Asked::Relay);
    let line = found.line("portmap");
    for protocol in ["PCP", "NAT-PMP"] {
        let words = format!("{protocol} works: a mapped port was reached from outside");
        assert!(line.contains(&words) && !line.contains("could not be taken back"), "{found:?}");
    }
    assert_eq!(
        (&found.said["portmap"]["pcp"], &found.said["portmap"]["upnp"]),
        (&true.into(), &false.into())
    );
    assert_eq!(found.word("/nat/cgnat"), "no", "the router tells its outer address: {found:?}");
    assert_eq!(world.opened(Who::Alice), 0);
}
