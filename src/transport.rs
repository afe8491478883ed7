//! The network below the peer connections: real sockets, relays and keepalives that outlive them.
//!
//! The WebRTC stack sees virtual sockets only ([`Port`]); the real ones, and the allocations at relays, belong
//! to a [`Transport`]. So a peer connection can be thrown away and made anew without losing an address that a
//! code already carries; a stranger who saw the code cannot occupy it; relays are reached over TCP and TLS;
//! and what is wrong with a server is known by name.
//!
//! ```text
//!  Port, Port, …   one for each agent and link
//!      \   |   /
//!        hub  ----- router (pure): whose is this datagram?
//!      /   |   \
//!  host sockets    binding (pure): STUN, keepalives          turn (pure): allocations over UDP, TCP, TLS
//! ```
//!
//! # Use
//! ```no_run
//! # use p2pcall::{config::NetworkConfig, transport::{Credentials, GATHER_DEADLINE, Transport, TransportEvent}};
//! # async fn example(config: NetworkConfig, ours: Credentials, theirs: Credentials) -> std::io::Result<()> {
//! let (transport, mut events) = Transport::open(&config).await?;
//! let gathered = transport.gather(GATHER_DEADLINE).await; // candidates, and what failed
//!
//! // The offerer: whoever knows the code rings, and becomes an agent with ports.
//! let offer = transport.serve(&ours);
//! while let Some(event) = events.recv().await {
//!     if let TransportEvent::Ring { agent, .. } = event {
//!         let Some(agent) = transport.attach(agent) else { continue };
//!         let ports = agent.ports(); // to the peer connection; once it has authenticated:
//!         let others = transport.burn(agent.id()); // these are to be thrown away
//!     }
//! }
//!
//! // The answerer, and every peer connection of a classic exchange.
//! let agent = transport.call(&ours, Some(&theirs));
//! transport.close().await;
//! # Ok(()) }
//! ```
//! It deliberately knows neither SDP nor the WebRTC stack, and nothing of codes beyond ICE credentials.
#![expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]

pub mod binding;
pub mod candidate;
mod host;
mod hub;
mod inbox;
pub mod interfaces;
mod knock;
mod ledger;
mod line;
mod mapping;
mod names;
mod nat64;
mod port;
mod proxy;
mod punch;
mod refusal;
mod relay;
mod roam;
pub mod router;
mod servers;
mod stream;
mod tally;
pub mod turn;
mod ways;

pub use candidate::{LocalCandidate, RelayPath, ServerFailure, ServerName, ServerProblem};
pub use ledger::Gathered;
pub(crate) use names::Names;
pub use port::{Agent, Port};
pub use punch::sockets::{Agreed, Punching};
pub use router::{AgentId, Credentials, Dropped, LinkId, OfferId};
pub(crate) use stream::dial;
pub use tally::Count;
#[cfg(test)]
pub(crate) use ways::relays as relays_of;
pub use ways::{GuestAccess, RelayServer, Way};

use crate::call::event::PathKind;
use crate::config::NetworkConfig;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use hub::Hub;
use servers::Servers;

/// How long [`Transport::gather`] may take: longer than any server on this planet needs to answer twice, short
/// enough to wait for.
pub const GATHER_DEADLINE: Duration = Duration::from_millis(2_500);

/// Once the important servers have answered, how long the others are waited for.
const GRACE: Duration = Duration::from_millis(250);

/// Events that may wait for the session.
const EVENTS: usize = 256;

/// What happened between one of our addresses and one of the friend's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairCount {
    /// Ours: a socket, or an allocation.
    pub local: LocalCandidate,
    /// The friend's.
    pub remote: SocketAddr,
    /// What happened.
    pub count: Count,
}

/// Something the session should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    /// A candidate came after the gathering's deadline, or a new one after a loss.
    CandidateLearnt(LocalCandidate),
    /// An allocation is gone; its ports are closed.
    CandidateLost(LocalCandidate),
    /// A server failed after the gathering's deadline.
    ServerFailed(ServerFailure),
    /// The NAT sees one of our sockets at another address than before.
    MappingChanged {
        /// What a code may carry.
        old: SocketAddr,
        /// What it should carry.
        new: SocketAddr,
    },
    /// A local address that was bound is gone, and there are others. Said once for each change.
    InterfacesChanged {
        /// Those that are gone.
        gone: Vec<IpAddr>,
    },
    /// Somebody who knows the code wants in: [`Transport::attach`] makes an agent of it, doing nothing leaves
    /// it waiting.
    Ring {
        /// Which offer is rung.
        offer: OfferId,
        /// The agent to attach.
        agent: AgentId,
        /// Where the first datagram came from (as the relay says, of relayed ones).
        from: SocketAddr,
        /// The ufrag of whoever rings.
        remote: String,
        /// It came through a relay of ours.
        relayed: bool,
    },
    /// Too many rang: this agent had to go. Its ports are closed.
    Evicted {
        /// Which one.
        agent: AgentId,
    },
    /// The machine of this remote says that nobody has the port open. Anybody can forge that; told at most four
    /// times a second for as long as it is so and packets go there. Only Linux tells.
    PortClosed {
        /// Where the packets went.
        remote: SocketAddr,
    },
    /// The remote of this agent says, provably, that its code was already used.
    Refused {
        /// Which one.
        agent: AgentId,
    },
}

