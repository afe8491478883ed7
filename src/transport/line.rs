//! One way to one relay: a [`TurnClient`] and the socket or stream that carries it. As a [`Tap`] it takes what
//! comes from the relay's UDP address; as an [`Allocation`] it sends to peers.
#![expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use super::candidate::LocalCandidate;
use super::host::{HostSocket, Tap};
use super::hub::{Hub, Outlet};
use super::interfaces::is_public;
use super::router::LinkId;
use super::servers::lock;
use super::stream::{Duplex, read_messages};
use super::turn::{Extras, Received, TurnClient, TurnError, TurnEvent};
use super::ways::RelayServer;

/// Messages that wait for a slow connection.
const STREAM_QUEUE: usize = 128;

/// Of these, places that only requests may take: they are not repeated on a stream, while datagrams may be
/// dropped, as a full router would. 32 datagrams are half a second of sound and picture.
const FOR_REQUESTS: usize = STREAM_QUEUE - 32;

/// What carries the client's messages.
#[derive(Debug)]
enum Way {
    Datagrams { socket: Arc<HostSocket>, server: SocketAddr },
    Stream { queue: mpsc::Sender<Vec<u8>>, task: AbortHandle },
}

/// One client on one way.
#[derive(Debug)]
pub(super) struct Line {
    hub: Arc<Hub>,
    client: Mutex<TurnClient>,
    way: OnceLock<Way>,
    /// Set once there is an allocation.
    link: OnceLock<LinkId>,
    /// Where the relay sees us, set then too.
    mapped: OnceLock<SocketAddr>,
    wake: Notify,
    broken: AtomicBool,
}

impl Line {
    fn new(hub: Arc<Hub>, client: TurnClient) -> Arc<Self> {
        Arc::new(Self {
            hub,
            client: Mutex::new(client),
            way: OnceLock::new(),
            link: OnceLock::new(),
            mapped: OnceLock::new(),
            wake: Notify::new(),
            broken: AtomicBool::new(false),
        })
    }

    /// Over UDP, from one of our sockets.
    pub(super) fn over_udp(
        hub: Arc<Hub>,
        client: TurnClient,
        socket: Arc<HostSocket>,
        server: SocketAddr,
    ) -> Arc<Self> {
        let line = Self::new(hub, client);
        socket.tap(server, Arc::clone(&line) as Arc<dyn Tap>);
        let _ = line.way.set(Way::Datagrams { socket, server });
        line
    }

    /// Over a connection.
    pub(super) fn over_stream(hub: Arc<Hub>, client: TurnClient, stream: Box<dyn Duplex>) -> Arc<Self> {
        let line = Self::new(hub, client);
        let (queue, messages) = mpsc::channel(STREAM_QUEUE);
        // The task must not keep the line alive: dropping the line ends the task.
        let weak = Arc::downgrade(&line);
        let task = tokio::spawn(async move {
            carry(stream, messages, |message| {
                if let Some(line) = weak.upgrade() {
                    line.take(message);
                }
            })
            .await;
            if let Some(line) = weak.upgrade() {
                line.give_up();
            }
        });
        let _ = line.way.set(Way::Stream { queue, task: task.abort_handle() });
        line
    }

    /// Begins to ask for an allocation.
    pub(super) fn allocate(&self) {
        self.with_client(TurnClient::allocate);
    }

    /// From now on peers' datagrams are handed on, under this number.
    pub(super) fn hand_on(&self, link: LinkId) {
        let _ = self.link.set(link);
    }

    /// The relay sees us there.
    pub(super) fn set_mapped(&self, mapped: SocketAddr) {
        let _ = self.mapped.set(mapped);
    }

    /// The world sees us at this address now: what was allocated from another one is lost, and TCP never says so.
    pub(super) fn seen_at(&self, address: IpAddr) {
        if self.mapped.get().is_none_or(|mapped| mapped.ip() != address) {
            self.give_up();
        }
    }

    pub(super) fn set_extras(&self, extras: Extras) {
        self.with_client(|client, now| client.set_extras(now, extras));
    }

    /// Whether the relay has answered to all that it was told.
    pub(super) fn is_up_to_date(&self) -> bool {
        lock(&self.client).is_up_to_date()
    }

    /// Begins to give the allocation back; [`TurnEvent::Released`] is the end of it.
    pub(super) fn release(&self) {
        self.with_client(TurnClient::release);
    }

