//! Every pair of kinds, and what lies beside them.

use super::*;
use crate::code::network::Ports;

/// The kinds of networks, by the name of what their router does.
fn kind(name: &str) -> NetworkSummary {
    let (mapping, filtering) = match name {
        "public" => (Mapping::None, Filtering::EndpointIndependent),
        "firewalled" => (Mapping::None, Filtering::AddressAndPortDependent),
        "full-cone" => (Mapping::EndpointIndependent, Filtering::EndpointIndependent),
        "address-restricted" => (Mapping::EndpointIndependent, Filtering::AddressDependent),
        "port-restricted" => (Mapping::EndpointIndependent, Filtering::AddressAndPortDependent),
        "unfiltered?" => (Mapping::EndpointIndependent, Filtering::Unknown),
        "symmetric" => (Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent),
        "symmetric-addr" => (Mapping::AddressDependent, Filtering::AddressAndPortDependent),
        "dependent" => (Mapping::Dependent, Filtering::Unknown),
        "blocked" => (Mapping::Unknown, Filtering::Unknown),
        "unknown" => return NetworkSummary { udp: Udp::Open, ..NetworkSummary::default() },
        other => panic!("{other}"),
    };
    let udp = if name == "blocked" { Udp::Blocked } else { Udp::Open };
    NetworkSummary { mapping, filtering, udp, ipv6: Ipv6::None, ..NetworkSummary::default() }
}

fn meeting(ours: NetworkSummary, theirs: NetworkSummary) -> Meeting {
    Meeting { ours, theirs, same_address: Some(false), ..Meeting::default() }
}

fn with_relay(end: NetworkSummary) -> NetworkSummary {
    NetworkSummary { relay: RelayWorks::Udp, ..end }
}

/// Both ends with and without a relay: `D` direct and sure, `d` probably direct, `R` relay and sure, `r` probably.
#[test]
fn who_reaches_whom() {
    const KINDS: [&str; 9] = [
        "public",
        "firewalled",
        "full-cone",
        "address-restricted",
        "port-restricted",
        "unfiltered?",
        "symmetric",
        "symmetric-addr",
        "blocked",
    ];
    const EXPECT: [&str; 9] = [
        // pub fire full addr port unf? symm s-a blocked
        "DDDDDDDDR",
        "DdDDddRRR",
        "DDDDDDDDR",
        "DDDDDDDDR",
        "DdDDddRRR",
        "DdDDddrrR",
        "DRDDRrRRR",
        "DRDDRrRRR",
        "RRRRRRRRR",
    ];
    for (ours, row) in KINDS.iter().zip(EXPECT) {
        for (theirs, expect) in KINDS.iter().zip(row.chars()) {
            let (ours_kind, theirs_kind) = (kind(ours), kind(theirs));
            let found = predict(&meeting(with_relay(ours_kind), with_relay(theirs_kind)));
            let letter = match (found.path, found.sure) {
                (Path::Direct, true) => 'D',
                (Path::Direct, false) => 'd',
                (Path::Relay, true) => 'R',
                (Path::Relay, false) => 'r',
                _ => '?',
            };
            assert_eq!(letter, expect, "{ours} and {theirs}: {found:?}");
            let none = NetworkSummary { relay: RelayWorks::None, ..ours_kind };
            let bare = predict(&meeting(none, NetworkSummary { relay: RelayWorks::None, ..theirs_kind }));
            let path = if expect.eq_ignore_ascii_case(&'r') { Path::None } else { Path::Direct };
            assert_eq!(bare.path, path, "{ours} and {theirs} without a relay: {bare:?}");
            let (one, other) =
                (predict(&meeting(ours_kind, theirs_kind)), predict(&meeting(theirs_kind, ours_kind)));
            assert_eq!((one.path, one.sure), (other.path, other.sure), "{ours} and {theirs}: whoever asks");
        }
    }
}

#[test]
fn a_port_that_is_dealt_in_turn_may_be_guessed_by_a_friend_who_has_one_for_all() {
    let turns = NetworkSummary { ports: Ports::Sequential, ..with_relay(kind("symmetric")) };
    for (other, path, sure) in [
        ("port-restricted", Path::Direct, false),
        ("firewalled", Path::Direct, false),
        ("unfiltered?", Path::Direct, false),
        ("full-cone", Path::Direct, true),
        ("symmetric", Path::Relay, true),
        ("blocked", Path::Relay, true),
        ("unknown", Path::Relay, false),
    ] {
        for (ours, theirs) in [(turns, with_relay(kind(other))), (with_relay(kind(other)), turns)] {
            let found = predict(&meeting(ours, theirs));
            assert_eq!((found.path, found.sure), (path, sure), "{other}: {found:?}");
            // If it does not come about, that is why.
            assert_eq!(obstacle(&meeting(ours, theirs)).is_none(), sure && path == Path::Direct, "{other}");
        }
    }
}

