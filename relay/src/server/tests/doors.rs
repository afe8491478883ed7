//! Doorbell and guest: how a friend without an account gets through, and nobody else.

use super::*;
use crate::stun::guest::Guest;

fn ring(ufrag: &str) -> Vec<u8> {
    build(Method::BINDING, TransactionId([2; 12]), Seal::NONE, |b| {
        b.put(attr::USERNAME, &format!("{ufrag}:answerer"))
    })
}

/// Alice with a doorbell.
fn with_doorbell(lab: &mut Lab) -> (super::User, SocketAddr) {
    let alice = lab.alice();
    let answer = lab.ask(&alice, Method::ALLOCATE, |b| {
        b.put(attr::REQUESTED_TRANSPORT, 17).put(attr::DOORBELL, "offerer1")
    });
    assert_eq!(answer.message().get(attr::DOORBELL), Some("offerer1"));
    (alice, answer.relayed())
}

#[test]
fn a_stranger_rings_and_only_rings() {
    let mut lab = lab();
    let (alice, relayed) = with_doorbell(&mut lab);
    assert_eq!(lab.peer_sends(relayed, "192.0.2.9:7", b"data"), None);
    assert_eq!(lab.peer_sends(relayed, "192.0.2.9:7", &ring("offerer2")), None);
    let (to, bytes) = lab.peer_sends(relayed, "192.0.2.9:7", &ring("offerer1")).unwrap();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(to, alice.client);
    assert_eq!(message.get(attr::XOR_PEER_ADDRESS), Some(address("192.0.2.9:7")));
    assert_eq!(message.get(attr::DATA), Some(&ring("offerer1")[..]));
    assert_eq!(lab.peer_sends(relayed, "192.0.2.9:7", b"data"), None, "until alice answers");
    lab.permit(&alice, "192.0.2.9:7");
    assert!(lab.peer_sends(relayed, "192.0.2.9:7", b"data").is_some());
}

#[test]
fn denied_addresses_do_not_ring() {
    let mut lab = lab();
    let (_, relayed) = with_doorbell(&mut lab);
    assert_eq!(lab.peer_sends(relayed, "10.9.9.9:7", &ring("offerer1")), None);
}

#[test]
fn a_doorbell_can_be_changed_and_withdrawn_by_refresh() {
    let mut lab = lab();
    let (alice, relayed) = with_doorbell(&mut lab);
    let answer = lab.ask(&alice, Method::REFRESH, |b| b.put(attr::DOORBELL, "offerer2"));
    assert_eq!(answer.message().get(attr::DOORBELL), Some("offerer2"));
    assert!(lab.peer_sends(relayed, "192.0.2.9:7", &ring("offerer2")).is_some());
    assert_eq!(lab.refresh(&alice, 600).message().get(attr::DOORBELL), None, "not asked, not echoed");
    assert!(lab.peer_sends(relayed, "192.0.2.9:7", &ring("offerer2")).is_some());
    let answer = lab.ask(&alice, Method::REFRESH, |b| b.put(attr::DOORBELL, ""));
    assert_eq!(answer.message().get(attr::DOORBELL), Some(""));
    assert_eq!(lab.peer_sends(relayed, "192.0.2.9:7", &ring("offerer2")), None);
}

#[test]
fn a_relay_without_doorbells_and_guests_does_not_echo_them() {
    let mut lab = lab_with(|settings| (settings.doorbell, settings.guest) = (false, false));
    let alice = lab.alice();
    let answer = lab.ask(&alice, Method::ALLOCATE, |b| {
        b.put(attr::REQUESTED_TRANSPORT, 17).put(attr::DOORBELL, "offerer1").put(attr::GUEST, &[1; 40])
    });
    assert!(!answer.message().contains(attr::DOORBELL) && !answer.message().contains(attr::GUEST));
    let relayed = answer.relayed();
    assert_eq!(lab.peer_sends(relayed, "192.0.2.9:7", &ring("offerer1")), None);
}

/// Alice hosts a guest whose name and password nobody on the way can read.
fn host(lab: &mut Lab, user: &super::User, method: Method) -> Answer {
    let guest = Guest::new("friend", "of-alice").unwrap();
    let id = lab.id();
    let key = user.key();
    let packet = build(method, id, Seal::signed(&key), |b| {
        b.put(attr::REQUESTED_TRANSPORT, 17)
            .put(attr::GUEST, &guest.seal(&key, &id))
            .put(attr::USERNAME, &user.name)
            .put(attr::REALM, "p2p")
            .put(attr::NONCE, &user.nonce)
    });
    lab.request(user.shard, user.client, &packet)
}

