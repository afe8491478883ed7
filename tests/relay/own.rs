//! Our own relay at the offerer alone: what is said when it refuses or goes away, and what strangers and relays
//! that lie can do.

use super::support::coturn::free_port;
use super::support::own_relay::{OwnRelay, Wishes};
use super::support::stranger::read_code;
use super::{SOON, hang_up, offer, path, refused, start, warned_of};
use p2pcall::call::event::{PathKind, Protocol};
use p2pcall::config::NetworkConfig;
use p2pcall::transport::{Credentials, GATHER_DEADLINE, GuestAccess, Transport};
use p2pcall_relay::stun::{Builder, Class, ErrorCode, Key, Message, Method, PasswordAlgorithm, Seal, attr};
use serde_json::Value;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

fn wishes() -> Wishes {
    Wishes::at("127.0.0.1", (free_port(), free_port()))
}

/// A friend who knows the code and nothing else gets through by the relay alone.
fn friend_gets_through(mut alice: super::Process, code: &str) {
    let mut bob = start(&["answer", code], &["--relay-only"]);
    for end in [&mut alice, &mut bob] {
        end.wait_for_state("connected", SOON);
        assert_eq!(path(end)["kind"], "relay");
    }
    hang_up(alice, bob);
}

#[test]
fn a_relay_that_is_full_is_named() {
    for (wishes, code, says) in [
        (Wishes { per_user: Some(1), ..wishes() }, "relay_quota", "too many allocations"),
        (Wishes { spent: true, ..wishes() }, "relay_full", "transfer budget is spent"),
    ] {
        let relay = OwnRelay::start(&wishes);
        let link = relay.link();
        // The one allocation that there may be.
        let _first = wishes.per_user.map(|_| offer(&["--relay-only", "--relay", &link]));
        let (mut alice, _) = offer(&["--relay", &link, "--stun", &relay.stun()]);
        if !warned_of(&alice, code) {
            alice.wait_for(code, SOON, |event| event["code"] == code);
        }
        let message = refused(start(&["offer"], &["--relay-only", "--relay", &link]));
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn a_code_outlives_a_restart_of_its_relay() {
    let mut relay = OwnRelay::here();
    let link = format!("{}&transport=tcp", relay.link());
    let (mut alice, code) = offer(&["--relay-only", "--relay", &link]);
    relay.kill();
    alice.wait_for("warning", SOON, |event| event["code"] == "relay_lost");
    let _again = relay.again();
    // Whoever rings too early is not known yet, and asks again.
    friend_gets_through(alice, &code);
}

#[test]
fn a_code_whose_offerer_is_gone_is_not_known_at_the_relay() {
    let relay = OwnRelay::here();
    let (alice, code) = offer(&["--relay-only", "--relay", &relay.udp_link()]);
    drop(alice);
    // Its allocation would live on for minutes; a relay that was restarted knows it no more.
    drop(relay);
    let relay = OwnRelay::start(&Wishes { ports: ports_in(&code), ..wishes() });
    let bob = start(&["answer", &code], &["--relay-only", "--timeout", "3"]);
    let message = refused(bob);
    assert!(message.contains("does not know this code"), "{message}");
    drop(relay);
}

/// Where a code's relay is.
fn ports_in(code: &str) -> (u16, u16) {
    (read_code(code).offer().guest_servers()[0].port, free_port())
}

fn guest_access(code: &str) -> GuestAccess {
    let read = read_code(code);
    let keys = read.keys();
    GuestAccess {
        host: "127.0.0.1".into(),
        open: vec![(Protocol::Udp, ports_in(code).0)],
        pin: None,
        user: keys.guest_user.clone(),
        password: keys.guest_key.clone(),
        // A liar: it means to go anywhere.
        hosts: vec!["127.0.0.1:9".parse().expect("an address")],
    }
}

#[test]
fn strangers_at_the_relay_reach_nobody_but_the_host_and_keep_nobody_out() {
    let relay = OwnRelay::here();
    let (alice, code) = offer(&["--relay-only", "--relay", &relay.link()]);
    let access = guest_access(&code);
    let victim = UdpSocket::bind("127.0.0.1:0").expect("a port");
    victim.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let strangers = runtime.block_on(async {
        let mut strangers = Vec::new();
        for _ in 0..2 {
            let network = NetworkConfig {
                relay_only: true,
                bind: vec!["127.0.0.1".parse().expect("an address")],
                ..NetworkConfig::default()
            };
            let (transport, events) = Transport::open(&network).await.expect("sockets");
            transport.visit(&access);
            let gathered = transport.gather(GATHER_DEADLINE).await;
            assert!(gathered.candidates.iter().any(|one| one.kind == PathKind::Relay), "{gathered:?}");
            let ours = Credentials { ufrag: "stranger".into(), pwd: "a password that nobody knows".into() };
            let agent = transport.call(&ours, None);
            let to = victim.local_addr().expect("bound");
            for port in agent.ports() {
                let sent = std::future::poll_fn(|cx| port.poll_send(cx, to, b"\x16through the relay")).await;
                sent.expect("still open");
            }
            strangers.push((transport, events, agent));
        }
        strangers
    });
    assert!(victim.recv(&mut [0; 100]).is_err(), "a guest reached somebody else");
    friend_gets_through(alice, &code);
    drop(strangers);
}

/// A relay that takes everything, gives out an address that is somebody else's, and lets nobody in as a guest.
fn liar(relayed: SocketAddr) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("bound").port();
    let key = Key::long_term(PasswordAlgorithm::Md5, "alice", "here", "right");
    std::thread::spawn(move || {
        let (mut request, mut response) = ([0; 2_000], [0; 2_000]);
        while let Ok((length, from)) = socket.recv_from(&mut request) {
            let Ok(message) = Message::parse(&request[..length]) else { continue };
            if message.class() != Class::Request {
                continue;
            }
            let (method, id) = (message.method(), message.id());
            let bytes = if message.verify(&key, p2pcall_relay::stun::Integrity::Sha1).is_err() {
                Builder::new(&mut response, Class::Error, method, id)
                    .put(attr::ERROR_CODE, ErrorCode { code: 401, reason: "" })
                    .put(attr::REALM, "here")
                    .put(attr::NONCE, "nonce")
                    .finish(Seal::NONE)
            } else {
                let relayed = (method == Method::ALLOCATE).then_some(relayed);
                Builder::new(&mut response, Class::Success, method, id)
                    .put_some(attr::XOR_RELAYED_ADDRESS, relayed)
                    .put(attr::LIFETIME, 600)
                    .put_some(attr::DOORBELL, message.get(attr::DOORBELL))
                    .put_some(attr::GUEST, message.get(attr::GUEST).map(|_| &[][..]))
                    .finish(Seal::signed(&key))
            };
            let _ = socket.send_to(bytes.expect("it fits"), from);
        }
    });
    port
}

#[test]
fn a_relay_that_lies_leads_nobody_anywhere_and_the_direct_call_comes_about() {
    // Another offer waits where the lying relay sends everybody.
    let (other, others_code) = offer(&["--no-servers"]);
    let elsewhere = super::support::stranger::addresses(&read_code(&others_code))[0];
    let port = liar(elsewhere);
    let link = format!("turn:alice:right@127.0.0.1:{port}?transport=udp");
    let (alice, code) = offer(&["--relay", &link, "--stun", "127.0.0.1:9"]);
    let told = read_code(&code);
    assert!(told.offer().open_relay && !told.offer().guest_servers().is_empty());
    let mut alice = alice;
    let mut bob = start(&["answer", &code], &[]);
    for end in [&mut alice, &mut bob] {
        end.wait_for_state("connected", SOON);
        assert_eq!(path(end)["kind"], "host");
    }
    hang_up(alice, bob);
    assert!(other.of_kind("state").all(|state: &Value| state["state"] != "answered"));
}
