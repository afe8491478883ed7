//! Allocate, Refresh, permissions, channels: what is granted and what is refused, each with its code.

use super::*;
use crate::stun::{AddressFamily, Builder};

fn refused(fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> u16 {
    let mut lab = lab();
    let alice = lab.alice();
    let code = lab.ask(&alice, Method::ALLOCATE, fill).error();
    assert!(lab.sockets[0].open.is_empty() || code == 0);
    code
}

#[test]
fn an_allocation_has_an_external_address_and_a_clamped_lifetime() {
    for (asked, granted) in [(None, 600), (Some(1), 600), (Some(1000), 1000), (Some(u32::MAX), 3600)] {
        let mut lab = lab();
        let alice = lab.alice();
        let answer = lab.ask(&alice, Method::ALLOCATE, |b| {
            b.put(attr::REQUESTED_TRANSPORT, attr::UDP).put_some(attr::LIFETIME, asked)
        });
        assert_eq!(answer.message().get(attr::LIFETIME), Some(granted));
        assert_eq!(answer.relayed().ip(), address("203.0.113.5:1").ip());
        assert!((49_152..=65_535).contains(&answer.relayed().port()));
        assert_eq!(answer.message().get(attr::XOR_MAPPED_ADDRESS), Some(alice.client.address));
    }
}

#[test]
fn a_request_that_makes_no_sense_is_refused_by_the_right_number() {
    assert_eq!(refused(|b| b), 400);
    assert_eq!(refused(|b| b.put(attr::REQUESTED_TRANSPORT, 6)), 442);
    let t = attr::REQUESTED_TRANSPORT;
    let (family, additional) = (attr::REQUESTED_ADDRESS_FAMILY, attr::ADDITIONAL_ADDRESS_FAMILY);
    let (v4, v6) = (AddressFamily::V4, AddressFamily::V6);
    assert_eq!(refused(|b| b.put(t, 17).put(family, AddressFamily::Other(9))), 440);
    assert_eq!(refused(|b| b.put(t, 17).put(family, v6).put(additional, v6)), 400);
    assert_eq!(refused(|b| b.put(t, 17).put(additional, v4)), 400);
    assert_eq!(refused(|b| b.put(t, 17).put(additional, v6).put(attr::EVEN_PORT, 0x80)), 400);
    assert_eq!(refused(|b| b.put(t, 17).put(attr::RESERVATION_TOKEN, 1).put(attr::EVEN_PORT, 0)), 400);
    assert_eq!(refused(|b| b.put(t, 17).put(attr::RESERVATION_TOKEN, 1)), 508);
    assert_eq!(refused(|b| b.put(t, 17).put(family, v6)), 0);
}

#[test]
fn a_family_the_relay_does_not_have_is_440() {
    let mut lab = lab_with(|settings| settings.peers.relays.truncate(1));
    let alice = lab.alice();
    let (t, family, additional) =
        (attr::REQUESTED_TRANSPORT, attr::REQUESTED_ADDRESS_FAMILY, attr::ADDITIONAL_ADDRESS_FAMILY);
    let answer = lab.ask(&alice, Method::ALLOCATE, |b| b.put(t, 17).put(family, AddressFamily::V6));
    assert_eq!(answer.error(), 440);
    let answer = lab.ask(&alice, Method::ALLOCATE, |b| b.put(t, 17).put(additional, AddressFamily::V6));
    let (family, error) = answer.message().get(attr::ADDRESS_ERROR_CODE).unwrap();
    assert_eq!((answer.error(), family, error.code), (0, AddressFamily::V6, 440));
}

#[test]
fn an_unknown_required_attribute_is_420_and_named() {
    let mut lab = lab();
    let alice = lab.alice();
    let mut unsigned = build(Method::ALLOCATE, TransactionId([3; 12]), Seal::NONE, |b| {
        b.put(attr::REQUESTED_TRANSPORT, 17)
            .put(attr::RESPONSE_PORT, 1)
            .put(attr::USERNAME, &alice.name)
            .put(attr::REALM, "p2p")
            .put(attr::NONCE, &alice.nonce)
    });
    unsigned[28..30].copy_from_slice(&[0x7F, 0x01]);
    let mac = {
        let mut covered = unsigned.clone();
        let length = (unsigned.len() - 20 + 24) as u16;
        covered[2..4].copy_from_slice(&length.to_be_bytes());
        alice.key().sha1(&[&covered])
    };
    let length = (unsigned.len() - 20 + 24) as u16;
    unsigned[2..4].copy_from_slice(&length.to_be_bytes());
    unsigned.extend([0, 8, 0, 20]);
    unsigned.extend(mac);
    let answer = lab.request(0, alice.client, &unsigned);
    assert_eq!(answer.error(), 420);
    assert_eq!(answer.message().get(attr::UNKNOWN_ATTRIBUTES), Some(&[[0x7F, 1]][..]));
}

#[test]
fn a_retransmitted_allocate_gets_the_same_answer_and_another_one_437() {
    let mut lab = lab();
    let alice = lab.alice();
    let packet = lab.signed(&alice, Method::ALLOCATE, |b| {
        b.put(attr::REQUESTED_TRANSPORT, 17).put(attr::EVEN_PORT, 0x80)
    });
    let first = lab.request(0, alice.client, &packet);
    assert!(first.message().contains(attr::RESERVATION_TOKEN));
    lab.pass(2);
    assert_eq!(lab.request(0, alice.client, &packet).0, first.0);
    let answer = lab.ask(&alice, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17));
    assert_eq!(answer.error(), 437);
}

