//! The batched shard: one thread, its own listeners on the shared ports (SO_REUSEPORT: the kernel pins a
//! 5-tuple to a thread), a socket per relayed address, one core.
//!
//! ```text
//! epoll -> recvmmsg into slots -> core -> queue of (socket, header, slice of a slot) -> sendmmsg
//! ```
//!
//! Nearly all the time of a relay goes into the kernel's UDP path, so what counts is how seldom it is entered:
//! everything that leaves through one listener in a round goes in one call, and where bursts are seen the
//! kernel joins and splits them (GRO, GSO). Data is never copied here: it is sent from where it came in.

mod burst;
mod inbox;
mod queue;
mod slots;
mod sys;

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use self::burst::Bursts;
use self::inbox::{Inbox, Mail};
use self::queue::{Exit, Queue};
use self::slots::Receiver;
use self::sys::Sender;
use super::exchange::Exchange;
use super::socket::{RELAY_BUFFER, bind_udp_with};
use super::{EventSink, Kit, TICK, now};
use crate::server::{Client, Counters, Now, Output, RelayId, Server, Shard, Sockets, Via};

/// Events taken from epoll at a time.
const EVENTS: usize = 128;
/// Marks an epoll event of a listener, of the inbox; relay sockets have both bits clear.
const LISTENER: u64 = 1 << 63;
const INBOX: u64 = 1 << 62;

/// A relay socket.
struct RelaySocket {
    socket: UdpSocket,
    bursts: Bursts,
}

/// A listener.
struct ListenerSocket {
    socket: UdpSocket,
    bursts: Bursts,
}

/// Relay sockets as the core opens and closes them.
struct Relays {
    epoll: OwnedFd,
    sockets: HashMap<RelayId, RelaySocket>,
}

/// Everything the thread owns.
struct LinuxShard {
    core: Server,
    listeners: Vec<ListenerSocket>,
    relays: Relays,
    inbox: Arc<Inbox>,
    exchange: Arc<Exchange>,
    events: EventSink,
    counters: Arc<Mutex<Counters>>,
    receiver: Receiver,
    sender: Sender,
    queue: Queue,
}

/// Starts the thread of a shard; what others may say to it goes into the inbox that is returned.
pub(super) fn start(shard: Shard, kit: Kit) -> io::Result<Arc<Inbox>> {
    let Kit { core, exchange, listeners, events } = kit;
    let counters = Arc::new(Mutex::new(Counters::default()));
    let inbox = Arc::new(Inbox::new(Arc::clone(&counters))?);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let listeners: Vec<_> =
        listeners.into_iter().map(|socket| ListenerSocket { socket, bursts: Bursts::default() }).collect();
    for (at, listener) in (0u64..).zip(&listeners) {
        epoll::add(
            &epoll,
            &listener.socket,
            epoll::EventData::new_u64(LISTENER | at),
            epoll::EventFlags::IN,
        )?;
    }
    epoll::add(&epoll, inbox.as_fd(), epoll::EventData::new_u64(INBOX), epoll::EventFlags::IN)?;
    let of_thread = Arc::clone(&inbox);
    let thread = std::thread::Builder::new().name(format!("relay-{}", shard.index()));
    let handle = thread.spawn(move || {
        let shard = LinuxShard {
            core,
            listeners,
            relays: Relays { epoll, sockets: HashMap::new() },
            inbox: of_thread,
            exchange,
            events,
            counters,
            receiver: Receiver::new(),
            sender: Sender::default(),
            queue: Queue::default(),
        };
        shard.run();
    })?;
    inbox.set_thread(handle);
    Ok(inbox)
}

impl LinuxShard {
    fn run(mut self) {
        let mut ready = Vec::with_capacity(EVENTS);
        let tick = Timespec { tv_sec: TICK.as_secs() as i64, tv_nsec: 0 };
        let mut swept = now().monotonic;
        loop {
            ready.clear();
            // An interrupted wait is an empty one.
            let _ = epoll::wait(&self.relays.epoll, spare_capacity(&mut ready), Some(&tick));
            let now = now();
            for event in &ready {
                let data = event.data.u64();
                if data & INBOX != 0 {
                    if !self.read_inbox(now) {
                        return;
                    }
                } else if data & LISTENER != 0 {
                    self.read_listener(now, (data & !LISTENER) as usize);
                } else {
                    let id = RelayId::from_bits(data);
                    let flags = event.flags;
                    if flags.contains(epoll::EventFlags::ERR) {
                        self.read_errors(now, id);
                    }
                    self.read_relay(now, id);
                }
            }
            self.flush();
            self.sweep(now, &mut swept);
        }
    }

