//! The relay on real loopback sockets, both backends by the same tests.
#![cfg(feature = "net")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails here is a failed test")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use p2pcall_relay::check;
use p2pcall_relay::client::{Client, Origin, Session, Trust, Verdict, Wire};
use p2pcall_relay::link::{Link, Login, Transport};
use p2pcall_relay::net::tls::CertificateStore;
use p2pcall_relay::net::{Backend, Plan, Relay};
use p2pcall_relay::server::{Credential, Credentials, Limits, Listener, PeerRules, Peers, RelayIp, Settings};
use p2pcall_relay::stun::ChannelNumber;
use tokio::net::UdpSocket;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(target_os = "linux")]
const BACKENDS: &[(Backend, usize)] = &[(Backend::Portable, 1), (Backend::Linux, 1), (Backend::Linux, 3)];
#[cfg(not(target_os = "linux"))]
const BACKENDS: &[(Backend, usize)] = &[(Backend::Portable, 1)];

fn anywhere() -> SocketAddr {
    SocketAddr::new(LOOPBACK, 0)
}

fn alice() -> Credential {
    Credential { user: "alice".to_owned(), password: "wonder".to_owned() }
}

/// A relay on loopback that lets its clients reach loopback.
fn start(backend: Backend, threads: usize) -> Relay {
    let rules = PeerRules { allow: vec!["127.0.0.1/32".parse().unwrap()], ..PeerRules::default() };
    let relays = vec![RelayIp { local: LOOPBACK, external: LOOPBACK }];
    let settings = Settings {
        listeners: vec![Listener::plain(anywhere(), anywhere())],
        peers: Peers { rules, relays, own: vec![LOOPBACK], services: Vec::new() },
        ports: 20_000..=30_000,
        limits: Limits::default(),
        sha256: false,
        doorbell: true,
        guest: true,
        alternate_server: None,
    };
    Relay::start(Plan {
        settings,
        credentials: Credentials::new("p2p", &[alice()], Vec::new()),
        tcp: vec![anywhere()],
        tls: vec![anywhere()],
        certificate: Some(certificate()),
        backend,
        threads,
        events: Arc::new(|_| {}),
    })
    .unwrap()
}

/// The one certificate of all tests, which run side by side: made once.
fn certificate() -> Arc<CertificateStore> {
    static STORE: std::sync::OnceLock<Arc<CertificateStore>> = std::sync::OnceLock::new();
    let make = || {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("certificate");
        let _leftover = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        Arc::new(CertificateStore::own(&directory).unwrap())
    };
    Arc::clone(STORE.get_or_init(make))
}

