//! Load for a TURN server: closed loops of numbered packets through many allocations, every one accounted for.
//!
//!     load MODE SERVER USER PASSWORD PID [ALLOCATIONS [SECONDS [SIZE [WINDOW]]]]
//!
//! | MODE | what goes through the server |
//! |---|---|
//! | channel | ChannelData to a peer that echoes it |
//! | send | Send and Data indications, likewise |
//! | inside | ChannelData from one client to another and back |
//! | burst | as channel, in bursts of 16 packets that the kernel joins and splits |
//! | allocate | Allocate, ChannelBind, once for each allocation; then the memory they take |
//!
//! Prints one line: packets relayed, lost, microseconds of the server's CPU for each (from the kernel's
//! accounting of process PID), and percentiles of the round-trip time.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring tool for developers: it stops at the first surprise, and it measures time"
)]

use std::collections::HashMap;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use p2pcall_relay::client::{Client, ClientError, Session, Wire};
use p2pcall_relay::server::Credential;
use p2pcall_relay::stun::{
    Builder, ChannelData, ChannelNumber, Class, Demux, Message, Method, Seal, TransactionId, attr,
};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Nothing for so long means that what is missing is lost.
const LATE: Duration = Duration::from_millis(500);
const BURST: usize = 16;
/// Allocations that are made at a time.
const WORKERS: usize = 50;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Channel,
    Send,
    Inside,
    Burst,
    Allocate,
}

#[derive(Clone)]
struct Plan {
    mode: Mode,
    server: SocketAddr,
    credential: Credential,
    pid: u32,
    allocations: usize,
    seconds: u64,
    size: usize,
    window: usize,
}

#[derive(Default)]
struct Tally {
    returned: u64,
    lost: u64,
    micros: Vec<u32>,
}

/// A socket with the kernel's help for bursts.
struct Socket {
    inner: UdpSocket,
    state: UdpSocketState,
    join: bool,
}

impl Socket {
    fn new(socket: UdpSocket, join: bool) -> Self {
        let state = UdpSocketState::new((&socket).into()).unwrap();
        let _ = state.set_recv_buffer_size((&socket).into(), 4 << 20);
        let _ = state.set_send_buffer_size((&socket).into(), 4 << 20);
        Self { inner: socket, state, join }
    }

    /// Sends packets of one length to one address.
    async fn send(&self, to: SocketAddr, packets: &[Vec<u8>]) {
        let chunk = if self.join { BURST } else { 1 };
        for packets in packets.chunks(chunk) {
            let contents = packets.concat();
            let segment_size = (packets.len() > 1).then(|| packets[0].len());
            let transmit =
                Transmit { destination: to, ecn: None, contents: &contents, segment_size, src_ip: None };
            let sent = || self.state.try_send((&self.inner).into(), &transmit);
            self.inner.async_io(Interest::WRITABLE, sent).await.unwrap();
        }
    }

