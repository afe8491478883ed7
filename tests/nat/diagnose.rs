//! What `diagnose` says of each kind of network, with servers of each kind.

use super::natlab::diagnosis::{self, Diagnosis};
use super::natlab::kind::Kind::{
    self, AddressRestricted, Firewalled, FullCone, Offline, PortRestricted, Public, Symmetric,
    SymmetricByAddress, SymmetricSequential, TlsOnly, UdpBlocked,
};
use super::natlab::truth::{Asked, Truth};
use super::natlab::{other, relay::Relay, world::World};
use super::{SLOWNESS, all_of, support};
use std::time::Duration;

/// Nobody waits longer, whatever does not answer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);

/// What is wrong with it, if anything.
fn complaint(kind: Kind, asked: Asked, found: &Diagnosis) -> Option<String> {
    let name = format!("diagnose, {}, {}", kind.name(), asked.title());
    support::measured(&name, found.took);
    let truth = Truth::of(kind, asked);
    let right = found.is(&truth) && found.took < DEADLINE + SLOWNESS;
    (!right).then(|| format!("{name}: {truth:?}, {found:?}"))
}

#[test]
fn every_kind_is_told_by_our_relay_as_the_only_server() {
    all_of(&Kind::ALL, |kind| complaint(*kind, Asked::Relay, &diagnosis::diagnose(*kind, Asked::Relay)?));
}

#[test]
fn with_lesser_servers_it_is_right_as_far_as_they_can_tell() {
    let kinds = |asked, kinds: &[Kind]| kinds.iter().map(|kind| (*kind, asked)).collect::<Vec<_>>();
    let alone = [FullCone, PortRestricted, Symmetric, SymmetricByAddress, TlsOnly];
    let ports = [Public, Firewalled, FullCone, AddressRestricted, SymmetricSequential, SymmetricByAddress];
    let plain = [Firewalled, PortRestricted, Symmetric, SymmetricByAddress, UdpBlocked];
    let all = [
        kinds(Asked::RelayWithOneAddress, &alone),
        kinds(Asked::TwoPorts, &ports),
        kinds(Asked::Plain, &plain),
    ];
    all_of(&all.concat(), |(kind, asked)| complaint(*kind, *asked, &diagnosis::diagnose(*kind, *asked)?));
}

#[test]
fn another_tool_says_the_same_of_mapping_and_filtering() {
    let all =
        [Firewalled, FullCone, AddressRestricted, PortRestricted, SymmetricSequential, SymmetricByAddress];
    all_of(&all, |kind| {
        let world = World::new([(*kind).into(), Public.into()])?;
        let _server = other::server(&world)?;
        let theirs = other::opinion(&world)?;
        let ours = diagnosis::run(&world, "alice", &Relay::stun());
        let same =
            ours.word("/nat/mapping") == theirs.mapping && ours.word("/nat/filtering") == theirs.filtering;
        (!same).then(|| format!("{}: {theirs:?}, {ours:?}", kind.name()))
    });
}

#[test]
fn without_a_server_that_answers_it_says_what_it_does_not_know() {
    let all = [(PortRestricted, "relay_missing", 20), (Offline, "offline", 30)];
    all_of(&all, |(kind, verdict, exit)| {
        let found = diagnosis::diagnose(*kind, Asked::Nobody)?;
        // The machine answers on TCP 443 and 3478: so there is a network, and UDP came back from nowhere.
        let right = found.word("/verdict") == *verdict && found.exit == *exit;
        let unknown = found.word("/nat/mapping") == "unknown" && found.said["nat"]["present"].is_null();
        let soon = found.took < DEADLINE + SLOWNESS;
        (!right || !unknown || !soon).then(|| format!("{}: {found:?}", kind.name()))
    });
}

#[test]
fn where_only_tls_gets_out_a_relay_with_tls_is_enough() {
    let Some(world) = World::new([TlsOnly.into(), Public.into()]) else { return };
    let relay = Relay::start(&world);
    let link = relay.options().into_iter().find(|link| link.starts_with("turns:")).expect("a link for TLS");
    let found =
        diagnosis::run(&world, "alice", &["--stun", "192.0.2.1:3478", "--relay", &link].map(str::to_owned));
    support::measured("diagnose, TLS only, a relay with TLS alone", found.took);
    assert_eq!((found.word("/verdict"), found.exit), ("relay", 10), "{found:?}");
    assert!(found.said["relays"][0]["tls"]["ok"] == true && found.said["tls"]["443"] == true, "{found:?}");
    assert!(found.said["tcp"]["3478"] == false && found.said["ipv4"]["udp"] == false, "{found:?}");
    assert!(found.word("/summary").contains("No UDP gets out"), "{found:?}");
    assert!(found.took < DEADLINE + SLOWNESS, "{:?}", found.took);
}