/// Waits until these can be bound again. The portable backend's tasks let go of their sockets at their next turn.
async fn become_free(addresses: &[SocketAddr]) {
    let free = async {
        while addresses.iter().any(|address| std::net::UdpSocket::bind(address).is_err()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.unwrap();
}

async fn wire(relay: &Relay, transport: Transport) -> Wire {
    match transport {
        Transport::Udp => Wire::udp(relay.udp()[0]).await.unwrap(),
        Transport::Tcp => Wire::tcp(relay.tcp()[0]).await.unwrap(),
        Transport::Tls => {
            let trust = Trust::new(certificate().pin());
            let (wire, verdict) = Wire::tls(relay.tls()[0], "127.0.0.1", &trust).await.unwrap();
            assert_eq!(verdict, Verdict::Pinned);
            wire
        }
    }
}

async fn client(relay: &Relay, transport: Transport) -> Client {
    Client::new(wire(relay, transport).await, Session::new(Some(alice())))
}

/// Sends from one to the other and back, with channels on both sides.
async fn talk(relay: &Relay, one: Transport, other: Transport) {
    let (mut a, mut b) = (client(relay, one).await, client(relay, other).await);
    let (ours, theirs) = (a.allocate(None, None).await.unwrap(), b.allocate(None, None).await.unwrap());
    a.bind(ChannelNumber::FIRST, theirs.relayed).await.unwrap();
    b.permit(ours.relayed).await.unwrap();
    for length in [0, 1, 2, 3, 160, 1200] {
        let data = vec![7; length];
        a.send(ChannelNumber::FIRST, &data).await.unwrap();
        let received = b.receive(PATIENCE).await.unwrap();
        assert_eq!((received.from, received.data), (Origin::Peer(ours.relayed), data), "{one} to {other}");
    }
    b.bind(ChannelNumber::FIRST, ours.relayed).await.unwrap();
    b.send(ChannelNumber::FIRST, b"back").await.unwrap();
    let received = a.receive(PATIENCE).await.unwrap();
    assert_eq!((received.from, &received.data[..]), (Origin::Channel(ChannelNumber::FIRST), &b"back"[..]));
    a.refresh(0).await.unwrap();
    b.refresh(0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_two_clients_talk_whatever_they_came_by() {
    for &(backend, threads) in BACKENDS {
        let relay = start(backend, threads);
        let all = [Transport::Udp, Transport::Tcp, Transport::Tls];
        for one in all {
            for other in all {
                talk(&relay, one, other).await;
            }
        }
        // With several threads the kernel decides which one a client meets: enough pairs meet them all.
        for _ in 0..8 {
            talk(&relay, Transport::Udp, Transport::Udp).await;
        }
        assert_eq!(relay.shared().allocations(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_outside_is_reached_in_order_and_its_port_is_really_bound() {
    for &(backend, threads) in BACKENDS {
        let relay = start(backend, threads);
        let peer = UdpSocket::bind(anywhere()).await.unwrap();
        let mut alice = client(&relay, Transport::Udp).await;
        let allocated = alice.allocate(None, None).await.unwrap();
        alice.bind(ChannelNumber::FIRST, peer.local_addr().unwrap()).await.unwrap();
        // A burst of equal packets, then others: whatever is joined and split on the way, each arrives whole.
        let packets: Vec<Vec<u8>> =
            (0..64u8).map(|n| vec![n; if n < 48 { 900 } else { usize::from(n) }]).collect();
        for packet in &packets {
            alice.send(ChannelNumber::FIRST, packet).await.unwrap();
        }
        let mut buffer = [0; 2048];
        for packet in &packets {
            let (length, from) =
                tokio::time::timeout(PATIENCE, peer.recv_from(&mut buffer)).await.unwrap().unwrap();
            assert_eq!((&buffer[..length], from), (&packet[..], allocated.relayed));
            peer.send_to(&buffer[..length], from).await.unwrap();
        }
        for packet in &packets {
            assert_eq!(&alice.receive(PATIENCE).await.unwrap().data, packet);
        }
        assert!(UdpSocket::bind(allocated.relayed).await.is_err());
        alice.refresh(0).await.unwrap();
        become_free(&[allocated.relayed]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_finds_everything_in_order() {
    for &(backend, threads) in BACKENDS {
        let relay = start(backend, threads);
        for (port, tls) in [(relay.udp()[0].port(), false), (relay.tls()[0].port(), true)] {
            let link = Link {
                host: "127.0.0.1".to_owned(),
                port,
                transport: Some(if tls { Transport::Tls } else { Transport::Udp }),
                login: Login::Password(alice()),
                pin: certificate().pin().filter(|_| tls),
            };
            let report = check::run(&link, 0, |_| {}).await;
            let failed: Vec<_> = report.steps.iter().filter(|step| !step.ok()).collect();
            assert!(report.works() && failed.is_empty(), "{failed:?}");
            assert_eq!((report.loss, report.outside), (Some(0.0), false));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_and_half_open_connections_harm_nobody() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for &(backend, threads) in BACKENDS {
        let relay = start(backend, threads);
        let mut rubbish = tokio::net::TcpStream::connect(relay.tcp()[0]).await.unwrap();
        rubbish.write_all(b"\x90not a message").await.unwrap();
        assert_eq!(rubbish.read(&mut [0; 8]).await.unwrap(), 0, "closed");
        let mut half = tokio::net::TcpStream::connect(relay.tcp()[0]).await.unwrap();
        half.write_all(&[0, 1, 0xFF, 0xFC, 0x21, 0x12]).await.unwrap();
        let socket = UdpSocket::bind(anywhere()).await.unwrap();
        for length in [0, 1, 19, 20, 21, 1500] {
            socket.send_to(&vec![0x40; length], relay.udp()[0]).await.unwrap();
            socket.send_to(&vec![0x00; length], relay.udp()[0]).await.unwrap();
        }
        talk(&relay, Transport::Udp, Transport::Tcp).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_relay_gives_back_its_ports() {
    for &(backend, threads) in BACKENDS {
        let relay = start(backend, threads);
        let (udp, mut alice) = (relay.udp()[0], client(&relay, Transport::Udp).await);
        let allocated = alice.allocate(None, None).await.unwrap();
        drop(relay);
        become_free(&[udp, allocated.relayed]).await;
    }
}
