//! The probe against every kind of NAT and server.

use super::simulator::{By, PUBLIC, PortRule, Rules, ServerKind, World, ids};
use super::*;
use crate::code::network::{Filtering, Mapping, Ports};
use crate::nat::classify;

/// The kinds by name, as the rules of a NAT.
fn rules(kind: &str) -> Rules {
    use By::{Address, AddressAndPort, Nothing};
    let nat =
        |mapping, filtering, ports| Rules { translates: true, mapping, filtering, ports, ..Rules::OPEN };
    match kind {
        "none" => Rules::OPEN,
        "firewall" => Rules { filtering: AddressAndPort, ..Rules::OPEN },
        "full-cone" => nat(Nothing, Nothing, PortRule::Preserve),
        "address-restricted" => nat(Nothing, Address, PortRule::Preserve),
        "port-restricted" => nat(Nothing, AddressAndPort, PortRule::Preserve),
        "symmetric" => nat(AddressAndPort, AddressAndPort, PortRule::Random),
        "symmetric-seq" => nat(AddressAndPort, AddressAndPort, PortRule::Sequential),
        "symmetric-addr" => nat(Address, AddressAndPort, PortRule::Random),
        "no-udp" => Rules { udp: false, ..Rules::OPEN },
        other => panic!("{other}"),
    }
}

