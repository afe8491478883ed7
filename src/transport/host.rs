//! Real UDP sockets: one for each usable local address, all on the same port where that can be had. Receives
//! and hands on; knows neither STUN nor ICE.

use crate::call::event::PathKind;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use super::candidate::LocalCandidate;
use super::hub::Outlet;
use super::interfaces::Usable;
use super::refusal;
use super::router::LinkId;

/// Half a second of a 15 Mbit/s burst. The system may grant less.
const BUFFER: usize = 1 << 20;

/// The longest UDP payload.
const LONGEST: usize = 65_535;

/// How often another common port is tried.
const PORT_ATTEMPTS: usize = 16;

/// Errors in a row after which the socket rests, so that one that is broken for good does not burn a core.
const PATIENCE: u32 = 16;

/// Who gets the datagrams of one remote address before anybody else: the client of a relay there.
pub(super) trait Tap: Send + Sync + std::fmt::Debug {
    /// Whether the datagram was its.
    fn take(&self, bytes: &[u8]) -> bool;
}

/// What came of a socket.
#[derive(Debug, Clone, Copy)]
pub(super) enum Heard<'a> {
    /// A datagram that no tap took.
    Datagram(SocketAddr, &'a [u8]),
    /// Nobody has this port open (any more).
    Refusal(SocketAddr),
}

/// All sockets, as they come along.
#[derive(Debug, Default)]
pub(super) struct Hosts(RwLock<Vec<(LinkId, Arc<HostSocket>)>>);

impl Hosts {
    /// One more.
    pub(super) fn add(&self, link: LinkId, socket: Arc<HostSocket>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push((link, socket));
    }

    /// Those there are now.
    pub(super) fn all(&self) -> Vec<(LinkId, Arc<HostSocket>)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one of this number.
    pub(super) fn find(&self, link: LinkId) -> Option<Arc<HostSocket>> {
        let hosts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        hosts.iter().find(|(one, _)| *one == link).map(|(_, socket)| Arc::clone(socket))
    }

    /// Whether one is bound to this address.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        let hosts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        hosts.iter().any(|(_, socket)| socket.candidate.address.ip() == address)
    }
}

/// One bound socket.
#[derive(Debug)]
pub(super) struct HostSocket {
    socket: UdpSocket,
    /// The same socket, for sending: a reactor that has not looked at it yet would say that it is full.
    sender: std::net::UdpSocket,
    candidate: LocalCandidate,
    taps: RwLock<Vec<(SocketAddr, Arc<dyn Tap>)>>,
    /// A send was told of an error that is about an earlier datagram.
    told: Notify,
}

