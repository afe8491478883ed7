//! The relay itself, without a socket, a clock or a task: packets and times in, packets out.
//!
//! | door | when |
//! |---|---|
//! | [`Server::handle_client`] | something came from a client |
//! | [`Server::handle_peer`] | something came to a relay socket |
//! | [`Server::handle_relayed`] | another shard passed something on |
//! | [`Server::handle_icmp`] | a peer's network complained |
//! | [`Server::handle_disconnect`] | a client's connection closed |
//! | [`Server::handle_timeout`] | [`Server::poll_timeout`] has come |
//!
//! Each returns at most one [`Output`], whose data still lies in the packet that came in: nothing is copied and
//! nothing allocated for a relayed packet. Relay sockets are opened and closed through [`Sockets`].
//!
//! One `Server` is one shard. Shards know each other's ports, quotas and guests through [`Shared`], and
//! nothing else. It deliberately does not know what a socket is, which operating system this is, how packets
//! are batched, nor where configuration, certificates and logs are.

mod allocate;
mod allocation;
mod auth;
mod binding;
mod bucket;
mod clock;
mod credentials;
mod data;
mod doorbell;
mod event;
mod guests;
mod limiter;
mod output;
mod peers;
mod permission;
mod ports;
mod quota;
mod random;
mod refusal;
mod settings;
mod shared;
mod table;
#[cfg(test)]
mod tests;
mod wheel;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

pub use allocation::{Client, RelayId, Via};
pub use auth::SHA256_NONCE_PREFIX;
pub use clock::Now;
pub use credentials::{Credential, Credentials, time_limited};
pub use event::{Counters, Ended, Event};
pub use output::{Header, Output};
pub use peers::{BadCidr, Cidr, PeerRules, Peers, RelayIp};
pub use ports::Shard;
pub use quota::Budget;
pub use random::Seed;
pub use settings::{Limits, Listener, Settings};
pub use shared::Shared;

use allocation::{Allocation, User};
use auth::{Gate, Standing};
use clock::Seconds;
use limiter::Limiter;
use random::Random;
use refusal::{Beside, Refusal};
use table::{Id, Table};
use wheel::Wheel;

use crate::stun::{Builder, Class, ErrorCode, Message, Method, Seal, attr};

/// Events that wait to be fetched; more push the oldest out.
const MAX_EVENTS: usize = 1024;
/// Refusals among them: whoever fails to log in a thousand times a second does not fill the log.
const MAX_REFUSALS: usize = 32;
/// The longest reply.
const MAX_REPLY: usize = 2048;

/// How the core opens relay sockets and says which channels there are.
pub trait Sockets {
    /// Opens a UDP socket bound to `local`; false if that cannot be done, because someone else has the port.
    fn open(&mut self, relay: RelayId, local: SocketAddr) -> bool;
    /// Closes it.
    fn close(&mut self, relay: RelayId);
    /// A channel came: packets between this client and this peer may take a shorter way.
    fn bound(&mut self, _relay: RelayId, _channel: u16, _peer: SocketAddr) {}
    /// It went.
    fn unbound(&mut self, _relay: RelayId, _channel: u16) {}
}

/// One shard of the relay.
#[derive(Debug)]
pub struct Server {
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    shard: Shard,
    allocations: Table,
    wheel: Wheel<Id>,
    limiter: Limiter,
    random: Random,
    indications: u64,
    unbilled: u64,
    counters: Counters,
    events: VecDeque<Event>,
}

/// A request whose sender has proved who it is.
struct Request<'p> {
    message: Message<'p>,
    client: Client,
    user: Arc<User>,
    standing: Standing,
    seconds: Seconds,
}

impl Server {
    /// A shard that owns nothing yet.
    pub fn new(settings: Arc<Settings>, shared: Arc<Shared>, shard: Shard) -> Self {
        Self {
            limiter: Limiter::new(settings.limits.strangers),
            random: Random::new(&shared.seed, shard.index() as u8),
            settings,
            shared,
            shard,
            allocations: Table::default(),
            wheel: Wheel::new(),
            indications: 0,
            unbilled: 0,
            counters: Counters::default(),
            events: VecDeque::new(),
        }
    }

    /// Takes new limits and peer rules. Listeners, relay addresses and ports stay as they were.
    pub fn set_settings(&mut self, settings: Arc<Settings>) {
        if settings.limits.strangers != self.settings.limits.strangers {
            self.limiter = Limiter::new(settings.limits.strangers);
        }
        self.settings = settings;
    }

