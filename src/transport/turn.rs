//! A TURN client (RFC 8656) without sockets and clock: one allocation on one server, over datagrams or a
//! stream. Told the time and what came in, it says what to send and what has happened.
//!
//! ```text
//! Idle -> Allocating -> Allocated -> Releasing -> Over
//!              \------------\------------------/     (an error or a loss: `TurnEvent::Failed`)
//! ```
//! It makes permissions when data is to be sent, and one for the relay's own address from the start: so the
//! allocations of two callers on one relay reach each other though neither knows the other's beforehand.
//! It takes an IPv4 address, or the IPv6 one of a relay that has no other. It deliberately knows no TCP
//! allocations (RFC 6062), no mobility, no two addresses at a time.

mod extras;
mod login;
mod outcome;
mod peers;
mod requests;
mod write;

pub use login::Login;
pub use outcome::{Extras, Framing, Received, Taken, TurnError, TurnEvent};

use p2pcall_relay::stun::{ChannelData, Class, Message, Method, attr};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::binding::{IdSource, KEEPALIVE};
use login::Challenge;
use peers::{Need, Peers, Route};
use requests::{Due, Request, Requests};

/// A Refresh finds out whether the relay still knows us. Over UDP it also keeps the NAT's mapping, where nothing else
/// was sent for [`KEEPALIVE`].
const REFRESH_INTERVAL: Duration = Duration::from_secs(15);

/// Who sends and hears nothing at all for so long asks whether the relay is still there.
const SUSPICION: Duration = Duration::from_millis(1_200);

/// How often in a row a server may call a fresh nonce stale.
const MAX_STALE: u8 = 3;

/// RFC 8656 §19: 508. The relay is full, or what it may transfer is spent.
pub(super) const INSUFFICIENT_CAPACITY: u16 = 508;

/// Datagrams that may wait to be sent.
const MAX_TRANSMITS: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Allocating,
    Allocated { refresh: Instant },
    Releasing,
    Over,
}

/// One allocation on one server.
pub struct TurnClient {
    ids: IdSource,
    framing: Framing,
    login: Option<Login>,
    extras: Extras,
    state: State,
    challenge: Option<Challenge>,
    taken: Taken,
    /// The extras have changed since the server answered to them last.
    extras_asked: bool,
    /// It took none of them with the allocation: it does not know them.
    deaf: bool,
    v6: bool,
    /// What was here before was ended.
    cleared: bool,
    /// When anything came from the server last, or its silence was looked into.
    heard: Option<Instant>,
    /// When anything was sent to it last.
    spoke: Option<Instant>,
    requests: Requests,
    peers: Peers,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<TurnEvent>,
}

impl std::fmt::Debug for TurnClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnClient").field("state", &self.state).finish_non_exhaustive()
    }
}

impl TurnClient {
    /// A client that has not asked for anything yet.
    pub fn new(framing: Framing, login: Option<Login>, extras: Extras, ids: IdSource) -> Self {
        Self {
            ids,
            framing,
            login,
            extras,
            state: State::Idle,
            challenge: None,
            taken: Taken::default(),
            extras_asked: false,
            deaf: false,
            v6: false,
            cleared: false,
            heard: None,
            spoke: None,
            requests: Requests::new(framing == Framing::Stream),
            peers: Peers::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Asks for an IPv6 address from the start.
    #[must_use]
    pub fn relaying_v6(mut self, v6: bool) -> Self {
        self.v6 = v6;
        self
    }

    /// Asks for an allocation; the event is [`TurnEvent::Allocated`] or one of those that end it.
    pub fn allocate(&mut self, now: Instant) {
        if self.state == State::Idle {
            self.state = State::Allocating;
            self.request(now, Request::Allocate, 0);
        }
    }

    /// Gives the allocation back.
    pub fn release(&mut self, now: Instant) {
        match self.state {
            State::Allocated { .. } => {
                self.state = State::Releasing;
                self.requests.clear();
                self.request(now, Request::Release, 0);
            }
            State::Releasing => {}
            State::Idle | State::Allocating | State::Over => self.end(TurnEvent::Released),
        }
    }

    /// Whether data can be sent.
    pub fn is_allocated(&self) -> bool {
        matches!(self.state, State::Allocated { .. })
    }

    /// Sends a datagram to a peer, now or when its permission is there; without an allocation it is dropped.
    pub fn send(&mut self, now: Instant, peer: SocketAddr, bytes: &[u8]) {
        if !self.is_allocated() {
            return;
        }
        let heard = *self.heard.get_or_insert(now);
        if now.duration_since(heard) >= SUSPICION && !self.requests.awaits(Request::Refresh) {
            self.heard = Some(now);
            self.request(now, Request::Refresh, 0);
        }
        let route = self.peers.route(now, peer, bytes);
        if !matches!(route, Route::Held) {
            self.spoke = Some(now);
        }
        self.make_requests(now);
        match route {
            Route::Channel(channel) => self.send_on_channel(ChannelData { channel, data: bytes }),
            Route::Indication => self.send_indication(peer, bytes),
            Route::Held => {}
        }
    }

    /// A datagram, or one message of a stream, came from the server.
    pub fn handle_packet<'a>(&mut self, now: Instant, bytes: &'a [u8]) -> Received<'a> {
        self.heard = Some(now);
        if let Some(ChannelData { channel, data }) = ChannelData::parse(bytes) {
            let peer = self.peers.peer(channel);
            return peer.map_or(Received::Handled, |peer| Received::Data { peer, bytes: data });
        }
        let Ok(message) = Message::parse(bytes) else { return Received::Foreign };
        match (message.class(), message.method()) {
            (Class::Indication, Method::DATA) => {
                match (message.get(attr::XOR_PEER_ADDRESS), message.get(attr::DATA)) {
                    (Some(peer), Some(bytes)) if self.is_allocated() => Received::Data { peer, bytes },
                    _ => Received::Handled,
                }
            }
            (Class::Success | Class::Error, _) if self.requests.knows(message.id()) => {
                self.answered(now, &message);
                Received::Handled
            }
            _ => Received::Foreign,
        }
    }

