//! The portable shard: tokio sockets around one core. Serves streams on every system, and UDP where there is
//! no batched backend.
//!
//! The core is behind a mutex that is held for one packet and never over an `await`; its outputs are sent
//! after it was released. A socket that is full drops, and that is counted.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::net::UdpSocket as TokioUdp;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::exchange::{Exchange, Mailbox};
use super::socket::{self, bind_udp, plain};
use super::{EventSink, Kit, TICK, now};
use crate::server::{Client, Counters, Output, RelayId, Server, Settings, Sockets, Via};

/// Packets taken from one socket before others get their turn.
const BATCH: usize = 32;
/// No datagram is longer.
const MAX_DATAGRAM: usize = 65_536;

thread_local! {
    /// One receive buffer a thread, not one a socket: it is only used between two awaits.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_DATAGRAM].into_boxed_slice());
}

/// A shard on tokio.
pub(super) struct PortableShard {
    core: Mutex<Server>,
    listeners: Vec<Arc<TokioUdp>>,
    relays: Mutex<HashMap<RelayId, RelaySocket>>,
    streams: Mutex<HashMap<u64, mpsc::Sender<Vec<u8>>>>,
    tasks: Mutex<Vec<AbortHandle>>,
    exchange: Arc<Exchange>,
    events: EventSink,
    dropped: AtomicU64,
    this: Weak<Self>,
}

struct RelaySocket {
    socket: Arc<TokioUdp>,
    reader: AbortHandle,
}

impl Drop for RelaySocket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PortableShard {
    pub(super) fn start(kit: Kit) -> io::Result<Arc<Self>> {
        let listeners: Vec<_> = kit
            .listeners
            .into_iter()
            .map(|socket| TokioUdp::from_std(socket).map(Arc::new))
            .collect::<io::Result<_>>()?;
        let this = Arc::new_cyclic(|this| Self {
            core: Mutex::new(kit.core),
            listeners: listeners.clone(),
            relays: Mutex::default(),
            streams: Mutex::default(),
            tasks: Mutex::default(),
            exchange: kit.exchange,
            events: kit.events,
            dropped: AtomicU64::new(0),
            this: Weak::clone(this),
        });
        for (at, socket) in (0u16..).zip(listeners) {
            let reader = Arc::downgrade(&this);
            let task = tokio::spawn(read(socket, move |from, packet| {
                let client = Client { address: from, via: Via::Udp(at) };
                reader.upgrade().map(|shard| shard.take_client(client, packet)).is_some()
            }));
            lock(&this.tasks).push(task.abort_handle());
        }
        Ok(this)
    }

    /// A packet from a client, by any transport.
    pub(super) fn take_client(&self, client: Client, packet: &[u8]) {
        let output = lock(&self.core).handle_client(now(), client, packet, &mut Opener(self));
        self.send(output);
    }

    /// A connection begins: what is to be written to it goes into `queue`.
    pub(super) fn connected(&self, number: u64, queue: mpsc::Sender<Vec<u8>>) {
        lock(&self.streams).insert(number, queue);
    }

    /// A connection has ended.
    pub(super) fn disconnected(&self, client: &Client) {
        if let Via::Stream(number) = client.via {
            lock(&self.streams).remove(&number);
        }
        lock(&self.core).handle_disconnect(client, &mut Opener(self));
    }

    /// Whether this client has an allocation.
    pub(super) fn serves(&self, client: &Client) -> bool {
        lock(&self.core).has_allocation(client)
    }

    fn take_peer(&self, relay: RelayId, from: SocketAddr, data: &[u8]) {
        let output = lock(&self.core).handle_peer(now(), relay, from, data);
        self.send(output);
    }