#[test]
fn a_refresh_of_zero_ends_the_allocation_and_the_same_5_tuple_gets_a_new_one_at_once() {
    let mut lab = lab();
    let alice = lab.alice();
    for _ in 0..3 {
        lab.allocate(&alice);
        assert_eq!(lab.refresh(&alice, 0).message().get(attr::LIFETIME), Some(0));
        assert!(lab.sockets[0].open.is_empty());
        assert_eq!(lab.refresh(&alice, 600).error(), 437);
    }
    assert_eq!(lab.shared.allocations(), 0);
}

#[test]
fn an_allocation_ends_when_nobody_refreshes_it() {
    let mut lab = lab();
    let (alice, bob) = (lab.alice(), lab.bob());
    lab.allocate(&alice);
    lab.allocate(&bob);
    lab.pass(500);
    assert_eq!(lab.refresh(&alice, 3600).message().get(attr::LIFETIME), Some(3600));
    lab.pass(200);
    assert_eq!(lab.shared.allocations(), 1);
    lab.pass(3300);
    assert_eq!(lab.shared.allocations(), 1);
    lab.pass(200);
    assert_eq!((lab.shared.allocations(), lab.sockets[0].open.len()), (0, 0));
    assert_eq!(lab.shards[0].poll_timeout(), None);
}

#[test]
fn another_user_cannot_touch_an_allocation() {
    let mut lab = lab();
    let alice = lab.alice();
    lab.allocate(&alice);
    let mallory = User { name: "bob".into(), password: "bob's word".into(), ..alice.clone() };
    assert_eq!(lab.refresh(&mallory, 0).error(), 441);
    assert_eq!(lab.permit(&mallory, "203.0.113.9:1"), 441);
    assert_eq!(lab.bind(&mallory, 0x4000, address("203.0.113.9:1")), 441);
    assert_eq!(lab.refresh(&alice, 600).error(), 0);
}