    /// Takes all there is from a listener.
    fn read_listener(&mut self, now: Now, at: usize) {
        loop {
            self.make_room();
            let Some(listener) = self.listeners.get_mut(at) else { return };
            let most = listener.bursts.most();
            let Ok(slots) = self.receiver.receive(listener.socket.as_fd(), most) else { return };
            let count = slots.len();
            listener.bursts.saw(&listener.socket, &self.receiver, slots.clone());
            for slot in slots {
                let Some((from, packets)) = self.receiver.packets(slot) else { continue };
                let client = Client { address: from, via: Via::Udp(at as u16) };
                for packet in packets {
                    let output = self.core.handle_client(now, client, packet, &mut self.relays);
                    take(&mut self.queue, &self.receiver, &self.exchange, slot, output);
                }
            }
            if count < most {
                return;
            }
        }
    }

    /// Takes all there is from a relay socket.
    fn read_relay(&mut self, now: Now, id: RelayId) {
        loop {
            self.make_room();
            let Some(relay) = self.relays.sockets.get_mut(&id) else { return };
            let most = relay.bursts.most();
            let Ok(slots) = self.receiver.receive(relay.socket.as_fd(), most) else { return };
            let count = slots.len();
            relay.bursts.saw(&relay.socket, &self.receiver, slots.clone());
            for slot in slots {
                let Some((from, packets)) = self.receiver.packets(slot) else { continue };
                for packet in packets {
                    let output = self.core.handle_peer(now, id, from, packet);
                    take(&mut self.queue, &self.receiver, &self.exchange, slot, output);
                }
            }
            if count < most {
                return;
            }
        }
    }

    /// What peers' networks said about packets that did not arrive.
    fn read_errors(&mut self, now: Now, id: RelayId) {
        let Some(relay) = self.relays.sockets.get(&id) else { return };
        while let Some((peer, icmp)) = sys::receive_error(relay.socket.as_fd()) {
            if let Output::Reply { to, bytes } = self.core.handle_icmp(now, id, peer, icmp) {
                self.queue.reply(to, bytes);
            }
        }
    }

    /// False when the shard is to stop.
    fn read_inbox(&mut self, now: Now) -> bool {
        for mail in self.inbox.take() {
            match mail {
                Mail::Relayed { to, from, data } => {
                    let output = self.core.handle_relayed(now, to, from, &data);
                    if let Output::ToClient { to, header, data } = output {
                        self.queue.own_to_client(to, header, data.to_vec());
                    }
                }
                Mail::Settings(settings) => self.core.set_settings(settings),
                Mail::Close => {
                    self.core.shutdown(&mut self.relays);
                    self.publish();
                    return false;
                }
            }
        }
        true
    }

    /// Sends what is queued if the slots are used up.
    fn make_room(&mut self) {
        if self.receiver.is_full() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let (listeners, relays) = (&self.listeners, &self.relays.sockets);
        let socket = |exit: Exit| match exit {
            Exit::Listener(at) => listeners.get(usize::from(at)).map(|listener| &listener.socket),
            Exit::Relay(id) => relays.get(&id).map(|relay| &relay.socket),
        };
        self.queue.flush(&self.receiver, &mut self.sender, socket);
        self.receiver.clear();
    }

    fn sweep(&mut self, now: Now, swept: &mut Instant) {
        if now.monotonic.saturating_duration_since(*swept) >= TICK {
            *swept = now.monotonic;
            self.core.handle_timeout(now, &mut self.relays);
            self.publish();
        }
    }

    /// Counters and events for whoever looks.
    fn publish(&mut self) {
        let counters =
            Counters { dropped: self.queue.dropped() + self.inbox.dropped(), ..self.core.counters() };
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner) = counters;
        while let Some(event) = self.core.poll_event() {
            (self.events)(event);
        }
    }
}

/// Queues what the core said about a packet in a slot.
fn take(queue: &mut Queue, receiver: &Receiver, exchange: &Exchange, slot: usize, output: Output<'_>) {
    match output {
        Output::Nothing => {}
        Output::Reply { to, bytes } => queue.reply(to, bytes),
        Output::ToClient { to, header, data } => {
            queue.relay_to_client(to, header, receiver.place(slot, data));
        }
        Output::ToPeer { relay, to, data, dont_fragment } => {
            queue.relay_to_peer(relay, to, receiver.place(slot, data), dont_fragment);
        }
        Output::ToShard { shard, to, from, data } => exchange.deliver(shard, to, from, data),
    }
}

impl Sockets for Relays {
    fn open(&mut self, relay: RelayId, local: SocketAddr) -> bool {
        let Ok(socket) =
            bind_udp_with(local, RELAY_BUFFER, |socket| sys::report_errors(socket, local.is_ipv6()))
        else {
            return false;
        };
        let data = epoll::EventData::new_u64(relay.to_bits());
        if epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN).is_err() {
            return false;
        }
        self.sockets.insert(relay, RelaySocket { socket, bursts: Bursts::default() });
        true
    }

    fn close(&mut self, relay: RelayId) {
        // Closing the descriptor takes it out of epoll.
        self.sockets.remove(&relay);
    }
}