    /// A packet from a client: STUN or ChannelData. From a stream it is one whole message, padding included.
    pub fn handle_client<'p>(
        &mut self,
        now: Now,
        client: Client,
        packet: &'p [u8],
        sockets: &mut impl Sockets,
    ) -> Output<'p> {
        if matches!(packet.first(), Some(0x40..=0x7F)) {
            return self.channel_data(now, &client, packet);
        }
        let Ok(message) = Message::parse(packet) else {
            self.counters.malformed += 1;
            return Output::Nothing;
        };
        if message.verify_fingerprint() == Some(false) {
            self.counters.malformed += 1;
            return Output::Nothing;
        }
        match (message.class(), message.method()) {
            (Class::Indication, Method::SEND) => self.send_indication(now, &client, &message),
            (Class::Request, Method::BINDING) => self.binding(now, client, &message),
            (
                Class::Request,
                Method::ALLOCATE | Method::REFRESH | Method::CREATE_PERMISSION | Method::CHANNEL_BIND,
            ) => self.request(now, client, message, sockets),
            // RFC 8489 §6.3: methods that are not supported are dropped; a Binding indication only keeps alive.
            _ => Output::Nothing,
        }
    }

    /// A client's connection has closed: its allocation ends.
    pub fn handle_disconnect(&mut self, client: &Client, sockets: &mut impl Sockets) {
        if let Some(id) = self.allocations.of_client(client) {
            self.end(id, Ended::Disconnected, sockets);
        }
    }

    /// Ends what has expired. To be called when [`Server::poll_timeout`] has come; more often does no harm.
    pub fn handle_timeout(&mut self, now: Now, sockets: &mut impl Sockets) {
        let seconds = self.shared.clock.seconds(now);
        self.shared.expire_reservations(seconds);
        self.shared.budget.add(std::mem::take(&mut self.unbilled));
        for id in self.wheel.due(seconds) {
            let Some(allocation) = self.allocations.get_mut(id) else { continue };
            if allocation.until <= seconds {
                self.end(id, Ended::Expired, sockets);
                continue;
            }
            allocation
                .expire_channels(seconds, |channel| sockets.unbound(id.relay(false), channel.number.get()));
            let until = allocation.until;
            self.wheel.insert(until, id);
        }
    }

    /// When [`Server::handle_timeout`] wants to be called; `None` while there is nothing to expire.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wheel.next().map(|seconds| self.shared.clock.instant(seconds))
    }

    /// Whether this client has an allocation.
    pub fn has_allocation(&self, client: &Client) -> bool {
        self.allocations.of_client(client).is_some()
    }

    /// The next thing for the log.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Ends all allocations.
    pub fn shutdown(&mut self, sockets: &mut impl Sockets) {
        for id in self.allocations.ids() {
            self.end(id, Ended::Shutdown, sockets);
        }
        self.shared.budget.add(std::mem::take(&mut self.unbilled));
    }

    /// Authenticates, then carries out.
    fn request<'p>(
        &mut self,
        now: Now,
        client: Client,
        message: Message<'p>,
        sockets: &mut impl Sockets,
    ) -> Output<'p> {
        let seconds = self.shared.clock.seconds(now);
        self.end_if_expired(&client, seconds, sockets);
        let known = self.allocations.of_client(&client).and_then(|id| self.allocations.get_mut(id));
        let known = known.map(|allocation| {
            let standing = if allocation.visit().is_some() { Standing::Guest } else { Standing::Member };
            (&allocation.user, standing)
        });
        let gate = Gate { shared: &self.shared, sha256: self.settings.sha256 };
        let (user, standing) = match gate.check(now, &client, &message, known) {
            Ok(proved) => proved,
            Err(refusal) => return self.refuse_stranger(now, client, &message, &refusal),
        };
        let request = Request { message, client, user, standing, seconds };
        let carried_out = match Refusal::unknown(message.unknown_required()) {
            Some(refusal) => Err(refusal),
            None => match message.method() {
                Method::ALLOCATE => self.allocate(&request, sockets),
                Method::REFRESH => self.refresh(&request, sockets),
                Method::CREATE_PERMISSION => self.create_permission(&request),
                _ => self.channel_bind(&request, sockets),
            },
        };
        match carried_out {
            Ok(bytes) => Output::Reply { to: client, bytes },
            Err(refusal) => self.refuse(&request, &refusal),
        }
    }

    /// The allocation of whoever asks (RFC 8656 §5: 437 without one, 441 with somebody else's).
    fn own_allocation(&mut self, request: &Request<'_>) -> Result<(Id, &mut Allocation), Refusal> {
        let id = self.allocations.of_client(&request.client);
        let id = id.ok_or(Refusal::mismatch("There is no allocation"))?;
        let allocation = self.allocations.get_mut(id).ok_or(Refusal::mismatch("There is no allocation"))?;
        if allocation.user.name == request.user.name {
            Ok((id, allocation))
        } else {
            Err(Refusal::new(441, "Wrong Credentials"))
        }
    }

    fn end_if_expired(&mut self, client: &Client, now: Seconds, sockets: &mut impl Sockets) {
        if let Some(id) = self.allocations.of_client(client)
            && self.allocations.get_mut(id).is_some_and(|allocation| allocation.until <= now)
        {
            self.end(id, Ended::Expired, sockets);
        }
    }

    /// Ends an allocation and gives back all it had.
    fn end(&mut self, id: Id, reason: Ended, sockets: &mut impl Sockets) {
        let Some(mut allocation) = self.allocations.remove(id) else { return };
        allocation
            .expire_channels(Seconds::MAX, |channel| sockets.unbound(id.relay(false), channel.number.get()));
        for (second, relayed) in [false, true].into_iter().zip(allocation.relayed) {
            if let Some(relayed) = relayed {
                self.close(id, second, relayed, sockets);
            }
        }
        self.tell(Event::Ended {
            user: event::printable(&allocation.user.name),
            client: allocation.client.address,
            reason,
            sent: allocation.sent,
            received: allocation.received,
        });
    }

    fn close(&self, id: Id, second: bool, relayed: allocation::Relayed, sockets: &mut impl Sockets) {
        sockets.close(id.relay(second));
        if let Some(ports) = self.shared.ports(relayed.relay) {
            ports.release(relayed.port);
        }
    }

    fn tell(&mut self, event: Event) {
        if matches!(event, Event::Refused { .. }) && self.events.len() >= MAX_REFUSALS {
            return;
        }
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

/// Replies.
impl Server {
    /// A success response, protected as the request was.
    fn success(request: &Request<'_>, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
        let seal = Seal::with(&request.user.key, request.user.integrity);
        respond(&request.message, Class::Success, seal, fill)
    }

    /// An error response to somebody who has authenticated.
    fn refuse<'p>(&mut self, request: &Request<'_>, refusal: &Refusal) -> Output<'p> {
        self.counters.refused += 1;
        self.tell(Event::Refused {
            user: event::printable(&request.user.name),
            client: request.client.address,
            code: refusal.code,
            reason: refusal.reason,
        });
        let error = ErrorCode { code: refusal.code, reason: refusal.reason };
        let seal = Seal::with(&request.user.key, request.user.integrity);
        let bytes = respond(&request.message, Class::Error, seal, |reply| {
            let reply = reply.put(attr::ERROR_CODE, error);
            match &refusal.beside {
                Beside::Unknown(codes) => reply.put(attr::UNKNOWN_ATTRIBUTES, codes),
                Beside::Alternate(server) => reply.put(attr::ALTERNATE_SERVER, *server),
                Beside::Nothing | Beside::Challenge => reply,
            }
        });
        Output::Reply { to: request.client, bytes }
    }

    /// An error response to somebody unknown: short, without a phrase, and not too often.
    fn refuse_stranger<'p>(
        &mut self,
        now: Now,
        client: Client,
        message: &Message<'_>,
        refusal: &Refusal,
    ) -> Output<'p> {
        if !self.may_answer_stranger(now, &client) {
            return Output::Nothing;
        }
        if refusal.code == 401 && message.contains(attr::USERNAME) {
            self.counters.unauthorized += 1;
            let user = event::printable(message.get(attr::USERNAME).unwrap_or_default());
            let (client, code, reason) = (client.address, refusal.code, refusal.reason);
            self.tell(Event::Refused { user, client, code, reason });
        }
        let gate = Gate { shared: &self.shared, sha256: self.settings.sha256 };
        let credentials = self.shared.credentials();
        let bytes = respond(message, Class::Error, Seal::NONE, |reply| {
            let reply = reply.put(attr::ERROR_CODE, ErrorCode { code: refusal.code, reason: "" });
            match &refusal.beside {
                Beside::Challenge => {
                    let nonce = gate.nonce(client.address.ip(), now);
                    let algorithms = gate.sha256.then_some(crate::stun::PasswordAlgorithm::LIST);
                    let reply = reply.put(attr::REALM, credentials.realm()).put(attr::NONCE, &nonce);
                    reply.put_some(attr::PASSWORD_ALGORITHMS, algorithms)
                }
                Beside::Unknown(codes) => reply.put(attr::UNKNOWN_ATTRIBUTES, codes),
                Beside::Nothing | Beside::Alternate(_) => reply,
            }
        });
        Output::Reply { to: client, bytes }
    }

    /// Nobody can forge the address of a stream; for UDP the limiter decides.
    fn may_answer_stranger(&mut self, now: Now, client: &Client) -> bool {
        let forgeable = matches!(client.via, Via::Udp(_));
        let admitted = !forgeable || self.limiter.admit(client.address.ip(), self.shared.clock.millis(now));
        self.counters.limited += u64::from(!admitted);
        admitted
    }
}

/// A response to this message; empty, and so never sent, if it should not fit.
fn respond(
    message: &Message<'_>,
    class: Class,
    seal: Seal<'_>,
    fill: impl FnOnce(Builder<'_>) -> Builder<'_>,
) -> Vec<u8> {
    let mut buffer = [0; MAX_REPLY];
    let reply = fill(Builder::new(&mut buffer, class, message.method(), message.id()));
    reply.finish(seal).map_or_else(|_| Vec::new(), |bytes| bytes.to_vec())
}