/// All sockets and allocations of a call. See the [module](self) for how it is used.
#[derive(Debug)]
pub struct Transport {
    hub: Arc<Hub>,
    servers: Arc<Servers>,
    tasks: JoinSet<()>,
}

impl Transport {
    /// Binds a socket for each usable local address. No packet leaves yet.
    ///
    /// # Errors
    /// When there is no address to bind, or one that was asked for is not this machine's.
    pub async fn open(config: &NetworkConfig) -> std::io::Result<(Self, mpsc::Receiver<TransportEvent>)> {
        let addresses = interfaces::usable(&list_interfaces().await?, &config.bind);
        if let Some(missing) =
            config.bind.iter().find(|asked| !addresses.iter().any(|one| one.address == **asked))
        {
            let message = format!("{missing} is not an address of this machine");
            return Err(std::io::Error::new(std::io::ErrorKind::AddrNotAvailable, message));
        }
        if addresses.is_empty() {
            let message = "this machine has no network address";
            return Err(std::io::Error::new(std::io::ErrorKind::AddrNotAvailable, message));
        }
        let (sender, events) = mpsc::channel(EVENTS);
        let hub = Arc::new(Hub::new(sender, config.relay_only));
        let servers =
            Arc::new(Servers::new(config.clone(), Arc::clone(&hub), addresses.iter().map(|one| one.address)));
        let mut tasks = JoinSet::new();
        for socket in host::bind_all(&addresses, !config.bind.is_empty())? {
            let (link, socket) = servers.add_host(socket);
            let servers = Arc::clone(&servers);
            tasks.spawn(async move { socket.receive(|heard| servers.heard(link, heard)).await });
        }
        tasks.spawn(run_timers(Arc::clone(&servers)));
        tasks.spawn(roam::watch(Arc::clone(&hub), Arc::clone(&servers), addresses, config.bind.clone()));
        Ok((Self { hub, servers, tasks }, events))
    }

    /// Asks all servers in parallel and returns what is known when all have answered, or at the deadline, or a
    /// little after the important ones have. What comes later is an event. Called again it returns what is
    /// known by now.
    pub async fn gather(&self, deadline: Duration) -> Gathered {
        self.servers.start();
        let mut until = tokio::time::Instant::now() + deadline;
        let mut graceful = false;
        while !self.servers.is_settled() {
            if !graceful && self.servers.is_satisfied() {
                graceful = true;
                until = until.min(tokio::time::Instant::now() + GRACE);
            }
            tokio::select! {
                () = self.servers.changed() => {}
                () = tokio::time::sleep_until(until) => break,
            }
        }
        self.servers.finish()
    }

    /// From now on whoever knows these credentials may ring.
    pub fn serve(&self, local: &Credentials) -> OfferId {
        self.hub.serve(local)
    }

    /// Nobody may ring this offer any more; agents that have live on.
    pub fn withdraw(&self, offer: OfferId) {
        self.hub.withdraw(offer);
    }

    /// Lets a burnt offer be rung again, for a friend whose call was lost.
    pub fn reopen(&self, offer: OfferId) {
        self.hub.reopen(offer);
    }

    /// Takes up a ring; `None` if it has been evicted meanwhile. The agent answers to the offer's credentials.
    pub fn attach(&self, ring: AgentId) -> Option<Agent> {
        self.hub.exists(ring).then(|| Agent::new(Arc::clone(&self.hub), ring))
    }

    /// A new agent with its own local credentials: an answerer's, or one whose description was exchanged. With
    /// the remote's credentials a used code is recognised ([`TransportEvent::Refused`]).
    pub fn call(&self, local: &Credentials, remote: Option<&Credentials>) -> Agent {
        Agent::new(Arc::clone(&self.hub), self.hub.call(local, remote))
    }

    /// This agent's remote has authenticated: its offer's code is used. Every other remote is told so by a
    /// protected error; the agents returned have lost their ports and are to be thrown away.
    pub fn burn(&self, agent: AgentId) -> Vec<AgentId> {
        self.hub.burn(agent)
    }

    /// What else leads to these addresses: the network's NAT64, where this machine has IPv6 only. Asks DNS.
    pub async fn other_ways(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        self.servers.names.translate(addresses).await
    }

    /// Asks whoever has the credentials `remote` to look for us here: a check by an agent `ufrag`, which needs no
    /// answer, from every socket and allocation to each address. On its way it opens the NATs and relays of this side
    /// for what comes back (RFC 4787 §5).
    pub fn knock(&self, addresses: &[SocketAddr], ufrag: &str, remote: &Credentials) {
        let asking = knock::knock(servers::random_id(), ufrag, remote);
        self.send_everywhere(addresses, &asking);
    }

