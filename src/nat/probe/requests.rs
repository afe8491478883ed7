//! STUN Binding requests under way: sent again until they are answered or given up (RFC 8489 §6.2.1).
//!
//! Knows no procedure: what a request was for is its tag, which comes back with the answer.

use super::{IdSource, SocketId, Transmit};
use p2pcall_relay::stun::{Builder, Class, Message, Method, Seal, TransactionId, attr};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Waits between the tries of one request, the last one before it is given up, in milliseconds.
pub(super) type Schedule = &'static [u64];

/// A question that any server answers: four tries within two seconds, 3.5 s in all.
pub(super) const QUESTION: Schedule = &[300, 600, 1_100, 1_500];
/// A test whose outcome may well be silence: four tries in 1.1 s, given up after 1.9 s.
pub(super) const TEST: Schedule = &[250, 350, 500, 800];

/// What a server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// Where the answer came from.
    pub(super) from: SocketAddr,
    /// What was asked.
    pub(super) asked: SocketAddr,
    /// Since the last try, which it may or may not answer.
    pub(super) after: Duration,
    /// How the server sees us; none in an error.
    pub(super) mapped: Option<SocketAddr>,
    /// The server's other address (RFC 5780 §7.4).
    pub(super) other: Option<SocketAddr>,
}

/// What a request asks for beside the mapped address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wish {
    /// CHANGE-REQUEST (RFC 5780 §7.2), also with no flag at all.
    pub(super) change: Option<u32>,
    /// RESPONSE-PORT (RFC 5780 §7.5).
    pub(super) response_port: Option<u16>,
}

/// One request to make.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<T> {
    /// What it is for.
    pub(super) tag: T,
    /// From which socket.
    pub(super) socket: SocketId,
    /// At which socket the answer counts.
    pub(super) answer_at: SocketId,
    /// To whom.
    pub(super) to: SocketAddr,
    /// What it asks for.
    pub(super) wish: Wish,
    /// How long.
    pub(super) schedule: Schedule,
}

impl<T> Request<T> {
    /// A plain one, answered where it was asked.
    pub(super) fn plain(tag: T, socket: SocketId, to: SocketAddr, schedule: Schedule) -> Self {
        Self { tag, socket, answer_at: socket, to, wish: Wish::default(), schedule }
    }

    /// With a CHANGE-REQUEST of these flags.
    pub(super) fn changing(self, flags: u32) -> Self {
        Self { wish: Wish { change: Some(flags), ..self.wish }, ..self }
    }
}

#[derive(Debug)]
struct Pending<T> {
    request: Request<T>,
    bytes: Vec<u8>,
    sent: usize,
    last: Instant,
    next: Instant,
}

/// The requests under way.
pub(super) struct Requests<T> {
    ids: IdSource,
    pending: HashMap<TransactionId, Pending<T>>,
    transmits: VecDeque<Transmit>,
}

impl<T: Copy> Requests<T> {
    pub(super) fn new(ids: IdSource) -> Self {
        Self { ids, pending: HashMap::new(), transmits: VecDeque::new() }
    }

    /// Sends a request now.
    pub(super) fn begin(&mut self, now: Instant, request: Request<T>) {
        let id = (self.ids)();
        let mut buffer = [0; 64];
        let builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, id)
            .put_some(attr::CHANGE_REQUEST, request.wish.change)
            .put_some(attr::RESPONSE_PORT, request.wish.response_port);
        // Sixty-four bytes hold both attributes.
        let Ok(bytes) = builder.finish(Seal::NONE).map(|bytes| bytes.to_vec()) else { return };
        self.transmits.push_back(Transmit { socket: request.socket, to: request.to, bytes: bytes.clone() });
        let next = now + wait(request.schedule, 0);
        self.pending.insert(id, Pending { request, bytes, sent: 1, last: now, next });
    }

    /// Takes a datagram: the answer to a request of this socket, once, or nothing.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Option<(T, Answer)> {
        let message = Message::parse(bytes).ok()?;
        if message.method() != Method::BINDING || !matches!(message.class(), Class::Success | Class::Error) {
            return None;
        }
        if self.pending.get(&message.id())?.request.answer_at != socket {
            return None;
        }
        let pending = self.pending.remove(&message.id())?;
        let success = message.class() == Class::Success;
        let mapped = message.get(attr::XOR_MAPPED_ADDRESS).or_else(|| message.get(attr::MAPPED_ADDRESS));
        let answer = Answer {
            from,
            asked: pending.request.to,
            after: now.saturating_duration_since(pending.last),
            mapped: mapped.filter(|_| success),
            other: message.get(attr::OTHER_ADDRESS).filter(|_| success),
        };
        Some((pending.request.tag, answer))
    }

    /// Whether the datagram is one of our own requests, come back: its tag. It stays under way.
    pub(super) fn returned(&self, bytes: &[u8]) -> Option<T> {
        let message = Message::parse(bytes).ok()?;
        let ours = message.class() == Class::Request;
        self.pending.get(&message.id()).filter(|_| ours).map(|pending| pending.request.tag)
    }

    /// Gives up all requests of which this is true.
    pub(super) fn forget(&mut self, which: impl Fn(&T) -> bool) {
        self.pending.retain(|_, pending| !which(&pending.request.tag));
    }

    /// The system refused to send this way: the tags of what is given up.
    pub(super) fn unreachable(&mut self, socket: SocketId, to: SocketAddr) -> Vec<T> {
        self.pending
            .extract_if(|_, one| one.request.socket == socket && one.request.to == to)
            .map(|(_, pending)| pending.request.tag)
            .collect()
    }

    /// Sends again what is due; the tags of what nobody has answered.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<T> {
        let silent = self
            .pending
            .extract_if(|_, one| one.next <= now && one.sent >= one.request.schedule.len())
            .map(|(_, pending)| pending.request.tag)
            .collect();
        for pending in self.pending.values_mut().filter(|one| one.next <= now) {
            pending.next = now + wait(pending.request.schedule, pending.sent);
            pending.sent += 1;
            pending.last = now;
            let (socket, to) = (pending.request.socket, pending.request.to);
            let bytes = pending.bytes.clone();
            self.transmits.push_back(Transmit { socket, to, bytes });
        }
        silent
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.pending.values().map(|pending| pending.next).min()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether one of these is still under way.
    pub(super) fn awaits(&self, which: impl Fn(&T) -> bool) -> bool {
        self.pending.values().any(|pending| which(&pending.request.tag))
    }
}

fn wait(schedule: Schedule, index: usize) -> Duration {
    Duration::from_millis(schedule.get(index).copied().unwrap_or_default())
}