    /// At least one packet.
    async fn receive(&self, buffer: &mut [u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let slot = buffer.len() / BATCH_SIZE;
        let count = {
            let mut slices: Vec<_> = buffer.chunks_mut(slot).take(BATCH_SIZE).map(IoSliceMut::new).collect();
            let received = || self.state.recv((&self.inner).into(), &mut slices, &mut metas);
            self.inner.async_io(Interest::READABLE, received).await.unwrap()
        };
        let arrivals = metas.iter().take(count).zip(buffer.chunks(slot));
        let split = arrivals.flat_map(|(meta, bytes)| {
            bytes[..meta.len].chunks(meta.stride.max(1)).map(|packet| (meta.addr, packet.to_vec()))
        });
        split.collect()
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| words.get(at).map_or(default, |word| word.parse().unwrap());
    let mode = match words[0].as_str() {
        "channel" => Mode::Channel,
        "send" => Mode::Send,
        "inside" => Mode::Inside,
        "burst" => Mode::Burst,
        "allocate" => Mode::Allocate,
        other => panic!("unknown mode {other}"),
    };
    let plan = Plan {
        mode,
        server: words[1].parse().unwrap(),
        credential: Credential { user: words[2].clone(), password: words[3].clone() },
        pid: words[4].parse().unwrap(),
        allocations: number(5, 50),
        seconds: number(6, 3) as u64,
        size: number(7, 160),
        window: number(8, 256),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime
        .block_on(async { if mode == Mode::Allocate { allocate(&plan).await } else { relay(&plan).await } });
}

/// Nanoseconds of CPU that all threads of a process have used.
fn cpu(pid: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let time = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
    };
    threads.map(|entry| time(entry.path())).sum()
}

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A client with an allocation, and its relayed address.
async fn connect(plan: &Plan) -> (Client, SocketAddr) {
    loop {
        let wire = Wire::udp(plan.server).await.unwrap();
        let mut client = Client::new(wire, Session::new(Some(plan.credential.clone())));
        match client.allocate(None, None).await {
            Ok(allocated) => return (client, allocated.relayed),
            // The system gave us a port whose allocation of an earlier run is still there.
            Err(ClientError::Refused(refused)) if refused.code == 437 => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// One worker's share of the allocations, each with a channel.
async fn some_allocations(plan: Plan) -> Vec<Client> {
    let peer = SocketAddr::new(plan.server.ip(), 9);
    let mut clients = Vec::new();
    for _ in 0..plan.allocations / WORKERS {
        let (mut client, _) = connect(&plan).await;
        client.bind(ChannelNumber::FIRST, peer).await.unwrap();
        clients.push(client);
    }
    clients
}

async fn allocate(plan: &Plan) {
    let (before, used) = (resident_kb(plan.pid), cpu(plan.pid));
    // Several at a time, as from many people: one after another would measure how a thread wakes up.
    let workers: Vec<_> = (0..WORKERS).map(|_| tokio::spawn(some_allocations(plan.clone()))).collect();
    let mut clients = Vec::new();
    for worker in workers {
        clients.extend(worker.await.unwrap());
    }
    let (after, spent) = (resident_kb(plan.pid), cpu(plan.pid) - used);
    let count = clients.len() as f64;
    println!(
        "allocations {} cpu_us {:.1} resident_kb {:.2} idle_kb {before}",
        clients.len(),
        spent as f64 / 1000.0 / count,
        (after - before) as f64 / count
    );
    for client in &mut clients {
        let _ = client.refresh(0).await;
    }
}

async fn relay(plan: &Plan) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut loops = Vec::new();
    for index in 0..plan.allocations {
        let (socket, peer) = prepare(plan, index).await;
        loops.push((socket, peer));
    }
    let (begun, used) = (Instant::now(), cpu(plan.pid));
    let tasks: Vec<_> = loops
        .into_iter()
        .map(|(socket, peer)| tokio::spawn(turn_around(plan.clone(), socket, peer, Arc::clone(&stop))))
        .collect();
    tokio::time::sleep(Duration::from_secs(plan.seconds)).await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Tally::default();
    for task in tasks {
        let tally = task.await.unwrap();
        all.returned += tally.returned;
        all.lost += tally.lost;
        all.micros.extend(tally.micros);
    }
    let (spent, took) = (cpu(plan.pid) - used, begun.elapsed().as_secs_f64());
    all.micros.sort_unstable();
    let percentile =
        |share: f64| all.micros.get((all.micros.len() as f64 * share) as usize).copied().unwrap_or(0);
    // There and back are two packets through the server.
    let relayed = 2 * all.returned;
    println!(
        "relayed {relayed} lost {} cpu_us {:.2} per_second {:.0} rtt_us p50 {} p99 {} max {}",
        all.lost,
        spent as f64 / 1000.0 / relayed as f64,
        relayed as f64 / took,
        percentile(0.5),
        percentile(0.99),
        all.micros.last().copied().unwrap_or(0)
    );
}

/// A client with an allocation, and the other end of it: where it is, and a task that echoes.
async fn prepare(plan: &Plan, _index: usize) -> (Socket, SocketAddr) {
    let burst = plan.mode == Mode::Burst;
    let (mut client, ours) = connect(plan).await;
    let peer = if plan.mode == Mode::Inside {
        let (mut friend, theirs) = connect(plan).await;
        friend.bind(ChannelNumber::FIRST, ours).await.unwrap();
        let socket = Socket::new(friend.into_wire().into_udp().unwrap(), false);
        tokio::spawn(echo(socket, Some(plan.server)));
        theirs
    } else {
        let socket = UdpSocket::bind(SocketAddr::new(plan.server.ip(), 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(echo(Socket::new(socket, burst), None));
        address
    };
    match plan.mode {
        Mode::Send => client.permit(peer).await.unwrap(),
        _ => client.bind(ChannelNumber::FIRST, peer).await.unwrap(),
    }
    (Socket::new(client.into_wire().into_udp().unwrap(), burst), peer)
}

/// Sends everything back to where it came from.
async fn echo(socket: Socket, to: Option<SocketAddr>) {
    let mut buffer = vec![0; BATCH_SIZE * 65_536];
    loop {
        let arrived = socket.receive(&mut buffer).await;
        for group in arrived.chunk_by(|a, b| a.0 == b.0 && a.1.len() == b.1.len()) {
            let packets: Vec<_> = group.iter().map(|(_, packet)| packet.clone()).collect();
            socket.send(to.unwrap_or(group[0].0), &packets).await;
        }
    }
}

/// Keeps a window of packets under way until it is told to stop, then waits for the rest.
async fn turn_around(plan: Plan, socket: Socket, peer: SocketAddr, stop: Arc<AtomicBool>) -> Tally {
    let window = (plan.window / plan.allocations).max(1);
    let window = if plan.mode == Mode::Burst { BURST } else { window };
    let (mut tally, mut under_way, mut next) = (Tally::default(), HashMap::new(), 0u64);
    let mut buffer = vec![0; BATCH_SIZE * 65_536];
    loop {
        // A burst goes when the one before has come back; others keep the window full.
        let room =
            if plan.mode == Mode::Burst && !under_way.is_empty() { 0 } else { window - under_way.len() };
        if !stop.load(Ordering::Relaxed) && room > 0 {
            let numbers = next..next + room as u64;
            next = numbers.end;
            let packets: Vec<_> = numbers.clone().map(|number| packet(&plan, peer, number)).collect();
            under_way.extend(numbers.map(|number| (number, Instant::now())));
            socket.send(plan.server, &packets).await;
        }
        if under_way.is_empty() {
            return tally;
        }
        let Ok(arrived) = timeout(LATE, socket.receive(&mut buffer)).await else {
            tally.lost += under_way.len() as u64;
            under_way.clear();
            continue;
        };
        for (_, bytes) in arrived {
            let Some((number, length)) = read(&bytes) else { continue };
            // A number comes back once, and with as many bytes as it went.
            if let Some(sent) = under_way.remove(&number).filter(|_| length == plan.size) {
                tally.returned += 1;
                tally.micros.push(sent.elapsed().as_micros() as u32);
            }
        }
    }
}

fn packet(plan: &Plan, peer: SocketAddr, number: u64) -> Vec<u8> {
    let mut data = vec![0; plan.size];
    data[..8].copy_from_slice(&number.to_be_bytes());
    let mut buffer = vec![0; plan.size + 64];
    let length = if plan.mode == Mode::Send {
        let id = TransactionId([7; 12]);
        let builder = Builder::new(&mut buffer, Class::Indication, Method::SEND, id);
        builder.put(attr::XOR_PEER_ADDRESS, peer).put(attr::DATA, &data).finish(Seal::NONE).unwrap().len()
    } else {
        ChannelData { channel: ChannelNumber::FIRST, data: &data }.write(&mut buffer).unwrap()
    };
    buffer.truncate(length);
    buffer
}

/// Number and length of data from the server.
fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let data = match Demux::of(bytes) {
        Demux::ChannelData => ChannelData::parse(bytes)?.data,
        _ => Message::parse(bytes).ok()?.get(attr::DATA)?,
    };
    Some((u64::from_be_bytes(*data.first_chunk()?), data.len()))
}