#[test]
fn only_where_exactly_one_end_is_hard_a_relayed_call_may_become_direct() {
    let said = |ours, theirs| predict(&meeting(with_relay(kind(ours)), with_relay(kind(theirs)))).why;
    for (one, other, guessed) in [
        ("symmetric", "port-restricted", true),
        ("firewalled", "symmetric-addr", true),
        ("dependent", "unfiltered?", true),
        ("symmetric", "symmetric", false),
        ("symmetric", "blocked", false),
        ("symmetric", "full-cone", false),
    ] {
        for (ours, theirs) in [(one, other), (other, one)] {
            assert_eq!(said(ours, theirs).contains("ports are guessed"), guessed, "{ours} and {theirs}");
        }
    }
    let none = predict(&meeting(
        NetworkSummary { relay: RelayWorks::None, ..kind("symmetric") },
        NetworkSummary { relay: RelayWorks::None, ..kind("port-restricted") },
    ));
    assert!(none.path == Path::None && !none.why.contains("guessed"), "{none:?}");
}

#[test]
fn what_nobody_measured_is_never_sure() {
    for (other, path) in [
        ("public", Path::Direct),
        ("port-restricted", Path::Direct),
        ("unknown", Path::Direct),
        ("symmetric", Path::Relay),
        ("dependent", Path::Relay),
    ] {
        let found = predict(&meeting(kind("unknown"), kind(other)));
        assert_eq!((found.path, found.sure), (path, false), "{other}: {found:?}");
    }
    let nothing = predict(&Meeting::default());
    assert_eq!((nothing.path, nothing.sure), (Path::Direct, false));
}

#[test]
fn ipv6_at_both_ends_makes_symmetric_to_symmetric_direct() {
    let six = NetworkSummary { ipv6: Ipv6::Works, ..kind("symmetric") };
    assert_eq!(predict(&meeting(six, six)).path, Path::DirectIpv6);
    assert_eq!(predict(&meeting(with_relay(six), with_relay(kind("symmetric")))).path, Path::Relay);
    let blocked = NetworkSummary { ipv6: Ipv6::Works, ..kind("blocked") };
    assert_eq!(predict(&meeting(blocked, six)).path, Path::DirectIpv6);
    // Nobody knows whether there is IPv6: perhaps it is direct after all.
    let perhaps = NetworkSummary { ipv6: Ipv6::Unknown, ..with_relay(kind("symmetric")) };
    let found = predict(&meeting(perhaps, perhaps));
    assert_eq!((found.path, found.sure), (Path::Relay, false));
}

#[test]
fn two_ends_behind_one_carrier_need_a_relay_though_both_look_easy() {
    let carrier = NetworkSummary { cgnat: Cgnat::Likely, ..with_relay(kind("port-restricted")) };
    let same = Meeting { same_address: Some(true), ..meeting(carrier, carrier) };
    assert_eq!(predict(&same).path, Path::Relay);
    let home = with_relay(kind("port-restricted"));
    let same = Meeting { same_address: Some(true), ..meeting(home, home) };
    assert_eq!((predict(&same).path, predict(&same).sure), (Path::Direct, false));
}

#[test]
fn a_relay_at_one_end_may_do_and_a_guest_makes_it_sure() {
    let hard = kind("symmetric");
    let one = meeting(hard, with_relay(hard));
    assert_eq!((predict(&one).path, predict(&one).sure), (Path::Relay, false));
    let guest = Meeting { guest: true, ..one };
    assert_eq!((predict(&guest).path, predict(&guest).sure), (Path::Relay, true));
    let closed = meeting(kind("blocked"), with_relay(hard));
    assert!(predict(&closed).why.contains("must log in"), "{:?}", predict(&closed));
}

#[test]
fn every_summary_there_can_be_gets_a_sentence() {
    for bits in (0..=u16::MAX).step_by(7) {
        let ours = NetworkSummary::from_bits(bits);
        let theirs = NetworkSummary::from_bits(bits.wrapping_mul(31));
        let found = predict(&meeting(ours, theirs));
        assert!(found.why.ends_with('.') && found.why.len() > 20, "{found:?}");
        assert!(!found.sentence().contains(['\n', '\u{1b}']));
    }
}