    /// Opens the NATs of this side for what may come from these addresses, from every socket. Relays need no such thing:
    /// they let in a machine, whatever its port (RFC 8656 §9).
    pub fn let_in(&self, addresses: &[SocketAddr]) {
        let opening = knock::opening(servers::random_id());
        for (link, _) in self.hub.links().into_iter().filter(|(_, one)| one.kind == PathKind::Host) {
            let Some(outlet) = self.hub.outlet(link) else { continue };
            let family = addresses.iter().filter(|to| to.is_ipv4() == outlet.candidate().address.is_ipv4());
            family.for_each(|to| outlet.send(*to, &opening));
        }
    }

    /// Has the ports of a hard NAT guessed, as agreed with the friend. A socket that is reached becomes a port of all
    /// later agents.
    pub fn punch(&self, agreed: Agreed) -> Punching {
        Punching::start(Arc::clone(&self.servers), agreed)
    }

    fn send_everywhere(&self, addresses: &[SocketAddr], bytes: &[u8]) {
        for (link, candidate) in self.hub.links() {
            let Some(outlet) = self.hub.outlet(link) else { continue };
            let family = addresses.iter().filter(|to| to.is_ipv4() == candidate.address.is_ipv4());
            for to in family {
                self.hub.knocked(link, *to);
                outlet.send(*to, bytes);
            }
        }
    }

    /// Whether NAT mappings are kept open by STUN, as they are from the start. A connected call keeps its own
    /// path open and need not tell a STUN server every few seconds.
    pub fn keep_alive(&self, on: bool) {
        self.servers.keep_alive(Instant::now(), on);
    }

    /// Uses a friend's relay as a guest, beside the configured ones.
    pub fn visit(&self, access: &GuestAccess) {
        // The configured ones come first, in their order.
        self.servers.start();
        self.servers.add_relay(RelayServer::guest(access));
    }

    /// The relay behind a relayed candidate ([`RelayPath::link`]).
    pub fn relay(&self, link: usize) -> Option<Arc<RelayServer>> {
        self.servers.relay(link)
    }

    /// What all our relays are asked for with every allocation; what they take of it is in
    /// [`RelayPath::taken`]. Our own relay gives whoever asks with the same doorbell the same address again.
    pub fn set_probe(&self, probe: turn::Extras) {
        self.servers.set_probe(probe);
    }

    /// What all our relays are told instead of the probe, now and after every later allocation. Waits until
    /// those that gave an address have answered, and says whether they did in this time.
    pub async fn set_extras(&self, extras: &turn::Extras, deadline: Duration) -> bool {
        self.servers.set_extras(extras, deadline).await
    }

    /// Changes the doorbell that all relays are told of, and nothing else.
    pub fn set_doorbell(&self, ufrag: &str) {
        self.servers.set_doorbell(ufrag);
    }

    /// Where the friend's relays are: what is exchanged with them is relayed, too.
    pub fn set_remote_relays(&self, relays: Vec<SocketAddr>) {
        self.hub.set_remote_relays(relays);
    }

    /// Bytes of datagrams that went through a relay so far, at this end or the friend's, both ways.
    pub fn relayed(&self) -> u64 {
        self.hub.relayed()
    }

    /// What happened on each pair of addresses since the start.
    pub fn pairs(&self) -> Vec<PairCount> {
        self.hub.pairs()
    }

    /// What was dropped so far, and why.
    pub fn dropped(&self) -> Dropped {
        self.hub.dropped()
    }

    /// Releases the allocations, within 300 ms, and closes the sockets.
    pub async fn close(mut self) {
        self.servers.close().await;
        self.tasks.shutdown().await;
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.servers.release();
        self.servers.stop();
    }
}

/// Everything that happens because time passes.
async fn run_timers(servers: Arc<Servers>) {
    loop {
        let now = Instant::now();
        let next = servers.handle_timeout(now).unwrap_or(now + Duration::from_secs(60));
        tokio::select! {
            () = servers.wake.notified() => {}
            () = tokio::time::sleep_until(next.into()) => {}
        }
    }
}

/// A socket of the kind that carries calls, not blocking, at a port of the system's choice: what is measured with it
/// holds for a call.
pub(crate) fn bind_like_a_call(address: IpAddr) -> std::io::Result<std::net::UdpSocket> {
    host::bind(address, 0)
}

/// The addresses of a server's name; a number is its own. Empty when DNS does not answer in time.
pub(crate) async fn resolve(host: &str, port: u16) -> Vec<SocketAddr> {
    names::resolve(host, port).await
}

/// A transaction ID that nobody off the path can guess.
pub(crate) fn random_transaction() -> p2pcall_relay::stun::TransactionId {
    servers::random_id()
}

/// This machine's interfaces.
pub(crate) async fn list_interfaces() -> std::io::Result<Vec<interfaces::Interface>> {
    tokio::task::spawn_blocking(interfaces::system::list).await?
}

#[cfg(test)]
mod tests;