/// Binds all addresses, with one common port if any of a few is free on all of them. An address that cannot be
/// bound (one that the system is still checking for duplicates, say) is left out unless all are `needed`.
///
/// # Errors
/// When a needed address cannot be bound at any port, or none can.
pub(super) fn bind_all(addresses: &[Usable], needed: bool) -> std::io::Result<Vec<HostSocket>> {
    let mut bindable = Vec::new();
    let mut refused = None;
    for address in addresses {
        match bind(address.address, 0) {
            Ok(_) => bindable.push(*address),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if needed || bindable.is_empty() => Err(error),
        _ => bind_these(&bindable),
    }
}

fn bind_these(addresses: &[Usable]) -> std::io::Result<Vec<HostSocket>> {
    for _ in 0..PORT_ATTEMPTS {
        let mut port = 0;
        let mut sockets = Vec::with_capacity(addresses.len());
        for address in addresses {
            let Ok(socket) = bind(address.address, port) else { break };
            port = socket.local_addr()?.port();
            sockets.push(socket);
        }
        if sockets.len() == addresses.len() {
            return finish(sockets, addresses);
        }
    }
    let sockets: std::io::Result<Vec<_>> = addresses.iter().map(|address| bind(address.address, 0)).collect();
    finish(sockets?, addresses)
}

fn finish(sockets: Vec<std::net::UdpSocket>, addresses: &[Usable]) -> std::io::Result<Vec<HostSocket>> {
    let pairs = sockets.into_iter().zip(addresses);
    pairs.map(|(socket, address)| HostSocket::new(socket, address)).collect()
}

/// A socket as a call uses it.
pub(super) fn bind(address: IpAddr, port: u16) -> std::io::Result<std::net::UdpSocket> {
    let address = SocketAddr::new(address, port);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A small buffer is no reason to fail.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

impl HostSocket {
    /// One that is bound.
    pub(super) fn new(socket: std::net::UdpSocket, usable: &Usable) -> std::io::Result<Self> {
        let address = socket.local_addr()?;
        let candidate = LocalCandidate {
            kind: PathKind::Host,
            address,
            base: address,
            default_route: usable.default_route,
            bridge: usable.bridge,
            lonely: usable.lonely,
            relay: None,
        };
        let sender = socket.try_clone()?;
        if let Err(error) = refusal::listen(&socket, address.is_ipv4()) {
            log::debug!("nothing will be heard of closed ports: {error}");
        }
        let (taps, told) = (RwLock::default(), Notify::new());
        Ok(Self { socket: UdpSocket::from_std(socket)?, sender, candidate, taps, told })
    }

    /// From now on what comes from `remote` is shown to `tap` first.
    pub(super) fn tap(&self, remote: SocketAddr, tap: Arc<dyn Tap>) {
        let mut taps = self.taps.write().unwrap_or_else(PoisonError::into_inner);
        taps.retain(|(address, _)| *address != remote);
        taps.push((remote, tap));
    }

    /// No more.
    pub(super) fn untap(&self, remote: SocketAddr) {
        self.taps.write().unwrap_or_else(PoisonError::into_inner).retain(|(address, _)| *address != remote);
    }

    /// Sends at once or not at all.
    ///
    /// # Errors
    /// What the system says; a full buffer is `WouldBlock`.
    pub(super) fn try_send(&self, to: SocketAddr, bytes: &[u8]) -> std::io::Result<()> {
        match self.sender.send_to(bytes, to) {
            // What an earlier datagram caused (ICMP) is reported here and this one was not sent: once more.
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => {
                self.told.notify_one();
                self.sender.send_to(bytes, to).map(drop)
            }
            result => result.map(drop),
        }
    }

    /// Receives for ever.
    pub(super) async fn receive(&self, mut each: impl FnMut(Heard<'_>)) {
        let mut buffer = vec![0; LONGEST];
        let mut errors = 0;
        loop {
            let received = tokio::select! {
                received = self.socket.recv_from(&mut buffer) => received,
                () = self.told.notified() => {
                    self.refusals(&mut each);
                    continue;
                }
            };
            match received {
                Ok((length, from)) => {
                    errors = 0;
                    let bytes = buffer.get(..length).unwrap_or_default();
                    if !self.tapped(from, bytes) {
                        each(Heard::Datagram(from, bytes));
                    }
                }
                Err(error) => {
                    self.refusals(&mut each);
                    if is_about_a_peer(&error) {
                        continue;
                    }
                    errors += 1;
                    log::debug!("receiving at {}: {error}", self.candidate.address);
                    if errors > PATIENCE {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        }
    }

    /// All that is known by now; what is not taken would fill the socket's buffer.
    fn refusals(&self, each: &mut impl FnMut(Heard<'_>)) {
        while let Some(remote) = refusal::take(&self.sender) {
            each(Heard::Refusal(remote));
        }
    }

    fn tapped(&self, from: SocketAddr, bytes: &[u8]) -> bool {
        let tap = {
            let taps = self.taps.read().unwrap_or_else(PoisonError::into_inner);
            taps.iter().find(|(address, _)| *address == from).map(|(_, tap)| Arc::clone(tap))
        };
        tap.is_some_and(|tap| tap.take(bytes))
    }
}

/// Such an error tells of some remote that is not there (an ICMP message), not of the socket.
fn is_about_a_peer(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable)
}

impl Outlet for HostSocket {
    fn send(&self, to: SocketAddr, bytes: &[u8]) {
        if let Err(error) = self.try_send(to, bytes) {
            log::trace!("{} bytes from {} to {to} are lost: {error}", bytes.len(), self.candidate.address);
        }
    }

    fn candidate(&self) -> LocalCandidate {
        self.candidate
    }
}