#[test]
fn a_guest_reaches_its_host_and_no_one_else() {
    let mut lab = lab();
    let alice = lab.alice();
    let answer = host(&mut lab, &alice, Method::ALLOCATE);
    let home = answer.relayed();
    assert_eq!(answer.message().get(attr::GUEST), Some(&[][..]));
    let friend = lab.join("198.51.100.3:3", 0, "friend", "of-alice");
    let away = lab.allocate(&friend);
    assert_eq!(lab.permit(&friend, "192.0.2.9:7"), 403);
    assert_eq!(lab.permit(&friend, &home.to_string()), 0);
    assert_eq!(
        lab.bind(&friend, 0x4000, address("203.0.113.5:9")),
        403,
        "another port of the host's address"
    );
    assert_eq!(lab.bind(&friend, 0x4001, home), 0);
    assert_eq!(lab.permit(&alice, &away.to_string()), 0);
    let (to, bytes) = to_client(lab.input(0, friend.client, &channel_data(0x4001, b"hello"))).unwrap();
    assert_eq!(to, alice.client);
    assert_eq!(Message::parse(&bytes).unwrap().get(attr::DATA), Some(&b"hello"[..]));
    let bob = lab.bob();
    let other = lab.allocate(&bob);
    lab.permit(&bob, &away.to_string());
    let stray = send_to(other, b"x");
    assert!(to_client(lab.input(0, friend.client, &stray)).is_none());
    let unasked = send_to(away, b"x");
    assert!(to_client(lab.input(0, bob.client, &unasked)).is_none(), "nor does anybody else reach it");
}

#[test]
fn a_guest_has_three_allocations_at_a_time_and_leaves_with_its_host() {
    let mut lab = lab();
    let alice = lab.alice();
    lab.allocate(&alice);
    assert_eq!(host(&mut lab, &alice, Method::REFRESH).error(), 0);
    let friend = lab.join("198.51.100.3:3", 1, "friend", "of-alice");
    lab.allocate(&friend);
    for (from, expect) in [("198.51.100.4:4", 0), ("198.51.100.4:5", 0), ("198.51.100.4:6", 486)] {
        let twin = lab.join(from, 0, "friend", "of-alice");
        let answer = lab.ask(&twin, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17));
        assert_eq!(answer.error(), expect, "{from}");
    }
    assert_eq!(lab.refresh(&friend, 600).error(), 0);
    lab.refresh(&alice, 0);
    assert_eq!(lab.refresh(&friend, 600).error(), 437);
    assert_eq!(lab.shared.allocations(), 2, "what the twins have ends when they refresh it, or do not");
    let late = lab.join("198.51.100.5:5", 0, "friend", "of-alice");
    assert_eq!(lab.ask(&late, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17)).error(), 401);
}

#[test]
fn a_guest_is_withdrawn_by_an_empty_attribute_and_sealed_rubbish_is_no_guest() {
    let mut lab = lab();
    let alice = lab.alice();
    host(&mut lab, &alice, Method::ALLOCATE);
    let answer = lab.ask(&alice, Method::REFRESH, |b| b.put(attr::GUEST, &[9; 30]));
    assert_eq!(answer.message().get(attr::GUEST), None);
    assert_eq!(host(&mut lab, &alice, Method::REFRESH).message().get(attr::GUEST), Some(&[][..]));
    let answer = lab.ask(&alice, Method::REFRESH, |b| b.put(attr::GUEST, &[]));
    assert_eq!(answer.message().get(attr::GUEST), Some(&[][..]));
    let friend = lab.join("198.51.100.3:3", 0, "friend", "of-alice");
    assert_eq!(lab.ask(&friend, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17)).error(), 401);
}

/// Alice with a doorbell and a guest, and the guest: where the two are.
fn call(lab: &mut Lab, ufrag: &str) -> (SocketAddr, SocketAddr) {
    let alice = lab.alice();
    let answer = lab
        .ask(&alice, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17).put(attr::DOORBELL, ufrag));
    host(lab, &alice, Method::REFRESH);
    let friend = lab.join("198.51.100.3:3", 1, "friend", "of-alice");
    (answer.relayed(), lab.allocate(&friend))
}

#[test]
fn both_ends_of_a_call_have_their_ports_again_after_a_restart() {
    let mut lab = lab();
    let before = call(&mut lab, "offerer1");
    assert_ne!(before.0, before.1);
    let bob = lab.bob();
    let others = lab.allocate(&bob);
    lab.restart();
    assert_eq!(call(&mut lab, "offerer1"), before);
    let bob = lab.bob();
    assert_ne!(lab.allocate(&bob), others, "nobody else's port can be told");
    lab.restart();
    assert_ne!(call(&mut lab, "offerer2").0, before.0, "another call, another port");
}

#[test]
fn a_port_that_somebody_has_meanwhile_is_replaced_by_another() {
    let mut lab = lab();
    let (before, _) = call(&mut lab, "offerer1");
    lab.restart();
    lab.sockets[0].busy.push(before.port());
    let (after, _) = call(&mut lab, "offerer1");
    assert_ne!(after, before);
    let bob = lab.bob();
    let answer = lab.ask(&bob, Method::ALLOCATE, |b| {
        b.put(attr::REQUESTED_TRANSPORT, 17).put(attr::DOORBELL, "offerer1")
    });
    assert_eq!(answer.error(), 0);
}
