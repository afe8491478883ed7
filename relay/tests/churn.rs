//! Clients that come, talk, and leave in every way there is, good and bad: what the relay takes for them it gives
//! back. Half a minute here; `P2PCALL_RELAY_CHURN_SECONDS=1800 cargo test -p p2pcall-relay --test churn --
//! --nocapture` prints what half an hour does.
#![cfg(all(target_os = "linux", feature = "server"))]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, prints what it measured, and measures time"
)]

#[path = "support/running.rs"]
mod running;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use p2pcall_relay::client::{Client, ClientError, Session, Trust, Wire};
use p2pcall_relay::link::Transport;
use p2pcall_relay::server::Credential;
use p2pcall_relay::stun::ChannelNumber;
use running::{Running, state};
use tokio::io::AsyncWriteExt as _;

/// Relayed ports.
const PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_700;
/// People at a time, and how long each rests between two visits.
const PEOPLE: u64 = 13;
const REST: Duration = Duration::from_millis(50);
/// Each so many visits a UDP client leaves without a word, and its allocation lives on for ten minutes.
const ABANDON_EVERY: u64 = 97;
const PATIENCE: Duration = Duration::from_secs(10);
/// What may stay in memory when all have left: what the allocator keeps, and tables that do not shrink.
const SLACK_KB: u64 = 2048;

/// Where to, and what became of it.
struct Place {
    udp: SocketAddr,
    tls: SocketAddr,
    stop: AtomicBool,
    visits: AtomicU64,
    abandoned: AtomicU64,
}

#[test]
fn what_comes_and_goes_leaves_nothing_behind() {
    let seconds = std::env::var("P2PCALL_RELAY_CHURN_SECONDS").map_or(24, |text| text.parse().unwrap());
    let [port, tls] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let ports = format!("{}-{}", PORTS.start(), PORTS.end());
    let words = ["--listen", &port.to_string(), "--tls", &tls.to_string(), "--port-range", &ports];
    let rest = ["--user", "alice:wonder", "--threads", "2", "--drain", "0s"];
    let relay = Running::start(&state("churn"), &[&words, &rest[..]].concat());
    let place = Arc::new(Place {
        udp: port,
        tls,
        stop: AtomicBool::new(false),
        visits: AtomicU64::new(0),
        abandoned: AtomicU64::new(0),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let idle = Sample::of(&relay);
    let people: Vec<_> =
        (0..PEOPLE).map(|person| runtime.spawn(come_and_go(Arc::clone(&place), person))).collect();
    let samples = watch(&relay, &place, Duration::from_secs(seconds));
    place.stop.store(true, Ordering::Relaxed);
    for person in people {
        runtime.block_on(person).unwrap();
    }
    let after = settle(&relay, &place, &idle);
    println!("in the end: {after}, idle before: {idle}");
    let half = &samples[samples.len() / 2];
    assert!(after.resident_kb < half.resident_kb + SLACK_KB, "memory grew: {half}, then {after}");
    let (code, log) = relay.end();
    assert_eq!(code, Some(0));
    assert!(!log.contains("panicked"));
}

/// Looks at the relay now and then, and prints it.
fn watch(relay: &Running, place: &Place, duration: Duration) -> Vec<Sample> {
    let begun = Instant::now();
    let mut samples = Vec::new();
    while begun.elapsed() < duration {
        std::thread::sleep(duration / 30);
        samples.push(Sample::of(relay));
        let visits = place.visits.load(Ordering::Relaxed);
        println!("{:5} s: {visits} visits, {}", begun.elapsed().as_secs(), samples.last().unwrap());
    }
    samples
}

/// Waits until only that is left of the visitors which has to be: the ports of those who left without a word.
fn settle(relay: &Running, place: &Place, idle: &Sample) -> Sample {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let now = Sample::of(relay);
        // In the long run some of the abandoned have expired.
        let abandoned = place.abandoned.load(Ordering::Relaxed);
        let good = now.ports <= abandoned && now.descriptors <= idle.descriptors + now.ports;
        if good || Instant::now() > deadline {
            assert!(good, "{abandoned} abandoned; idle: {idle}; now: {now}");
            return now;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What the relay holds at a moment, as the system counts it.
struct Sample {
    resident_kb: u64,
    descriptors: u64,
    /// UDP sockets on relayed ports.
    ports: u64,
}

impl Sample {
    fn of(relay: &Running) -> Self {
        let process = format!("/proc/{}", relay.id());
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let open = std::fs::read_dir(format!("{process}/fd")).unwrap().flatten();
        let open: Vec<String> = open
            .map(|entry| std::fs::read_link(entry.path()).unwrap_or_default().to_string_lossy().into_owned())
            .collect();
        let bound = std::fs::read_to_string("/proc/net/udp").unwrap();
        let is_relayed = |line: &&str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let port = words.get(1).and_then(|local| u16::from_str_radix(local.split_once(':')?.1, 16).ok());
            let socket = words.get(9).map(|inode| format!("socket:[{inode}]"));
            port.is_some_and(|port| PORTS.contains(&port))
                && socket.is_some_and(|socket| open.contains(&socket))
        };
        Self {
            resident_kb: resident.split_whitespace().next().unwrap().parse().unwrap(),
            ports: bound.lines().filter(is_relayed).count() as u64,
            descriptors: open.len() as u64,
        }
    }
}

impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resident_kb, descriptors, ports } = self;
        write!(f, "resident {resident_kb} kB, {descriptors} descriptors, {ports} relayed ports")
    }
}