    /// Drives the client until something happens.
    pub(super) async fn next_event(&self) -> TurnEvent {
        loop {
            if self.broken.load(Ordering::SeqCst) {
                let had = lock(&self.client).is_allocated();
                return TurnEvent::Failed(if had { TurnError::Lost } else { TurnError::Silent });
            }
            let now = Instant::now();
            let (event, next) = {
                let mut client = lock(&self.client);
                client.handle_timeout(now);
                (client.poll_event(), client.poll_timeout())
            };
            self.flush();
            if let Some(event) = event {
                return event;
            }
            let next = next.unwrap_or(now + Duration::from_secs(60));
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(next.into()) => {}
            }
        }
    }

    fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let timer_changed = {
            let mut client = lock(&self.client);
            let before = client.poll_timeout();
            client.send(Instant::now(), to, bytes);
            client.poll_timeout() != before
        };
        self.flush();
        if timer_changed {
            self.wake.notify_one();
        }
    }

    /// No datagram of the relay comes here any more.
    pub(super) fn disconnect(&self) {
        if let Some(Way::Datagrams { socket, server }) = self.way.get() {
            socket.untap(*server);
        }
    }

    /// The way is gone.
    pub(super) fn give_up(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    fn with_client(&self, act: impl FnOnce(&mut TurnClient, Instant)) {
        act(&mut lock(&self.client), Instant::now());
        self.flush();
        self.wake.notify_one();
    }

    fn flush(&self) {
        loop {
            let Some(bytes) = lock(&self.client).poll_transmit() else { return };
            match self.way.get() {
                Some(Way::Datagrams { socket, server }) => {
                    if let Err(error) = socket.try_send(*server, &bytes)
                        && error.kind() != std::io::ErrorKind::WouldBlock
                    {
                        log::debug!("no way to the relay {server}: {error}");
                        self.give_up();
                    }
                }
                Some(Way::Stream { queue, .. }) if queue.capacity() > FOR_REQUESTS || is_request(&bytes) => {
                    let _ = queue.try_send(bytes);
                }
                // Full: this datagram is lost, and the media will notice.
                Some(Way::Stream { .. }) | None => {}
            }
        }
    }
}

impl Tap for Line {
    fn take(&self, bytes: &[u8]) -> bool {
        let now = Instant::now();
        let received = lock(&self.client).handle_packet(now, bytes);
        match received {
            Received::Data { peer, bytes } => {
                if let Some(link) = self.link.get() {
                    self.hub.received_by_relay(now, *link, peer, bytes);
                }
                true
            }
            Received::Handled => {
                self.flush();
                self.wake.notify_one();
                true
            }
            Received::Foreign => false,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(Way::Stream { task, .. }) = self.way.get() {
            task.abort();
        }
    }
}

/// An allocation that a line has got.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) line: Arc<Line>,
    pub(super) candidate: LocalCandidate,
    pub(super) relay: Arc<RelayServer>,
}

/// Whether a relayed address is worth trying towards a peer. A friend's private addresses mean nothing on a public
/// relay; worse, coturn never again sends from an allocation for which its system once had no route.
fn can_reach(relayed: IpAddr, peer: IpAddr) -> bool {
    is_public(peer) || !is_public(relayed)
}

impl Outlet for Allocation {
    fn send(&self, to: SocketAddr, bytes: &[u8]) {
        if can_reach(self.candidate.address.ip(), to.ip()) && self.relay.may_reach(to.ip()) {
            self.line.send(to, bytes);
        }
    }

    fn candidate(&self) -> LocalCandidate {
        self.candidate
    }
}

/// A STUN request, by the first two bytes (RFC 8489 §5): no ChannelData, no indication.
fn is_request(message: &[u8]) -> bool {
    matches!(message, [first, second, ..] if first & 0xC1 == 0 && second & 0x10 == 0)
}

/// Both directions of a connection, until one ends.
async fn carry(stream: Box<dyn Duplex>, mut messages: mpsc::Receiver<Vec<u8>>, each: impl FnMut(&[u8])) {
    let (reader, mut writer) = tokio::io::split(stream);
    let write = async {
        while let Some(message) = messages.recv().await {
            if writer.write_all(&message).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = read_messages(reader, each) => {}
        () = write => {}
    }
}
