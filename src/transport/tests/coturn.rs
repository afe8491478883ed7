//! Transports and a real coturn on loopback. Skipped, loudly, where `turnserver` is not installed.

use super::*;
use crate::call::event::Protocol;
use crate::config::{RelayLink, RelayLogin, RelayTransport};
use p2pcall_relay::server::Credential;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A relay that ends with the test.
struct Coturn {
    child: Child,
    directory: PathBuf,
    port: u16,
    tls_port: u16,
    pin: [u8; 32],
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Coturn {
    async fn start(extra: &[&str]) -> Option<Self> {
        if Command::new("turnserver")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_err()
        {
            eprintln!("SKIPPED: turnserver (package coturn) is not installed");
            return None;
        }
        Self::start_at(free_port(), free_port(), extra).await
    }

    async fn start_at(port: u16, tls_port: u16, extra: &[&str]) -> Option<Self> {
        let directory = std::env::temp_dir().join(format!("p2pcall-coturn-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let pin = write_certificate(&directory);
        let child = Command::new("turnserver")
            .current_dir(&directory)
            .args([
                "-n",
                "--listening-ip=127.0.0.1",
                "--relay-ip=127.0.0.1",
                "--allow-loopback-peers",
                "--no-cli",
            ])
            .args(["--realm=here", "--no-dtls", "--cert=cert.pem", "--pkey=key.pem", "--log-file=stdout"])
            .args(["--pidfile=pid", "--db=db"])
            .args([format!("--listening-port={port}"), format!("--tls-listening-port={tls_port}")])
            .args(extra)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let relay = Self { child, directory, port, tls_port, pin };
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", tls_port)).await.is_ok() {
                return Some(relay);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("turnserver does not listen");
    }

    fn link(&self, transport: impl Into<Option<RelayTransport>>) -> RelayLink {
        let transport = transport.into();
        let tls = transport == Some(RelayTransport::Tls);
        RelayLink {
            host: "127.0.0.1".into(),
            port: if tls { self.tls_port } else { self.port },
            transport,
            login: password("alice", "right"),
            pin: tls.then_some(self.pin),
        }
    }
}

fn password(user: &str, password: &str) -> RelayLogin {
    RelayLogin::Password(Credential { user: user.into(), password: password.into() })
}

/// A port that is free for TCP and UDP now, and most likely a moment later.
fn free_port() -> u16 {
    loop {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A self-signed certificate; the SHA-256 of its key.
fn write_certificate(directory: &std::path::Path) -> [u8; 32] {
    use sha2::Digest;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let write = |name: &str, text: String| {
        std::fs::File::create(directory.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    };
    write("cert.pem", made.cert.pem());
    write("key.pem", made.signing_key.serialize_pem());
    let parsed = rustls::server::ParsedCertificate::try_from(made.cert.der()).unwrap();
    sha2::Sha256::digest(parsed.subject_public_key_info()).into()
}

const USER: &[&str] = &["--lt-cred-mech", "--user=alice:right"];

async fn open(link: RelayLink) -> (Transport, mpsc::Receiver<TransportEvent>, Gathered) {
    let config = NetworkConfig { relays: vec![link], relay_only: true, ..loopback() };
    let (transport, events) = Transport::open(&config).await.unwrap();
    let gathered = transport.gather(GATHER_DEADLINE).await;
    (transport, events, gathered)
}

async fn failure(link: RelayLink) -> String {
    let (_transport, _events, gathered) = open(link).await;
    assert_eq!(gathered.candidates, []);
    gathered.failures[0].to_string()
}

/// Two callers on one relay, each knowing only the other's relayed address, exchange a check and data.
async fn converse(transport: RelayTransport, protocol: Protocol) {
    let Some(relay) = Coturn::start(USER).await else { return };
    let (alices, mut rings, gathered) = open(relay.link(transport)).await;
    assert_eq!(gathered.failures, []);
    let home = gathered.candidates[0];
    assert_eq!((home.kind, home.relay.unwrap().protocol), (PathKind::Relay, protocol));
    alices.serve(&alice());

    let (bobs, _events, _) = open(relay.link(transport)).await;
    let bob_agent = bobs.call(&bob(), Some(&alice()));
    let bob_port = bob_agent.ports().remove(0);
    assert_eq!((bob_port.kind(), bob_port.protocol()), (PathKind::Relay, protocol));
    send(&bob_port, home.address, &check(1)).await;
    let TransportEvent::Ring { agent, from, .. } = event(&mut rings).await else { panic!() };
    assert_eq!(from, bob_port.address());
    let agent = alices.attach(agent).unwrap();
    let port = agent.ports().remove(0);
    assert_eq!(receive(&port).await, (check(1), from));

    // First in indications, then on channels; lengths that need padding on a stream, and none.
    for round in 0..40_u8 {
        let bytes = vec![0x16; 1 + usize::from(round) * 30];
        send(&port, from, &bytes).await;
        assert_eq!(receive(&bob_port).await, (bytes.clone(), home.address));
        send(&bob_port, home.address, &bytes).await;
        assert_eq!(receive(&port).await, (bytes, from));
    }
    let start = tokio::time::Instant::now();
    alices.close().await;
    assert!(start.elapsed() < Duration::from_millis(400));
}

#[tokio::test]
async fn two_callers_meet_on_a_relay_over_udp() {
    converse(RelayTransport::Udp, Protocol::Udp).await;
}

#[tokio::test]
async fn two_callers_meet_on_a_relay_over_tcp() {
    converse(RelayTransport::Tcp, Protocol::Tcp).await;
}

#[tokio::test]
async fn two_callers_meet_on_a_relay_over_tls_by_a_pin() {
    converse(RelayTransport::Tls, Protocol::Tls).await;
}

#[tokio::test]
async fn udp_is_preferred_and_tcp_is_tried_where_it_fails() {
    let Some(relay) = Coturn::start(USER).await else { return };
    let (_transport, _events, gathered) = open(relay.link(None)).await;
    assert_eq!(gathered.candidates[0].relay.unwrap().protocol, Protocol::Udp);
    let Some(relay) = Coturn::start(&[USER[0], USER[1], "--no-udp"]).await else { return };
    let (_transport, _events, gathered) = open(relay.link(None)).await;
    assert_eq!(gathered.candidates[0].relay.unwrap().protocol, Protocol::Tcp);
}

#[tokio::test]
async fn what_a_relay_refuses_is_named() {
    let Some(relay) = Coturn::start(&[USER[0], USER[1], "--user-quota=1"]).await else { return };
    let good = relay.link(RelayTransport::Udp);
    let with = |login| RelayLink { login, ..good.clone() };
    assert_eq!(failure(with(password("alice", "wrong"))).await, "the relay 127.0.0.1 refused the password");
    assert_eq!(failure(with(password("nobody", "right"))).await, "the relay 127.0.0.1 refused the password");
    assert_eq!(failure(with(RelayLogin::None)).await, "the relay 127.0.0.1 wants a login");
    let _first = open(good.clone()).await;
    assert!(failure(good).await.ends_with("has too many allocations"));

    let tls = relay.link(RelayTransport::Tls);
    let words = failure(RelayLink { pin: None, ..tls.clone() }).await;
    assert_eq!(words, "the certificate of the relay 127.0.0.1 could not be verified");
    let words = failure(RelayLink { pin: Some([0; 32]), ..tls }).await;
    assert_eq!(words, "the relay 127.0.0.1 has another key than its link says");
}

#[tokio::test]
async fn a_secret_makes_a_login_and_a_wrong_one_is_named() {
    let Some(relay) = Coturn::start(&["--use-auth-secret", "--static-auth-secret=north"]).await else {
        return;
    };
    let link = |secret: &str| RelayLink {
        login: RelayLogin::Secret(secret.into()),
        ..relay.link(RelayTransport::Udp)
    };
    let (_transport, _events, gathered) = open(link("north")).await;
    assert_eq!((gathered.candidates.len(), gathered.failures), (1, vec![]));
    assert!(failure(link("south")).await.contains("another secret, or a clock is wrong"));
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_named_with_what_was_tried() {
    let port = free_port();
    let login = RelayLogin::None;
    let link = RelayLink { host: "127.0.0.1".into(), port, transport: None, login, pin: None };
    assert_eq!(failure(link).await, "the relay 127.0.0.1 does not answer over UDP or TCP");
}

/// A relay dies and is started again while data is sent through it.
async fn restart(transport: RelayTransport) {
    let Some(relay) = Coturn::start(USER).await else { return };
    let (transport, mut events, gathered) = open(relay.link(transport)).await;
    let lost = gathered.candidates[0];
    let (port, tls_port) = (relay.port, relay.tls_port);
    let agent = transport.call(&alice(), None);
    let virtual_port = agent.ports().remove(0);
    drop(relay);
    let Some(_relay) = Coturn::start_at(port, tls_port, USER).await else { return };
    let talk = async {
        loop {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            let _ = virtual_port.poll_send(&mut cx, "127.0.0.1:9".parse().unwrap(), b"\x16");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let listen = async {
        assert_eq!(event(&mut events).await, TransportEvent::CandidateLost(lost));
        let TransportEvent::ServerFailed(failure) = event(&mut events).await else { panic!() };
        assert_eq!(failure.code(), "relay_lost");
        let TransportEvent::CandidateLearnt(again) = event(&mut events).await else { panic!() };
        assert_eq!(again.kind, PathKind::Relay);
    };
    tokio::select! {
        () = talk => {}
        () = listen => {}
    }
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(
        virtual_port.poll_recv(&mut cx, &mut [0; 9]).is_ready(),
        "the port of the lost allocation is closed"
    );
}

#[tokio::test]
async fn a_relay_that_was_started_again_is_used_again_over_udp() {
    restart(RelayTransport::Udp).await;
}

#[tokio::test]
async fn a_relay_that_was_started_again_is_used_again_over_tcp() {
    restart(RelayTransport::Tcp).await;
}