/// One after another, in every way there is.
async fn come_and_go(place: Arc<Place>, person: u64) {
    let mut visit = person;
    while !place.stop.load(Ordering::Relaxed) {
        visit += PEOPLE;
        place.visits.fetch_add(1, Ordering::Relaxed);
        let outcome = match visit % 8 {
            0 => talk(&place, Transport::Udp, Transport::Udp).await,
            1 => talk(&place, Transport::Tcp, Transport::Udp).await,
            2 => talk(&place, Transport::Tls, Transport::Tcp).await,
            3 => hang(&place, visit).await,
            4 => rubbish(&place, visit).await,
            5 => vanish(&place, if visit % 16 == 5 { Transport::Tcp } else { Transport::Tls }).await,
            6 => stumble(&place).await,
            _ if visit % ABANDON_EVERY < 8 => {
                place.abandoned.fetch_add(1, Ordering::Relaxed);
                vanish(&place, Transport::Udp).await
            }
            _ => linger(&place).await,
        };
        match outcome {
            // The system gave us the port of somebody who had left without a word.
            Err(ClientError::Refused(refused)) if refused.code == 437 => {}
            other => other.unwrap(),
        }
        tokio::time::sleep(REST).await;
    }
}

async fn arrive(place: &Place, transport: Transport, password: &str) -> Result<Client, ClientError> {
    let wire = match transport {
        Transport::Udp => Wire::udp(place.udp).await?,
        Transport::Tcp => Wire::tcp(place.udp).await?,
        Transport::Tls => Wire::tls(place.tls, "127.0.0.1", &Trust::new(None)).await?.0,
    };
    let credential = Credential { user: "alice".to_owned(), password: password.to_owned() };
    Ok(Client::new(wire, Session::new(Some(credential))))
}

/// A call, from beginning to end.
async fn talk(place: &Place, one: Transport, other: Transport) -> Result<(), ClientError> {
    let (mut alice, mut bob) = (arrive(place, one, "wonder").await?, arrive(place, other, "wonder").await?);
    let ours = alice.allocate(Some("offerer1"), None).await?;
    let theirs = match bob.allocate(None, None).await {
        Ok(theirs) => theirs,
        Err(error) => {
            alice.refresh(0).await?;
            return Err(error);
        }
    };
    alice.bind(ChannelNumber::FIRST, theirs.relayed).await?;
    bob.bind(ChannelNumber::FIRST, ours.relayed).await?;
    for _ in 0..10 {
        alice.send(ChannelNumber::FIRST, &[7; 500]).await?;
        bob.receive(PATIENCE).await?;
    }
    alice.refresh(600).await?;
    alice.refresh(0).await?;
    bob.refresh(0).await
}

/// An allocation with a permission and a channel, prolonged, and ended.
async fn linger(place: &Place) -> Result<(), ClientError> {
    let mut client = arrive(place, Transport::Udp, "wonder").await?;
    client.allocate(None, None).await?;
    client.permit("203.0.113.9:9".parse().unwrap()).await?;
    client.bind(ChannelNumber::FIRST, "203.0.113.10:9".parse().unwrap()).await?;
    client.refresh(3600).await?;
    client.refresh(0).await
}

/// An allocation, and gone.
async fn vanish(place: &Place, transport: Transport) -> Result<(), ClientError> {
    arrive(place, transport, "wonder").await?.allocate(None, None).await.map(drop)
}

/// A wrong password, and a connection that is never used.
async fn stumble(place: &Place) -> Result<(), ClientError> {
    let mut client = arrive(place, Transport::Tcp, "wander").await?;
    let refused = client.allocate(None, None).await;
    assert!(matches!(refused, Err(ClientError::Refused(refused)) if refused.code == 401));
    arrive(place, Transport::Tls, "wonder").await.map(drop)
}

/// The first half of a message, or of a greeting by TLS, and nothing more for a while.
async fn hang(place: &Place, visit: u64) -> Result<(), ClientError> {
    let target = if visit % 16 == 3 { place.udp } else { place.tls };
    let mut stream = tokio::net::TcpStream::connect(target).await?;
    stream.write_all(&[0x00, 0x03, 0x7F, 0xFC, 0x21, 0x12]).await?;
    tokio::time::sleep(Duration::from_millis(100 * (visit % 20))).await;
    Ok(())
}

/// Bytes without sense, by datagram and by stream.
async fn rubbish(place: &Place, visit: u64) -> Result<(), ClientError> {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    let mut state = visit;
    let bytes: Vec<u8> = (0..1400)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect();
    for length in [1, 20, 100, 1400] {
        socket.send_to(bytes.chunks(length).next().unwrap_or_default(), place.udp).await?;
    }
    for target in [place.udp, place.tls] {
        let mut stream = tokio::net::TcpStream::connect(target).await?;
        // Refused in the middle, most likely.
        let _ = stream.write_all(&bytes).await;
    }
    Ok(())
}
