//! Data: to peers, from peers, between clients of one relay.

use proptest::prelude::*;

use super::*;
use crate::stun::Icmp;

/// What goes out of a relay socket, and to whom.
fn to_peer(lab: &mut Lab, user: &super::User, packet: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
    match lab.input(user.shard, user.client, packet) {
        Output::ToPeer { to, data, .. } => Some((to, data.to_vec())),
        Output::Nothing => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn data_goes_by_channel_and_by_indication_both_ways() {
    let mut lab = lab();
    let alice = lab.alice();
    let relayed = lab.allocate(&alice);
    let peer = address("192.0.2.9:7");
    let send = send_to(peer, b"one");
    assert_eq!(to_peer(&mut lab, &alice, &send), None, "no permission yet");
    assert_eq!(lab.peer_sends(relayed, "192.0.2.9:7", b"one"), None);
    lab.permit(&alice, "192.0.2.9:1234");
    assert_eq!(to_peer(&mut lab, &alice, &send), Some((peer, b"one".to_vec())));
    let (_, bytes) = lab.peer_sends(relayed, "192.0.2.9:7", b"two").unwrap();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(
        (message.get(attr::XOR_PEER_ADDRESS), message.get(attr::DATA)),
        (Some(peer), Some(&b"two"[..]))
    );
    assert_eq!(lab.bind(&alice, 0x4003, peer), 0);
    assert_eq!(to_peer(&mut lab, &alice, &channel_data(0x4003, b"three")), Some((peer, b"three".to_vec())));
    assert_eq!(
        lab.peer_sends(relayed, "192.0.2.9:7", b"four"),
        Some((alice.client, channel_data(0x4003, b"four")))
    );
    assert_eq!(to_peer(&mut lab, &alice, &channel_data(0x4004, b"x")), None, "another channel");
    let cut_off = &channel_data(0x4003, b"three")[..8];
    assert_eq!(to_peer(&mut lab, &alice, cut_off), None);
}

#[test]
fn a_permission_lasts_300_seconds_and_a_channel_600() {
    let mut lab = lab();
    let alice = lab.alice();
    let relayed = lab.allocate(&alice);
    let peer = address("192.0.2.9:7");
    lab.bind(&alice, 0x4003, peer);
    lab.refresh(&alice, 3600);
    lab.pass(299);
    assert!(lab.peer_sends(relayed, "192.0.2.9:7", b"x").is_some());
    lab.pass(1);
    assert!(lab.peer_sends(relayed, "192.0.2.9:7", b"x").is_none());
    assert!(to_peer(&mut lab, &alice, &channel_data(0x4003, b"x")).is_some());
    lab.pass(300);
    assert!(to_peer(&mut lab, &alice, &channel_data(0x4003, b"x")).is_none());
}

#[test]
fn the_first_of_two_peer_addresses_wins() {
    let mut lab = lab();
    let alice = lab.alice();
    lab.allocate(&alice);
    lab.permit(&alice, "192.0.2.1:1");
    let mut buffer = [0; 256];
    let packet = Builder::new(&mut buffer, Class::Indication, Method::SEND, TransactionId([5; 12]))
        .put(attr::XOR_PEER_ADDRESS, address("192.0.2.1:1"))
        .put(attr::XOR_PEER_ADDRESS, address("192.0.2.2:2"))
        .put(attr::DATA, b"x")
        .put(attr::DONT_FRAGMENT, ())
        .finish(Seal::NONE)
        .unwrap();
    let output = lab.input(0, alice.client, packet);
    let Output::ToPeer { to, dont_fragment: true, .. } = output else { panic!("{output:?}") };
    assert_eq!(to, address("192.0.2.1:1"));
}

#[test]
fn two_clients_meet_inside_by_any_of_the_relays_addresses() {
    for by in ["203.0.113.5", "10.0.0.5"] {
        let mut lab = lab();
        let (alice, bob) = (lab.alice(), lab.bob());
        let (a, b) = (lab.allocate(&alice), lab.allocate(&bob));
        let via = |relayed: SocketAddr| SocketAddr::new(by.parse().unwrap(), relayed.port());
        assert_eq!(lab.bind(&alice, 0x4000, via(b)), 0);
        let packet = channel_data(0x4000, b"hi");
        assert!(to_client(lab.input(0, alice.client, &packet)).is_none(), "bob has not permitted it");
        assert_eq!(lab.permit(&bob, &via(a).to_string()), 0);
        let (to, bytes) = to_client(lab.input(0, alice.client, &packet)).unwrap();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((to, message.get(attr::DATA)), (bob.client, Some(&b"hi"[..])));
        assert_eq!(message.get(attr::XOR_PEER_ADDRESS), Some(a), "the form bob knows");
        assert_eq!(lab.bind(&bob, 0x4009, via(a)), 0);
        let (_, bytes) = to_client(lab.input(0, alice.client, &packet)).unwrap();
        assert_eq!(bytes, channel_data(0x4009, b"hi"));
        assert_eq!(lab.shards[0].counters().packets_inside, 3);
    }
}

#[test]
fn clients_of_two_shards_meet_too_also_on_streams() {
    let mut lab = lab();
    let alice = lab.alice();
    let stream = Client { address: address("198.51.100.2:5"), via: Via::Stream(7) };
    let bob = lab.join_by(stream, 1, "bob", "bob's word");
    let (a, b) = (lab.allocate(&alice), lab.allocate(&bob));
    lab.bind(&alice, 0x4000, b);
    lab.bind(&bob, 0x4001, a);
    let packet = channel_data(0x4000, b"hello");
    let output = lab.shards[0].handle_client(lab.now, alice.client, &packet, &mut lab.sockets[0]);
    let Output::ToShard { shard, to, from, data } = output else { panic!("{output:?}") };
    assert_eq!(shard, Shard::new(1).unwrap());
    let (client, bytes) = to_client(lab.shards[1].handle_relayed(lab.now, to, from, data)).unwrap();
    assert_eq!((client, bytes), (stream, [&channel_data(0x4001, b"hello")[..], &[0, 0, 0]].concat()));
}

#[test]
fn nothing_reaches_the_relays_own_services() {
    let mut lab = lab();
    let alice = lab.alice();
    lab.allocate(&alice);
    assert_eq!(lab.permit(&alice, "203.0.113.5:9"), 0);
    for port in [9, 22, 3478, 60_000] {
        let packet = send_to(SocketAddr::new(address("203.0.113.5:1").ip(), port), b"x");
        assert_eq!(to_peer(&mut lab, &alice, &packet), None, "{port}");
    }
}

#[test]
fn a_dead_allocation_relays_nothing_even_before_it_is_swept() {
    let mut lab = lab();
    let alice = lab.alice();
    let relayed = lab.allocate(&alice);
    let peer = address("192.0.2.9:7");
    lab.bind(&alice, 0x4003, peer);
    let (_, id) = lab.socket(relayed);
    lab.now.monotonic += Duration::from_secs(601);
    assert_eq!(to_peer(&mut lab, &alice, &channel_data(0x4003, b"x")), None);
    lab.pass(1);
    assert!(matches!(lab.shards[0].handle_peer(lab.now, id, peer, b"x"), Output::Nothing));
}

#[test]
fn a_bandwidth_cap_drops_what_is_over() {
    let mut lab = lab_with(|settings| settings.limits.kilobits = Some(80));
    let alice = lab.alice();
    lab.allocate(&alice);
    lab.bind(&alice, 0x4003, address("192.0.2.9:7"));
    let packet = channel_data(0x4003, &[0; 1000]);
    let mut passed = || (0..100).filter(|_| to_peer(&mut lab, &alice, &packet).is_some()).count();
    assert_eq!(passed(), 5);
    lab.now.monotonic += Duration::from_millis(300);
    let again = (0..100).filter(|_| to_peer(&mut lab, &alice, &packet).is_some()).count();
    assert_eq!(again, 3);
}

#[test]
fn an_icmp_error_is_told_to_those_with_a_permission() {
    let mut lab = lab();
    let alice = lab.alice();
    let relayed = lab.allocate(&alice);
    let (_, id) = lab.socket(relayed);
    let icmp = Icmp { kind: 3, code: 4, data: 1400 };
    let peer = address("192.0.2.9:7");
    assert!(to_client(lab.shards[0].handle_icmp(lab.now, id, peer, icmp)).is_none());
    lab.permit(&alice, "192.0.2.9:7");
    let (_, bytes) = to_client(lab.shards[0].handle_icmp(lab.now, id, peer, icmp)).unwrap();
    assert_eq!(Message::parse(&bytes).unwrap().get(attr::ICMP), Some(icmp));
}

proptest! {
    #[test]
    fn no_packet_of_anybody_makes_it_panic(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..20),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut lab = lab();
        let alice = lab.alice();
        let relayed = lab.allocate(&alice);
        for packet in &packets {
            let _ = lab.input(0, alice.client, packet);
            let _ = lab.peer_sends(relayed, "192.0.2.9:7", packet);
        }
        let mut bent = lab.signed(&alice, Method::CHANNEL_BIND, |b| {
            b.put(attr::CHANNEL_NUMBER, 0x4000).put(attr::XOR_PEER_ADDRESS, address("192.0.2.9:7")).put(attr::GUEST, &[1; 9])
        });
        for (at, flip) in flips {
            let at = at.index(bent.len());
            bent[at] ^= flip;
        }
        let _ = lab.input(0, alice.client, &bent);
    }
}
