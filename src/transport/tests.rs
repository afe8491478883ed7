//! Transports on loopback sockets: two of them, or one and a server made of a plain socket.

mod coturn;

use super::*;
use crate::call::event::PathKind;
use crate::config::StunServer;
use p2pcall_relay::stun::{Builder, Class, Key, Message, Method, Seal, TransactionId, attr};
use std::future::poll_fn;
use tokio::net::UdpSocket;

const PATIENCE: Duration = Duration::from_secs(5);

fn loopback() -> NetworkConfig {
    NetworkConfig { bind: vec!["127.0.0.1".parse().unwrap()], ..NetworkConfig::default() }
}

fn alice() -> Credentials {
    Credentials { ufrag: "aliceufr".into(), pwd: "alice's password of some length".into() }
}

fn bob() -> Credentials {
    Credentials { ufrag: "bobsufra".into(), pwd: "bob's password of some length".into() }
}

fn check(tie_breaker: u64) -> Vec<u8> {
    let mut buffer = [0; 256];
    Builder::new(&mut buffer, Class::Request, Method::BINDING, TransactionId([tie_breaker as u8; 12]))
        .put(attr::USERNAME, "aliceufr:bobsufra")
        .put(attr::ICE_CONTROLLED, tie_breaker)
        .finish(Seal::signed(&Key::short_term(&alice().pwd)).with_fingerprint())
        .unwrap()
        .to_vec()
}

async fn send(port: &Port, to: SocketAddr, bytes: &[u8]) {
    poll_fn(|cx| port.poll_send(cx, to, bytes)).await.unwrap();
}

async fn receive(port: &Port) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2_000];
    let received = tokio::time::timeout(PATIENCE, poll_fn(|cx| port.poll_recv(cx, &mut buffer)));
    let (length, from) = received.await.expect("a datagram in time").unwrap();
    (buffer[..length].to_vec(), from)
}

async fn event(events: &mut mpsc::Receiver<TransportEvent>) -> TransportEvent {
    tokio::time::timeout(PATIENCE, events.recv()).await.expect("an event in time").unwrap()
}

#[tokio::test]
async fn a_ring_becomes_an_agent_and_a_second_one_is_told_that_the_code_is_used() {
    let (alices, mut rings) = Transport::open(&loopback()).await.unwrap();
    let (bobs, mut bobs_events) = Transport::open(&loopback()).await.unwrap();
    let home = alices.gather(GATHER_DEADLINE).await.candidates[0].address;
    let offer = alices.serve(&alice());

    let bob_agent = bobs.call(&bob(), Some(&alice()));
    let bob_port = bob_agent.ports().remove(0);
    send(&bob_port, home, &check(1)).await;
    send(&bob_port, home, b"\x16early").await;
    let ring = event(&mut rings).await;
    let TransportEvent::Ring { offer: rung, agent, from, relayed, .. } = ring else { panic!("{ring:?}") };
    assert_eq!((rung, from, relayed), (offer, bob_port.address(), false));

    let agent = alices.attach(agent).unwrap();
    let port = agent.ports().remove(0);
    assert_eq!((port.kind(), port.address()), (PathKind::Host, home));
    assert_eq!(receive(&port).await, (check(1), from));
    assert_eq!(receive(&port).await.0, b"\x16early");
    send(&port, from, b"\x17hello").await;
    assert_eq!(receive(&bob_port).await, (b"\x17hello".to_vec(), home));

    assert!(alices.burn(agent.id()).is_empty());
    send(&bob_port, home, &check(2)).await;
    assert_eq!(event(&mut bobs_events).await, TransportEvent::Refused { agent: bob_agent.id() });

    drop(agent);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(matches!(port.poll_send(&mut cx, from, b"x"), std::task::Poll::Ready(Err(_))));
    alices.close().await;
}

#[tokio::test]
async fn a_stun_server_tells_the_mapped_address_and_no_agent_sees_the_answer() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let stun = StunServer { host: "127.0.0.1".into(), port: server.local_addr().unwrap().port() };
    let config = NetworkConfig { stun: vec![stun], ..loopback() };
    let (transport, _events) = Transport::open(&config).await.unwrap();
    let agent = transport.call(&alice(), None);
    let mapped: SocketAddr = "203.0.113.7:4242".parse().unwrap();
    let answer = async {
        let (mut request, mut response) = ([0; 100], [0; 100]);
        let (length, from) = server.recv_from(&mut request).await.unwrap();
        let id = Message::parse(&request[..length]).unwrap().id();
        let bytes = Builder::new(&mut response, Class::Success, Method::BINDING, id)
            .put(attr::XOR_MAPPED_ADDRESS, mapped)
            .finish(Seal::NONE)
            .unwrap();
        server.send_to(bytes, from).await.unwrap();
    };
    let (gathered, ()) = tokio::join!(transport.gather(GATHER_DEADLINE), answer);
    let kinds: Vec<_> = gathered.candidates.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [PathKind::Host, PathKind::Srflx]);
    assert_eq!(gathered.candidates[1].address, mapped);
    assert_eq!(gathered.candidates[1].base, gathered.candidates[0].address);
    assert_eq!(gathered.failures, []);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(agent.ports()[0].poll_recv(&mut cx, &mut [0; 100]).is_pending());
}