    fn send(&self, output: Output<'_>) {
        match output {
            Output::Nothing => {}
            Output::Reply { to, bytes } => self.to_client(&to, bytes),
            Output::ToClient { to, header, data } => {
                let padding = [0; 3];
                let padding = padding.get(..usize::from(header.padding)).unwrap_or_default();
                self.to_client(&to, [header.as_ref(), data, padding].concat());
            }
            Output::ToPeer { relay, to, data, dont_fragment } => {
                let socket = lock(&self.relays).get(&relay).map(|relay| Arc::clone(&relay.socket));
                let Some(socket) = socket else { return };
                self.count(&socket::send(&socket, data, to, dont_fragment));
            }
            Output::ToShard { shard, to, from, data } => self.exchange.deliver(shard, to, from, data),
        }
    }

    fn to_client(&self, to: &Client, bytes: Vec<u8>) {
        match to.via {
            Via::Udp(at) => {
                if let Some(socket) = self.listeners.get(usize::from(at)) {
                    self.count(&socket.try_send_to(&bytes, to.address));
                }
            }
            Via::Stream(number) => {
                let queue = lock(&self.streams).get(&number).cloned();
                if let Some(queue) = queue {
                    self.count(&queue.try_send(bytes));
                }
            }
        }
    }

    fn count<T, E>(&self, sent: &Result<T, E>) {
        if sent.is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn sweep(&self) {
        let mut core = lock(&self.core);
        core.handle_timeout(now(), &mut Opener(self));
        let events: Vec<_> = std::iter::from_fn(|| core.poll_event()).collect();
        drop(core);
        for event in events {
            (self.events)(event);
        }
    }
}

impl Mailbox for PortableShard {
    fn deliver(&self, to: SocketAddr, from: SocketAddr, data: &[u8]) {
        let output = lock(&self.core).handle_relayed(now(), to, from, data);
        self.send(output);
    }

    fn set_settings(&self, settings: &Arc<Settings>) {
        lock(&self.core).set_settings(Arc::clone(settings));
    }

    fn counters(&self) -> Counters {
        let counters = lock(&self.core).counters();
        Counters { dropped: counters.dropped + self.dropped.load(Ordering::Relaxed), ..counters }
    }

    fn close(&self) {
        lock(&self.core).shutdown(&mut Opener(self));
        self.sweep();
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
        lock(&self.streams).clear();
    }
}

/// Opens relay sockets for the core.
struct Opener<'s>(&'s PortableShard);

impl Sockets for Opener<'_> {
    fn open(&mut self, relay: RelayId, local: SocketAddr) -> bool {
        let Ok(socket) = bind_udp(local, socket::RELAY_BUFFER).and_then(TokioUdp::from_std) else {
            return false;
        };
        let socket = Arc::new(socket);
        let shard = Weak::clone(&self.0.this);
        let reader = tokio::spawn(read(Arc::clone(&socket), move |from, data| {
            shard.upgrade().map(|shard| shard.take_peer(relay, from, data)).is_some()
        }));
        let entry = RelaySocket { socket, reader: reader.abort_handle() };
        lock(&self.0.relays).insert(relay, entry);
        true
    }

    fn close(&mut self, relay: RelayId) {
        lock(&self.0.relays).remove(&relay);
    }
}

/// Hands every datagram on, until `handle` says that nobody wants more.
async fn read(socket: Arc<TokioUdp>, handle: impl Fn(SocketAddr, &[u8]) -> bool) {
    while socket.readable().await.is_ok() {
        let wanted = BUFFER.with_borrow_mut(|buffer| {
            for _ in 0..BATCH {
                match socket.try_recv_from(buffer) {
                    Ok((length, from)) => {
                        if !handle(plain(from), buffer.get(..length).unwrap_or_default()) {
                            return false;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // Windows and Linux report a peer's "port unreachable" here; the socket is none the worse.
                    Err(_) => {}
                }
            }
            true
        });
        if !wanted {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Once a second ends what has expired and passes events on.
pub(super) async fn sweep(shard: Weak<PortableShard>) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        let Some(shard) = shard.upgrade() else { return };
        shard.sweep();
    }
}
