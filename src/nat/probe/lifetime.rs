//! PURE: how long the NAT keeps a mapping that nobody uses (RFC 5780 §4.6). Several sockets are mapped at once and
//! left alone for times of their own; then a second socket has the server answer to each one's mapped port
//! (RESPONSE-PORT). Where the server does not know that, the sockets ask again: another mapped port means that the
//! first mapping was forgotten; the same port means nothing if the NAT keeps ports.

use super::requests::{Answer, QUESTION, Request, Requests, TEST, Wish};
use super::{IdSource, SocketId, Transmit};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// After so many seconds a socket is looked at: NATs have been seen to forget after 20 s, RFC 4787 §4.3 asks for two
/// minutes and recommends five.
const STEPS: [u64; 10] = [10, 20, 30, 45, 60, 90, 120, 180, 240, 300];
/// The one that asks for answers to the others.
const ASKER: SocketId = SocketId(0);
/// How many sockets the probe wants.
pub const SOCKETS: usize = STEPS.len() + 2;
/// The socket that shows at once whether RESPONSE-PORT works.
const TRIAL: usize = STEPS.len() + 1;

/// How long a mapping lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lifetime {
    /// Seconds after which it was still there.
    pub alive: Option<u64>,
    /// Seconds after which it was gone.
    pub gone: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    /// Makes the mapping of the socket of this number.
    Map(usize),
    /// The server answers to the first one's mapped port.
    Look(usize),
    /// The socket asks again.
    Again(usize),
}

#[derive(Debug, Clone, Copy)]
struct Held {
    mapped: SocketAddr,
    due: Instant,
    looked: bool,
}

/// A measurement under way.
pub struct LifetimeProbe {
    requests: Requests<Tag>,
    server: SocketAddr,
    held: [Option<Held>; SOCKETS],
    /// RESPONSE-PORT works; `None` until that is known.
    response_port: Option<bool>,
    /// A mapped port that stays the same says nothing.
    ports_preserved: bool,
    lifetime: Lifetime,
}

impl LifetimeProbe {
    /// Maps the sockets by this server.
    pub fn new(now: Instant, server: SocketAddr, ports_preserved: bool, ids: IdSource) -> Self {
        let mut requests = Requests::new(ids);
        for socket in 1..SOCKETS {
            requests.begin(now, Request::plain(Tag::Map(socket), SocketId(socket), server, QUESTION));
        }
        Self {
            requests,
            server,
            held: [None; SOCKETS],
            response_port: None,
            ports_preserved,
            lifetime: Lifetime::default(),
        }
    }

    /// What is known so far.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Nothing more will be known.
    pub fn is_done(&self) -> bool {
        self.requests.is_empty() && (self.due().is_none() || self.response_port.is_none())
    }

    /// A datagram came in.
    pub fn handle_packet(&mut self, now: Instant, socket: SocketId, from: SocketAddr, bytes: &[u8]) {
        let Some((tag, answer)) = self.requests.answered(now, socket, from, bytes) else { return };
        match tag {
            Tag::Map(number) => self.mapped(now, number, &answer),
            Tag::Look(TRIAL) => self.response_port = Some(answer.mapped.is_some()),
            Tag::Look(number) if answer.mapped.is_some() => self.alive(number),
            Tag::Look(_) => {}
            Tag::Again(number) => self.asked_again(number, &answer),
        }
    }

    /// Looks, sends again, gives up.
    pub fn handle_timeout(&mut self, now: Instant) {
        for tag in self.requests.handle_timeout(now) {
            match tag {
                Tag::Look(TRIAL) => self.response_port = Some(false),
                Tag::Look(number) => self.gone(number),
                Tag::Map(_) | Tag::Again(_) => {}
            }
        }
        let Some(response_port) = self.response_port else { return };
        for number in 1..=STEPS.len() {
            let Some(held) = self.held.get_mut(number).and_then(Option::as_mut) else { continue };
            if held.looked || held.due > now {
                continue;
            }
            held.looked = true;
            let mapped = *held;
            if response_port {
                self.look(now, number, mapped.mapped);
            } else {
                let again = Request::plain(Tag::Again(number), SocketId(number), self.server, TEST);
                self.requests.begin(now, again);
            }
        }
    }

    /// The system refused to send: no use waiting.
    pub fn unreachable(&mut self, _: Instant, socket: SocketId, to: SocketAddr) {
        for tag in self.requests.unreachable(socket, to) {
            if tag == Tag::Look(TRIAL) {
                self.response_port = Some(false);
            }
        }
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = self.due().filter(|_| self.response_port.is_some());
        self.requests.poll_timeout().into_iter().chain(due).min()
    }

    /// What to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.requests.poll_transmit()
    }

    fn due(&self) -> Option<Instant> {
        let held = self.held.iter().take(TRIAL).flatten();
        held.filter(|held| !held.looked).map(|held| held.due).min()
    }

    fn mapped(&mut self, now: Instant, number: usize, answer: &Answer) {
        let Some(mapped) = answer.mapped else { return };
        if number == TRIAL {
            return self.look(now, TRIAL, mapped);
        }
        let after = STEPS.get(number - 1).copied().unwrap_or_default();
        if let Some(held) = self.held.get_mut(number) {
            *held = Some(Held { mapped, due: now + Duration::from_secs(after), looked: false });
        }
    }

    fn look(&mut self, now: Instant, number: usize, mapped: SocketAddr) {
        let wish = Wish { response_port: Some(mapped.port()), ..Wish::default() };
        let request = Request::plain(Tag::Look(number), ASKER, self.server, TEST);
        self.requests.begin(now, Request { wish, answer_at: SocketId(number), ..request });
    }

    fn asked_again(&mut self, number: usize, answer: &Answer) {
        let before = self.held.get(number).copied().flatten().map(|held| held.mapped);
        match (answer.mapped, before) {
            (Some(now), Some(before)) if now != before => self.gone(number),
            (Some(_), Some(_)) if !self.ports_preserved => self.alive(number),
            _ => {}
        }
    }

    fn alive(&mut self, number: usize) {
        let after = number.checked_sub(1).and_then(|index| STEPS.get(index)).copied();
        self.lifetime.alive = self.lifetime.alive.max(after);
    }

    fn gone(&mut self, number: usize) {
        let Some(after) = number.checked_sub(1).and_then(|index| STEPS.get(index)).copied() else { return };
        self.lifetime.gone = Some(self.lifetime.gone.map_or(after, |gone| gone.min(after)));
    }
}