#[tokio::test]
async fn a_silent_server_does_not_delay_past_the_deadline_and_is_named() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let config = NetworkConfig { stun: vec![StunServer { host: "127.0.0.1".into(), port }], ..loopback() };
    let (transport, _events) = Transport::open(&config).await.unwrap();
    let start = tokio::time::Instant::now();
    let gathered = transport.gather(Duration::from_millis(200)).await;
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(gathered.candidates.len(), 1);
    let words = gathered.failures[0].to_string();
    assert_eq!(words, format!("the STUN server 127.0.0.1:{port} does not answer over UDP"));
}

#[tokio::test]
async fn a_remote_that_is_not_there_does_not_end_the_socket() {
    let (transport, _events) = Transport::open(&loopback()).await.unwrap();
    let agent = transport.call(&alice(), None);
    let port = agent.ports().remove(0);
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for _ in 0..5 {
        send(&port, closed, b"\x16nobody").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let friend = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    send(&port, friend.local_addr().unwrap(), b"\x16hello").await;
    let mut buffer = [0; 100];
    let (length, from) = friend.recv_from(&mut buffer).await.unwrap();
    friend.send_to(&buffer[..length], from).await.unwrap();
    assert_eq!(receive(&port).await, (b"\x16hello".to_vec(), friend.local_addr().unwrap()));
}

#[tokio::test]
async fn without_servers_not_one_packet_leaves() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = server.local_addr().unwrap().port();
    let host = String::from("127.0.0.1");
    let config = NetworkConfig {
        stun: vec![StunServer { host, port }],
        relays: vec![format!("turn:u:p@127.0.0.1:{port}").parse().unwrap()],
        no_servers: true,
        ..loopback()
    };
    let (transport, _events) = Transport::open(&config).await.unwrap();
    let start = tokio::time::Instant::now();
    let gathered = transport.gather(GATHER_DEADLINE).await;
    assert!(start.elapsed() < Duration::from_millis(200));
    assert_eq!((gathered.candidates.len(), gathered.failures), (1, vec![]));
    let mut buffer = [0; 100];
    let silence = tokio::time::timeout(Duration::from_millis(100), server.recv_from(&mut buffer));
    assert!(silence.await.is_err());
}

#[tokio::test]
async fn two_ends_talk_over_ipv6() {
    let config = NetworkConfig { bind: vec!["::1".parse().unwrap()], ..NetworkConfig::default() };
    let Ok((alices, mut rings)) = Transport::open(&config).await else {
        eprintln!("SKIPPED: no IPv6 on loopback");
        return;
    };
    let (bobs, _events) = Transport::open(&config).await.unwrap();
    alices.serve(&alice());
    let home = alices.gather(GATHER_DEADLINE).await.candidates[0].address;
    let agent = bobs.call(&bob(), Some(&alice()));
    let port = agent.ports().remove(0);
    send(&port, home, &check(1)).await;
    let TransportEvent::Ring { from, .. } = event(&mut rings).await else { panic!() };
    assert_eq!(from, port.address());
}

#[tokio::test]
async fn a_friend_gets_through_a_thousand_guesses() {
    let (alices, mut rings) = Transport::open(&loopback()).await.unwrap();
    alices.serve(&alice());
    let home = alices.gather(GATHER_DEADLINE).await.candidates[0].address;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut guess = check(7);
    for round in 0..1_000_u32 {
        guess[8..12].copy_from_slice(&round.to_be_bytes());
        stranger.send_to(&guess, home).await.unwrap();
        if round % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let (bobs, _events) = Transport::open(&loopback()).await.unwrap();
    let agent = bobs.call(&bob(), Some(&alice()));
    send(&agent.ports()[0], home, &check(1)).await;
    let TransportEvent::Ring { from, .. } = event(&mut rings).await else { panic!() };
    assert_eq!(from, agent.ports()[0].address());
    assert_eq!(alices.dropped().wrong_integrity, 1_000);
}

#[tokio::test]
async fn an_address_of_another_machine_cannot_be_bound() {
    let config = NetworkConfig { bind: vec!["203.0.113.77".parse().unwrap()], ..NetworkConfig::default() };
    let error = Transport::open(&config).await.unwrap_err();
    assert_eq!(error.to_string(), "203.0.113.77 is not an address of this machine");
}

#[tokio::test]
async fn all_sockets_share_one_port() {
    let bind = ["127.0.0.1", "127.0.0.2", "::1"].map(|address| address.parse().unwrap()).to_vec();
    let (transport, _events) =
        Transport::open(&NetworkConfig { bind, ..NetworkConfig::default() }).await.unwrap();
    let candidates = transport.gather(GATHER_DEADLINE).await.candidates;
    assert_eq!(candidates.len(), 3);
    assert!(candidates.iter().all(|one| one.address.port() == candidates[0].address.port()));
}