    /// Repeats, renews, gives up.
    pub fn handle_timeout(&mut self, now: Instant) {
        for due in self.requests.handle_timeout(now) {
            match due {
                Due::Again(bytes) => self.transmit(bytes),
                Due::Unanswered(request) => self.unanswered(now, request),
            }
        }
        let State::Allocated { refresh } = self.state else { return };
        if self.refresh_due(refresh) <= now && !self.requests.awaits(Request::Refresh) {
            self.request(now, Request::Refresh, 0);
        }
        self.peers.handle_timeout(now);
        self.make_requests(now);
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let requests = self.requests.poll_timeout();
        let State::Allocated { refresh } = self.state else { return requests };
        let refresh = (!self.requests.awaits(Request::Refresh)).then(|| self.refresh_due(refresh));
        [requests, refresh, self.peers.poll_timeout()].into_iter().flatten().min()
    }

    /// A NAT forgets over which nothing goes out.
    fn refresh_due(&self, refresh: Instant) -> Instant {
        let idle = self.spoke.filter(|_| self.framing == Framing::Datagram).map(|spoke| spoke + KEEPALIVE);
        idle.map_or(refresh, |idle| refresh.min(idle))
    }

    /// What to send to the server.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<TurnEvent> {
        self.events.pop_front()
    }

    fn answered(&mut self, now: Instant, message: &Message<'_>) {
        // RFC 8489 §9.2.5: an answer that is not protected as the request was is none. Errors may come from
        // before the server looked at who we are.
        let genuine = self.challenge.as_ref().is_none_or(|challenge| challenge.verifies(message));
        if message.class() == Class::Success && !genuine {
            return;
        }
        let Some(pending) = self.requests.take(message.id()) else { return };
        if message.class() == Class::Success {
            return self.succeeded(now, pending.request, message);
        }
        let (code, reason) =
            message.get(attr::ERROR_CODE).map_or((500, ""), |error| (error.code, error.reason));
        match code {
            401 => self.challenged(now, pending.request, message),
            // RFC 8489 §9.2.5: a 438 comes with another nonce, to try with.
            438 if pending.stale < MAX_STALE => {
                self.renewed(now, pending.request, pending.stale + 1, message);
            }
            438 => self.failed(now, pending.request, TurnError::StaleNonce),
            300 if pending.request == Request::Allocate => match message.get(attr::ALTERNATE_SERVER) {
                Some(server) => self.end(TurnEvent::Redirected(server)),
                None => self.failed(now, pending.request, refused(code, reason)),
            },
            486 => self.failed(now, pending.request, TurnError::Quota),
            // RFC 8656 §7.4: no IPv4 address there. Any is better than none.
            440 if pending.request == Request::Allocate && !self.v6 => {
                self.v6 = true;
                self.request(now, Request::Allocate, 0);
            }
            // RFC 8656 §7.4: there is an allocation of these two addresses already. It is our own, which was given up
            // while nothing came from the server: ended, its relayed address is free for us again.
            437 if pending.request == Request::Allocate && !self.cleared => {
                self.cleared = true;
                self.request(now, Request::Clear, 0);
            }
            _ => self.failed(now, pending.request, refused(code, reason)),
        }
    }

    /// RFC 8489 §9.2.5: the first 401 tells realm and nonce; a second one means that we are not believed.
    fn challenged(&mut self, now: Instant, request: Request, message: &Message<'_>) {
        let Some(login) = &self.login else {
            return self.failed(now, request, TurnError::LoginNeeded);
        };
        if self.challenge.is_some() {
            let secret = login.is_from_secret();
            let error = if secret { TurnError::SecretOrClock } else { TurnError::WrongPassword };
            return self.failed(now, request, error);
        }
        self.renewed(now, request, 0, message);
    }

    fn renewed(&mut self, now: Instant, request: Request, stale: u8, message: &Message<'_>) {
        let login = self.login.as_ref();
        let challenge = login.and_then(|login| Challenge::read(message, login, self.challenge.as_ref()));
        match challenge {
            Some(challenge) => {
                self.challenge = Some(challenge);
                self.request(now, request, stale);
            }
            None => self.failed(now, request, refused(401, "without realm or nonce")),
        }
    }

    fn succeeded(&mut self, now: Instant, request: Request, message: &Message<'_>) {
        match request {
            Request::Allocate => self.allocated(now, message),
            Request::Refresh => {
                self.state = State::Allocated { refresh: next_refresh(now, message) };
                self.note_taken(message);
            }
            Request::Release => self.end(TurnEvent::Released),
            Request::Clear => self.request(now, Request::Allocate, 0),
            Request::Permit(peer) => {
                for (peer, bytes) in self.peers.permitted(now, peer) {
                    self.send(now, peer, &bytes);
                }
            }
            Request::Bind(peer, _) => self.peers.bound(now, peer),
        }
    }

    fn allocated(&mut self, now: Instant, message: &Message<'_>) {
        let Some(relayed) = message.get(attr::XOR_RELAYED_ADDRESS) else {
            return self.failed(now, Request::Allocate, refused(500, "no relayed address"));
        };
        self.state = State::Allocated { refresh: next_refresh(now, message) };
        self.peers.pin(now, relayed.ip());
        self.make_requests(now);
        self.taken = self.read_taken(message);
        self.deaf = self.extras != Extras::default() && self.taken == Taken::default();
        let (mapped, taken) = (message.get(attr::XOR_MAPPED_ADDRESS), self.taken);
        self.events.push_back(TurnEvent::Allocated { relayed, mapped, taken });
    }

    fn unanswered(&mut self, now: Instant, request: Request) {
        let error = if request == Request::Allocate { TurnError::Silent } else { TurnError::Lost };
        self.failed(now, request, error);
    }

    fn failed(&mut self, now: Instant, request: Request, error: TurnError) {
        match request {
            Request::Allocate => self.end(TurnEvent::Failed(error)),
            // The allocation lives on for what is left of its lifetime, ten minutes at the most.
            Request::Refresh if matches!(error, TurnError::Refused { code: INSUFFICIENT_CAPACITY, .. }) => {
                self.state = State::Allocated { refresh: now + REFRESH_INTERVAL };
                self.events.push_back(TurnEvent::NotProlonged(error));
            }
            // Whatever it is (437, 401 for a password that was changed, silence): there is none any more.
            Request::Refresh => self.end(TurnEvent::Failed(TurnError::Lost)),
            Request::Release => self.end(TurnEvent::Released),
            // Somebody else's, maybe: the server has the last word.
            Request::Clear => self.request(now, Request::Allocate, 0),
            Request::Permit(peer) => {
                log::debug!("no permission for {peer}: {error}");
                self.peers.forbidden(now, peer);
                self.events.push_back(TurnEvent::Forbidden(peer));
            }
            Request::Bind(peer, _) => {
                log::debug!("no channel for {peer}: {error}");
                self.peers.unbound(now, peer);
            }
        }
    }

    fn end(&mut self, event: TurnEvent) {
        self.state = State::Over;
        self.requests.clear();
        self.transmits.clear();
        self.events.push_back(event);
    }

    fn make_requests(&mut self, now: Instant) {
        while let Some(need) = self.peers.poll_need() {
            let request = match need {
                Need::Permission(peer) => Request::Permit(peer),
                Need::Channel(peer, number) => Request::Bind(peer, number),
            };
            self.request(now, request, 0);
        }
    }

    fn request(&mut self, now: Instant, request: Request, stale: u8) {
        let id = (self.ids)();
        let Some(bytes) = self.build(id, request) else { return };
        self.spoke = Some(now);
        self.requests.sent(now, id, request, &bytes, stale);
        self.transmit(bytes);
    }

    fn transmit(&mut self, bytes: Vec<u8>) {
        if self.transmits.len() < MAX_TRANSMITS {
            self.transmits.push_back(bytes);
        }
    }
}

/// Well before the allocation ends, and often enough for the NAT.
fn next_refresh(now: Instant, message: &Message<'_>) -> Instant {
    let lifetime = Duration::from_secs(message.get(attr::LIFETIME).unwrap_or(600).into());
    now + (lifetime / 2).clamp(Duration::from_secs(1), REFRESH_INTERVAL)
}

/// The server's own words, made harmless.
fn refused(code: u16, reason: &str) -> TurnError {
    let reason = reason.chars().filter(|c| !c.is_control()).take(80).collect();
    TurnError::Refused { code, reason }
}

#[cfg(test)]
mod tests;