fn second(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn conclude(
    kind: &str,
    servers: &[(&str, ServerKind)],
) -> (Mapping, Option<Filtering>, Ports, Findings, Duration) {
    let mut world = World::new(rules(kind), servers);
    let local: Vec<_> = world.locals.iter().map(SocketAddr::ip).collect();
    let (findings, took) = world.probe();
    (
        classify::mapping(&local, &findings.observations),
        classify::filtering(findings.filter),
        classify::ports(&findings.samples),
        findings,
        took,
    )
}

/// What each kind is, and with which servers how much of it shows.
const KINDS: [(&str, Mapping, Filtering, Ports); 8] = [
    ("none", Mapping::None, Filtering::EndpointIndependent, Ports::Preserved),
    ("firewall", Mapping::None, Filtering::AddressAndPortDependent, Ports::Preserved),
    ("full-cone", Mapping::EndpointIndependent, Filtering::EndpointIndependent, Ports::Preserved),
    ("address-restricted", Mapping::EndpointIndependent, Filtering::AddressDependent, Ports::Preserved),
    ("port-restricted", Mapping::EndpointIndependent, Filtering::AddressAndPortDependent, Ports::Preserved),
    ("symmetric", Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent, Ports::Random),
    (
        "symmetric-seq",
        Mapping::AddressAndPortDependent,
        Filtering::AddressAndPortDependent,
        Ports::Sequential,
    ),
    ("symmetric-addr", Mapping::AddressDependent, Filtering::AddressAndPortDependent, Ports::Random),
];

#[test]
fn a_server_with_two_addresses_tells_everything() {
    for discovery in [ServerKind::Discovery as fn(_) -> _, ServerKind::Discreet] {
        for (kind, mapping, filtering, ports) in KINDS {
            let found = conclude(kind, &[("1.1.1.1:3478", discovery(second("2.2.2.2:3479")))]);
            assert_eq!((found.0, found.1, found.2), (mapping, Some(filtering), ports), "{kind}");
            assert!(found.4 < Duration::from_secs(4), "{kind}: {:?}", found.4);
        }
    }
}

#[test]
fn one_address_with_two_ports_tells_what_depends_on_the_port() {
    for (kind, mapping, filtering, _) in KINDS {
        let found = conclude(kind, &[("1.1.1.1:3478", ServerKind::Discovery(second("1.1.1.1:3479")))]);
        let known = match mapping {
            Mapping::EndpointIndependent | Mapping::AddressDependent => Mapping::Unknown,
            told => told,
        };
        let by_port = (filtering == Filtering::AddressAndPortDependent).then_some(filtering);
        assert_eq!((found.0, found.1), (known, by_port), "{kind}");
    }
}

#[test]
fn plain_servers_on_two_addresses_tell_the_mapping_and_nothing_of_filters() {
    let pair = [("1.1.1.1:3478", ServerKind::Plain), ("2.2.2.2:3478", ServerKind::Careless)];
    for (kind, mapping, _, ports) in KINDS {
        let found = conclude(kind, &pair);
        let known = match mapping {
            Mapping::AddressDependent | Mapping::AddressAndPortDependent => Mapping::Dependent,
            told => told,
        };
        assert_eq!((found.0, found.1, found.2), (known, Some(Filtering::Unknown), ports), "{kind}");
    }
}

#[test]
fn one_plain_server_tells_no_more_than_the_address() {
    for (kind, mapping, ..) in KINDS {
        let found = conclude(kind, &[("1.1.1.1:3478", ServerKind::Plain)]);
        let known = if mapping == Mapping::None { mapping } else { Mapping::Unknown };
        assert_eq!((found.0, found.1), (known, Some(Filtering::Unknown)), "{kind}");
    }
}

#[test]
fn the_best_server_is_used_wherever_it_stands_in_the_list() {
    let servers = [
        ("9.9.9.9:3478", ServerKind::Silent),
        ("3.3.3.3:3478", ServerKind::Plain),
        ("4.4.4.4:3478", ServerKind::Discovery(second("4.4.4.4:3479"))),
        ("1.1.1.1:3478", ServerKind::Discovery(second("2.2.2.2:3479"))),
    ];
    for (kind, mapping, filtering, ports) in KINDS {
        let found = conclude(kind, &servers);
        assert_eq!((found.0, found.1, found.2), (mapping, Some(filtering), ports), "{kind}");
        assert_eq!(found.3.servers[0].state, ServerState::Silent);
    }
}

#[test]
fn hairpinning_is_seen_where_there_is_a_nat() {
    let servers = [("1.1.1.1:3478", ServerKind::Plain)];
    for (kind, hairpin, expect) in [
        ("port-restricted", true, Some(true)),
        ("port-restricted", false, Some(false)),
        ("symmetric", true, Some(false)),
        ("none", true, None),
    ] {
        let mut world = World::new(Rules { hairpin, ..rules(kind) }, &servers);
        assert_eq!(world.probe().0.hairpin, expect, "{kind}");
    }
}

#[test]
fn silence_ends_within_four_seconds_and_is_told_as_such() {
    for servers in [&[][..], &[("1.1.1.1:3478", ServerKind::Silent), ("2.2.2.2:3478", ServerKind::Silent)]] {
        let (.., findings, took) = conclude("port-restricted", servers);
        assert!(!findings.udp() && took < Duration::from_secs(4), "{took:?}");
        assert!(findings.servers.iter().all(|one| one.state == ServerState::Silent));
    }
    let (.., findings, took) =
        conclude("no-udp", &[("1.1.1.1:3478", ServerKind::Discovery(second("2.2.2.2:1")))]);
    assert!(!findings.udp() && took < Duration::from_secs(4));
}

#[test]
fn garbage_is_told_from_silence() {
    let (mapping, .., findings, took) = conclude("port-restricted", &[("1.1.1.1:3478", ServerKind::Garbage)]);
    assert_eq!((mapping, findings.servers[0].state), (Mapping::Unknown, ServerState::Nonsense));
    assert!(findings.udp() && findings.mapped().is_none() && took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn liars_are_found_out_and_not_believed() {
    for told in
        ["0.0.0.0:5", "9.9.9.9:0", "224.0.0.1:5", "127.0.0.1:5", "255.255.255.255:5", "[2001:db8::1]:5"]
    {
        let liar = ("1.1.1.1:3478", ServerKind::Liar(second(told)));
        let (mapping, .., findings, _) = conclude("port-restricted", &[liar]);
        assert_eq!((mapping, findings.mapped()), (Mapping::Unknown, None), "{told}");
        assert_eq!(findings.servers[0].state, ServerState::Nonsense, "{told}");
        let honest = ("2.2.2.2:3478", ServerKind::Discovery(second("3.3.3.3:3479")));
        let found = conclude("port-restricted", &[liar, honest]);
        assert_eq!(found.0, Mapping::EndpointIndependent, "{told}");
        assert_eq!(found.1, Some(Filtering::AddressAndPortDependent), "{told}");
    }
}

#[test]
fn a_server_whose_second_address_is_nowhere_is_a_plain_one() {
    for other in ["0.0.0.0:3479", "127.0.0.1:3479", "224.0.0.1:3479", "1.1.1.1:3478"] {
        let found = conclude("port-restricted", &[("1.1.1.1:3478", ServerKind::Discovery(second(other)))]);
        assert_eq!(found.3.servers[0].other, None, "{other}");
        assert_eq!(found.1, Some(Filtering::Unknown), "{other}");
    }
}

#[test]
fn ten_thousand_replies_count_as_one() {
    let servers = [("1.1.1.1:3478", ServerKind::Flood(10_000)), ("2.2.2.2:3478", ServerKind::Plain)];
    let mut world = World::new(rules("port-restricted"), &servers);
    let (findings, _) = world.probe();
    assert_eq!(findings.observations.len(), 2);
    assert!(findings.samples.len() <= SOCKETS && world.sent < 200, "{} sent", world.sent);
}

#[test]
fn a_way_that_the_system_refuses_is_not_waited_for() {
    let world = World::new(rules("none"), &[]);
    let servers = [second("1.1.1.1:3478")];
    let mut probe = Probe::new(world.now, world.locals.clone(), &servers, ids());
    probe.unreachable(world.now, MAIN, servers[0]);
    assert!(probe.is_done());
    assert_eq!(probe.findings().servers[0].state, ServerState::Silent);
}

mod lifetimes {
    use super::*;
    use lifetime::{Lifetime, LifetimeProbe};

    fn measure(kind: &str, forgets_after: u64, server: ServerKind, preserved: bool) -> (Lifetime, Duration) {
        let rules = Rules { forgets_after: Duration::from_secs(forgets_after), ..rules(kind) };
        let mut world = World::new(rules, &[("1.1.1.1:3478", server)]);
        let began = world.now;
        let mut probe = LifetimeProbe::new(began, second("1.1.1.1:3478"), preserved, ids());
        while !probe.is_done() {
            while let Some(transmit) = probe.poll_transmit() {
                world.send(&transmit);
            }
            let due = probe.poll_timeout();
            if let Some((socket, from, bytes)) = world.next_before(due) {
                probe.handle_packet(world.now, socket, from, &bytes);
            } else {
                world.now = due.expect("it waits for something");
                probe.handle_timeout(world.now);
            }
        }
        (probe.lifetime(), world.now - began)
    }

    #[test]
    fn the_lifetime_is_told_between_two_steps() {
        let discovery = ServerKind::Discovery(second("2.2.2.2:3479"));
        for (seconds, alive, gone) in [
            (5, None, Some(10)),
            (35, Some(30), Some(45)),
            (130, Some(120), Some(180)),
            (1000, Some(300), None),
        ] {
            for kind in ["port-restricted", "symmetric", "firewall"] {
                let (found, took) = measure(kind, seconds, discovery, false);
                assert_eq!((found.alive, found.gone), (alive, gone), "{kind}, {seconds} s");
                assert!(took < Duration::from_secs(310), "{took:?}");
            }
        }
    }

    #[test]
    fn without_response_port_only_other_ports_tell() {
        let (found, _) = measure("symmetric", 35, ServerKind::Plain, false);
        assert_eq!((found.alive, found.gone), (Some(30), Some(45)));
        let (found, _) = measure("port-restricted", 35, ServerKind::Plain, true);
        assert_eq!(found, Lifetime::default());
        let (found, took) = measure("port-restricted", 35, ServerKind::Silent, true);
        assert_eq!(found, Lifetime::default());
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[test]
fn the_public_address_is_what_the_world_sees() {
    let (.., findings, _) = conclude("symmetric", &[("1.1.1.1:3478", ServerKind::Plain)]);
    assert_eq!(findings.mapped().unwrap().ip(), PUBLIC);
}
