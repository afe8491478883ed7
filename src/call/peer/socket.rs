//! The sockets that the WebRTC stack believes it has.
//!
//! The transport owns every real socket (and speaks STUN and TURN on it); the stack binds stand-ins on the
//! loopback interface that never carry a byte, and gets our ports in their place. Its host candidates are
//! thus loopback addresses that nobody else hears of. Knows what a port does, not what it is.

use super::checks::{Came, Checks, Outbound, Path};
use super::events::{Note, Notes};
use super::follow::Follow;
use super::gate::Gate;
use crate::call::event::{PathKind, Protocol};
use std::collections::HashMap;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

/// How often the stack is nudged while somebody rings.
const KICK_INTERVAL: Duration = Duration::from_millis(5);
/// For so long after a packet came: silence needs no hurry.
const KICKS_PER_ARRIVAL: u32 = 100;
/// And no longer than 15 s in all: a remote end that takes no data channel never gets there.
const MAX_HURRIES: u32 = 30;
/// How often it is looked whether packets come no more.
const LISTEN_INTERVAL: Duration = Duration::from_millis(100);

/// One way out: a UDP socket, or an allocation on a relay.
pub trait PacketPort: fmt::Debug + Send + Sync + 'static {
    /// Host or relay.
    fn kind(&self) -> PathKind;

    /// Its own address, or the relayed one; its family decides which remote addresses it is paired with.
    fn address(&self) -> SocketAddr;

    /// What carries packets from here.
    fn protocol(&self) -> Protocol;

    /// Sends one datagram, or keeps the waker.
    fn poll_send(&self, cx: &mut Context<'_>, to: SocketAddr, packet: &[u8]) -> Poll<io::Result<()>>;

    /// Receives one datagram and whose it is, or keeps the waker of the last caller.
    fn poll_recv(&self, cx: &mut Context<'_>, packet: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>>;
}

/// All ports of a peer, as its stack sees them.
#[derive(Debug)]
pub(super) struct Wire {
    started: Instant,
    ports: Vec<Arc<dyn PacketPort>>,
    checks: Mutex<Checks>,
    follow: Mutex<Follow>,
    notes: Notes,
    kick: Mutex<Kick>,
    arrived: Notify,
    gate: Gate,
}

/// A pending nudge, and whom to wake for it.
#[derive(Debug, Default)]
struct Kick {
    due: bool,
    waker: Option<Waker>,
}

impl Wire {
    /// Joins the ports, relayed ones for so long only after direct ones; notes down every new path.
    pub(super) fn new(
        ports: Vec<Arc<dyn PacketPort>>,
        relay_hold: Duration,
        started: Instant,
        notes: Notes,
    ) -> Arc<Self> {
        let has_direct = ports.iter().any(|port| port.kind() != PathKind::Relay);
        let relay_hold = if has_direct { relay_hold } else { Duration::ZERO };
        Arc::new(Self {
            started,
            ports,
            checks: Mutex::new(Checks::new(relay_hold)),
            follow: Mutex::default(),
            notes,
            kick: Mutex::default(),
            arrived: Notify::new(),
            gate: Gate::default(),
        })
    }

    /// For each port a loopback address of its family that is free now; none where the family has none.
    pub(super) fn stand_ins(&self) -> io::Result<HashMap<SocketAddr, usize>> {
        // All are held until all are known, so that no two are the same.
        let mut held = Vec::new();
        let mut last = io::ErrorKind::AddrNotAvailable.into();
        for (index, port) in self.ports.iter().enumerate() {
            let any: SocketAddr = match port.address() {
                SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST, 0).into(),
            };
            match UdpSocket::bind(any) {
                Ok(socket) => held.push((socket, index)),
                Err(error) => last = error,
            }
        }
        if held.is_empty() {
            return Err(last);
        }
        held.iter().map(|(socket, index)| Ok((socket.local_addr()?, *index))).collect()
    }

    /// The agent is ready: from now on it gets what comes in, and what has come.
    pub(super) fn open(&self) {
        self.gate.open();
    }

    /// Makes the stack's loop go round once: it writes what it has made only at its next wake-up.
    pub(super) fn kick(&self) {
        let waker = {
            let mut kick = locked(&self.kick);
            kick.due = true;
            kick.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// While somebody rings, nudges the stack's loop up to the open channel: flights would wait for the next check.
    pub(super) async fn hurry(&self) {
        for _ in 0..MAX_HURRIES {
            self.arrived.notified().await;
            for _ in 0..KICKS_PER_ARRIVAL {
                if locked(&self.checks).is_settled() {
                    return;
                }
                tokio::time::sleep(KICK_INTERVAL).await;
                self.kick();
            }
        }
    }

    /// Notes down when packets come no more, and when they come again.
    pub(super) async fn listen(&self) {
        let mut was_silent = true;
        loop {
            tokio::time::sleep(LISTEN_INTERVAL).await;
            let (news, silent) = {
                let mut follow = locked(&self.follow);
                (follow.news(self.now()), follow.is_silent(self.now()))
            };
            if let Some(quiet) = news {
                self.notes.put(Note::Quiet(quiet));
            }
            if std::mem::replace(&mut was_silent, silent) != silent {
                self.notes.put(Note::Silent(silent));
            }
        }
    }

    /// The channel is open.
    pub(super) fn settle(&self) {
        locked(&self.checks).settle();
    }

    /// The last round trip of a connectivity check.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        locked(&self.checks).round_trip()
    }

    /// Where data went last.
    pub(super) fn path(&self) -> Option<Path> {
        let chosen = locked(&self.checks).path()?;
        Some((chosen.0, locked(&self.follow).outbound(chosen)))
    }

    /// Learns from a packet that came by this path; where the stack is to see it come from.
    fn came(&self, path: Path, packet: &[u8]) -> SocketAddr {
        let now = self.now();
        let (came, chosen) = {
            let mut checks = locked(&self.checks);
            (checks.inbound(now, packet), checks.path().filter(|_| checks.is_settled()))
        };
        let mut follow = locked(&self.follow);
        if came == Came::Data {
            follow.data(now);
        }
        let before = chosen.map(|chosen| follow.outbound(chosen));
        let seen = follow.inbound(now, path, chosen, came == Came::Check);
        if before != chosen.map(|chosen| follow.outbound(chosen)) {
            self.notes.put(Note::Path(path));
        }
        seen
    }

    /// The port of this index in the place of the socket that the stack bound at `address`.
    pub(super) fn stand_in(
        this: &Arc<Self>,
        index: usize,
        address: SocketAddr,
    ) -> Option<Arc<dyn AsyncUdpSocket>> {
        let port = Arc::clone(this.ports.get(index)?);
        let served = AtomicBool::new(false);
        Some(Arc::new(StandIn { wire: Arc::clone(this), index, port, address, served }))
    }

    /// Where news are put.
    pub(super) fn notes(&self) -> Notes {
        self.notes.clone()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A lock whose holder panicked is still a lock: what it guards here is never left half changed.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One port in the place of the socket that the stack bound.
#[derive(Debug)]
struct StandIn {
    wire: Arc<Wire>,
    index: usize,
    port: Arc<dyn PacketPort>,
    address: SocketAddr,
    /// A datagram was handed over that the stack has not gone round for yet.
    served: AtomicBool,
}

impl StandIn {
    /// The stack drains a burst before it looks at what came of it, and throws a message away whose channel opens in
    /// the same burst (over TCP to a relay they come together): one datagram a round until the channel is open.
    fn must_go_round(&self) -> bool {
        self.served.swap(false, Ordering::Relaxed) && !locked(&self.wire.checks).is_settled()
    }

    /// Any of the stand-ins carries a nudge: all are polled by the one loop.
    fn take_kick(&self, cx: &Context<'_>) -> bool {
        let mut kick = locked(&self.wire.kick);
        let due = std::mem::take(&mut kick.due);
        if !due {
            kick.waker = Some(cx.waker().clone());
        }
        due
    }
}

impl AsyncUdpSocket for StandIn {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        let path = (self.index, transmit.destination);
        let relayed = self.port.kind() == PathKind::Relay;
        let (verdict, precious) = {
            let mut checks = locked(&self.wire.checks);
            let verdict = checks.outbound(self.wire.now(), path, relayed, transmit.contents);
            (verdict, checks.is_precious(transmit.contents))
        };
        let to = locked(&self.wire.follow).outbound(path);
        if precious {
            // A copy that does not leave was only a copy.
            let _ = self.port.poll_send(cx, to, transmit.contents);
        }
        match verdict {
            Outbound::Hold => return Poll::Ready(Ok(transmit.contents.len())),
            Outbound::Send => {}
            Outbound::SendOnNewPath => self.wire.notes.put(Note::Path(path)),
        }
        match self.port.poll_send(cx, to, transmit.contents) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => Poll::Ready(Ok(transmit.contents.len())),
            // A path that does not work shows by its silence; an error would only be logged, packet by packet.
            Poll::Ready(Err(error)) => {
                log::trace!("a packet to {to} did not leave: {error}");
                Poll::Ready(Ok(transmit.contents.len()))
            }
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buf), Some(meta)) = (bufs.first_mut(), meta.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        if self.must_go_round() || self.take_kick(cx) {
            // To the stack a passing trouble: it polls again, and on its way round it writes.
            return Poll::Ready(Err(io::ErrorKind::WouldBlock.into()));
        }
        if !self.wire.gate.may_pass(cx) {
            return Poll::Pending;
        }
        let (len, from) = std::task::ready!(self.port.poll_recv(cx, buf))?;
        let packet = buf.get(..len).unwrap_or_default();
        let from = self.wire.came((self.index, from), packet);
        self.wire.arrived.notify_one();
        self.served.store(true, Ordering::Relaxed);
        *meta = RecvMeta::default();
        meta.len = len;
        meta.stride = len.max(1);
        meta.addr = from;
        Poll::Ready(Ok(1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::runtime::PortRuntime;
    use super::*;
    use webrtc::runtime::Runtime;

    /// Always has one more datagram.
    #[derive(Debug)]
    struct Fountain;

    impl PacketPort for Fountain {
        fn kind(&self) -> PathKind {
            PathKind::Relay
        }

        fn address(&self) -> SocketAddr {
            (Ipv4Addr::LOCALHOST, 9).into()
        }

        fn protocol(&self) -> Protocol {
            Protocol::Tcp
        }

        fn poll_send(&self, _: &mut Context<'_>, _: SocketAddr, _: &[u8]) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_recv(&self, _: &mut Context<'_>, packet: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
            packet[0] = 7;
            Poll::Ready(Ok((1, self.address())))
        }
    }

    /// Twelve polls in a row: how many brought a datagram.
    fn datagrams(socket: &dyn AsyncUdpSocket) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        let mut polls = (0..12).map(|_| {
            let (mut buffer, mut meta) = ([0; 9], [RecvMeta::default()]);
            socket.poll_recv(&mut cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta)
        });
        polls.by_ref().filter(|poll| matches!(poll, Poll::Ready(Ok(1)))).count()
    }

    fn fountain() -> (Arc<Wire>, Arc<dyn AsyncUdpSocket>) {
        #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
        let wire = Wire::new(vec![Arc::new(Fountain)], Duration::ZERO, Instant::now(), Notes::new().0);
        let stand_in = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let runtime =
            PortRuntime::new(Arc::clone(&wire), HashMap::from([(stand_in.local_addr().unwrap(), 0)]));
        let socket = runtime.wrap_udp_socket(stand_in).unwrap();
        (wire, socket)
    }

    #[test]
    fn what_comes_before_the_agent_is_ready_waits_for_it() {
        let (wire, socket) = fountain();
        assert_eq!(datagrams(&*socket), 0);
        wire.open();
        assert!(datagrams(&*socket) > 0);
    }

    #[test]
    fn bursts_are_broken_up_until_the_channel_is_open() {
        let (wire, socket) = fountain();
        wire.open();
        assert_eq!(datagrams(&*socket), 6);
        wire.settle();
        assert!(datagrams(&*socket) >= 11);
    }
}
