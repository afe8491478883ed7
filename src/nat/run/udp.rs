//! I/O: feeds a sans-IO probe from sockets of the kind that calls use.
#![expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]

use crate::nat::probe::lifetime::{Lifetime, LifetimeProbe};
use crate::nat::probe::{self, Findings, Probe, SocketId, Transmit, lifetime};
use crate::transport::{bind_like_a_call, random_transaction};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Datagrams that may wait to be looked at; what comes beyond stays in the sockets' buffers.
const WAITING: usize = 64;
/// The longest datagram that is read; a STUN answer is far shorter.
const LONGEST: usize = 2048;
/// A socket that fails rests so long.
const REST: Duration = Duration::from_millis(20);

/// What both probes have in common.
trait SansIo {
    fn handle_packet(&mut self, now: Instant, socket: SocketId, from: SocketAddr, bytes: &[u8]);
    fn handle_timeout(&mut self, now: Instant);
    fn unreachable(&mut self, now: Instant, socket: SocketId, to: SocketAddr);
    fn poll_timeout(&self) -> Option<Instant>;
    fn poll_transmit(&mut self) -> Option<Transmit>;
    fn is_done(&self) -> bool;
}

macro_rules! sans_io {
    ($probe:ty) => {
        impl SansIo for $probe {
            fn handle_packet(&mut self, now: Instant, socket: SocketId, from: SocketAddr, bytes: &[u8]) {
                <$probe>::handle_packet(self, now, socket, from, bytes);
            }
            fn handle_timeout(&mut self, now: Instant) {
                <$probe>::handle_timeout(self, now);
            }
            fn unreachable(&mut self, now: Instant, socket: SocketId, to: SocketAddr) {
                <$probe>::unreachable(self, now, socket, to);
            }
            fn poll_timeout(&self) -> Option<Instant> {
                <$probe>::poll_timeout(self)
            }
            fn poll_transmit(&mut self) -> Option<Transmit> {
                <$probe>::poll_transmit(self)
            }
            fn is_done(&self) -> bool {
                <$probe>::is_done(self)
            }
        }
    };
}
sans_io!(Probe);
sans_io!(LifetimeProbe);

/// Behavior discovery from one local address.
pub(super) async fn discover(local: IpAddr, servers: &[SocketAddr]) -> std::io::Result<Findings> {
    let sockets = bind(local, probe::SOCKETS)?;
    let locals = sockets.iter().map(|socket| socket.local_addr()).collect::<std::io::Result<Vec<_>>>()?;
    let mut probe = Probe::new(Instant::now(), locals, servers, Box::new(random_transaction));
    drive(&mut probe, sockets).await;
    Ok(probe.findings().clone())
}

/// How long mappings last; takes minutes.
pub(super) async fn lifetime(
    local: IpAddr,
    server: SocketAddr,
    ports_preserved: bool,
) -> std::io::Result<Lifetime> {
    let sockets = bind(local, lifetime::SOCKETS)?;
    let ids = Box::new(random_transaction);
    let mut probe = LifetimeProbe::new(Instant::now(), server, ports_preserved, ids);
    drive(&mut probe, sockets).await;
    Ok(probe.lifetime())
}

fn bind(local: IpAddr, count: usize) -> std::io::Result<Vec<Arc<UdpSocket>>> {
    (0..count).map(|_| Ok(Arc::new(UdpSocket::from_std(bind_like_a_call(local)?)?))).collect()
}

/// Until the probe is done.
async fn drive(probe: &mut impl SansIo, sockets: Vec<Arc<UdpSocket>>) {
    let (sender, mut datagrams) = mpsc::channel(WAITING);
    let mut readers = JoinSet::new();
    for (index, socket) in sockets.iter().enumerate() {
        readers.spawn(read(SocketId(index), Arc::clone(socket), sender.clone()));
    }
    while !probe.is_done() {
        while let Some(transmit) = probe.poll_transmit() {
            let Some(socket) = sockets.get(transmit.socket.0) else { continue };
            if let Err(error) = socket.send_to(&transmit.bytes, transmit.to).await
                && error.kind() != std::io::ErrorKind::ConnectionRefused
            {
                log::debug!("no way to {}: {error}", transmit.to);
                probe.unreachable(Instant::now(), transmit.socket, transmit.to);
            }
        }
        let due = probe.poll_timeout().unwrap_or_else(Instant::now);
        tokio::select! {
            Some((socket, from, bytes)) = datagrams.recv() => {
                let bytes: Vec<u8> = bytes;
                probe.handle_packet(Instant::now(), socket, from, &bytes);
            }
            () = tokio::time::sleep_until(due.into()) => probe.handle_timeout(Instant::now()),
        }
    }
}

async fn read(id: SocketId, socket: Arc<UdpSocket>, out: mpsc::Sender<(SocketId, SocketAddr, Vec<u8>)>) {
    let mut buffer = vec![0; LONGEST];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                let bytes = buffer.get(..length).unwrap_or_default().to_vec();
                if out.send((id, from, bytes)).await.is_err() {
                    return;
                }
            }
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}