#[test]
fn a_reserved_port_goes_to_whoever_has_the_token_on_any_shard_and_once() {
    let mut lab = lab();
    let (alice, bob) = (lab.alice(), lab.join("198.51.100.2:1", 1, "bob", "bob's word"));
    let answer = lab
        .ask(&alice, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17).put(attr::EVEN_PORT, 0x80));
    let (port, token) = (answer.relayed().port(), answer.message().get(attr::RESERVATION_TOKEN).unwrap());
    let answer = lab.ask(&bob, Method::ALLOCATE, |b| {
        b.put(attr::REQUESTED_TRANSPORT, 17).put(attr::RESERVATION_TOKEN, token)
    });
    assert_eq!((port % 2, answer.relayed().port()), (0, port + 1));
    let carol = lab.join("198.51.100.3:1", 0, "bob", "bob's word");
    let answer = lab.ask(&carol, Method::ALLOCATE, |b| {
        b.put(attr::REQUESTED_TRANSPORT, 17).put(attr::RESERVATION_TOKEN, token)
    });
    assert_eq!(answer.error(), 508);
}

#[test]
fn even_ports_leak_nothing() {
    let mut lab = lab_with(|settings| settings.ports = 50_000..=50_063);
    let alice = lab.alice();
    for round in 0..2_000 {
        let answer = lab.ask(&alice, Method::ALLOCATE, |b| {
            b.put(attr::REQUESTED_TRANSPORT, 17).put(attr::EVEN_PORT, 0x80)
        });
        assert_eq!(answer.error(), 0, "round {round}");
        lab.refresh(&alice, 0);
        if round % 20 == 19 {
            lab.pass(31);
        }
    }
    lab.pass(31);
    assert_eq!(lab.shared.ports(0).unwrap().taken(), 0);
}

#[test]
fn a_port_that_somebody_else_has_is_passed_over() {
    let mut lab = lab_with(|settings| settings.ports = 50_000..=50_003);
    lab.sockets[0].busy = vec![50_000, 50_001, 50_003];
    let alice = lab.alice();
    let answer = lab.ask(&alice, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17));
    assert!(matches!(answer.error(), 0 | 508), "found in eight tries, or not");
    assert_eq!(lab.shared.ports(0).unwrap().taken(), usize::from(answer.error() == 0));
}

#[test]
fn two_families_can_be_had_and_given_back_one_by_one() {
    let mut lab = lab();
    let alice = lab.alice();
    let v6 = AddressFamily::V6;
    let answer = lab.ask(&alice, Method::ALLOCATE, |b| {
        b.put(attr::REQUESTED_TRANSPORT, 17).put(attr::ADDITIONAL_ADDRESS_FAMILY, v6)
    });
    let relayed: Vec<_> = answer.message().all(attr::XOR_RELAYED_ADDRESS).collect();
    assert!(relayed[0].is_ipv4() && relayed[1].is_ipv6() && relayed.len() == 2);
    assert_eq!(lab.permit(&alice, "[2001:db8:9::1]:5"), 0);
    let answer = lab
        .ask(&alice, Method::REFRESH, |b| b.put(attr::LIFETIME, 0).put(attr::REQUESTED_ADDRESS_FAMILY, v6));
    assert_eq!((answer.error(), lab.sockets[0].open.len()), (0, 1));
    assert_eq!(lab.permit(&alice, "[2001:db8:9::1]:5"), 443);
    let answer = lab.ask(&alice, Method::REFRESH, |b| b.put(attr::REQUESTED_ADDRESS_FAMILY, v6));
    assert_eq!(answer.error(), 443);
}

#[test]
fn one_denied_peer_refuses_all_of_them() {
    let mut lab = lab();
    let alice = lab.alice();
    let relayed = lab.allocate(&alice);
    let answer = lab.ask(&alice, Method::CREATE_PERMISSION, |b| {
        b.put(attr::XOR_PEER_ADDRESS, address("192.0.2.9:1"))
            .put(attr::XOR_PEER_ADDRESS, address("169.254.169.254:80"))
    });
    assert_eq!(answer.error(), 403);
    assert_eq!(lab.peer_sends(relayed, "192.0.2.9:1", b"x"), None);
    assert_eq!(lab.bind(&alice, 0x4000, address("127.0.0.1:22")), 403);
    assert_eq!(lab.bind(&alice, 0x4000, address("203.0.113.5:3478")), 403, "our own listener");
    assert_eq!(lab.permit(&alice, "203.0.113.5:9"), 0, "our own relayed addresses");
    assert_eq!(lab.ask(&alice, Method::CREATE_PERMISSION, |b| b).error(), 400);
}

#[test]
fn a_channel_and_a_peer_belong_to_each_other() {
    let mut lab = lab();
    let alice = lab.alice();
    assert_eq!(lab.bind(&alice, 0x4000, address("192.0.2.1:1")), 437);
    lab.allocate(&alice);
    let (one, two) = (address("192.0.2.1:1"), address("192.0.2.2:1"));
    for (channel, peer, code) in [
        (0x4000, one, 0),
        (0x4000, one, 0),
        (0x4000, two, 400),
        (0x4001, one, 400),
        (0x7FFF, two, 0),
        (0x3FFF, two, 400),
        (0x8000, two, 400),
    ] {
        assert_eq!(lab.bind(&alice, channel, peer), code, "{channel:#x} {peer}");
    }
    lab.pass(599);
    assert_eq!(lab.bind(&alice, 0x4000, two), 400);
    lab.refresh(&alice, 3600);
    lab.pass(2);
    assert_eq!(lab.bind(&alice, 0x4000, two), 0, "both have expired");
    lab.refresh(&alice, 0);
    assert_eq!(lab.sockets[0].channels, 0, "every channel that came went");
}

#[test]
fn quotas_are_refused_by_name() {
    let mut lab = lab_with(|settings| settings.limits.per_user = Some(1));
    let first = lab.alice();
    lab.allocate(&first);
    let second = lab.join("198.51.100.9:1", 1, "alice", "alice's word");
    let answer = lab.ask(&second, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17));
    let error = answer.message().get(attr::ERROR_CODE).unwrap();
    assert_eq!((error.code, error.reason), (486, "This user has too many allocations"));
    lab.refresh(&first, 0);
    lab.allocate(&second);
}

#[test]
fn a_draining_relay_takes_no_one_new_and_keeps_those_it_has() {
    let mut lab = lab_with(|settings| settings.alternate_server = Some(address("203.0.113.77:3478")));
    let (alice, bob) = (lab.alice(), lab.bob());
    lab.allocate(&alice);
    lab.shared.drain();
    let answer = lab.ask(&bob, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17));
    assert_eq!(
        (answer.error(), answer.message().get(attr::ALTERNATE_SERVER)),
        (300, Some(address("203.0.113.77:3478")))
    );
    assert_eq!(lab.refresh(&alice, 600).error(), 0);
}

#[test]
fn a_spent_budget_is_named_and_ends_calls_at_their_next_refresh() {
    let mut lab = lab();
    let (alice, bob) = (lab.alice(), lab.bob());
    lab.allocate(&alice);
    lab.shared.budget.set(100, Some(100));
    let answer = lab.ask(&bob, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17));
    assert!(answer.message().get(attr::ERROR_CODE).unwrap().reason.contains("budget"));
    assert_eq!(lab.refresh(&alice, 600).error(), 508);
    assert_eq!(lab.refresh(&alice, 0).error(), 0);
}

#[test]
fn a_closed_connection_and_a_shutdown_give_everything_back() {
    let mut lab = lab();
    let stream = Client { address: address("198.51.100.1:5"), via: Via::Stream(7) };
    let alice = lab.join_by(stream, 0, "alice", "alice's word");
    lab.allocate(&alice);
    lab.shards[0].handle_disconnect(&stream, &mut lab.sockets[0]);
    assert_eq!((lab.shared.allocations(), lab.sockets[0].open.len()), (0, 0));
    let bob = lab.bob();
    lab.allocate(&bob);
    lab.shards[0].shutdown(&mut lab.sockets[0]);
    assert_eq!((lab.shared.allocations(), lab.shared.ports(0).unwrap().taken()), (0, 0));
}
