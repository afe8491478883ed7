//! Keeps an allocation at one configured relay: by which transport, over and over, until it is hopeless.
//!
//! ```text
//! resolve -> UDP -(0.5 s)-> TCP -(0.5 s)-> the other address family …   the first to allocate wins
//!    ^                                                  |
//!    +--- pause, twice as long each time <--- lost -----+
//! ```
#![expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

use super::TransportEvent;
use super::candidate::{LocalCandidate, RelayPath, ServerProblem};
use super::host::HostSocket;
use super::hub::{Hub, Outlet};
use super::interfaces::system::source_towards;
use super::line::{Allocation, Line};
use super::router::LinkId;
use super::servers::{Servers, random_id, resolve};
use super::stream::{ConnectError, Target, connect};
use super::turn::{Framing, Login, TurnClient, TurnError, TurnEvent};
use crate::call::event::{PathKind, Protocol};
use crate::config::{RelayLink, RelayTransport};

/// UDP gets this much of a lead: enough for any relay worth using, too little for a person to notice.
const STAGGER: Duration = Duration::from_millis(500);

/// After a failure the relay is left alone for so long, then twice as long, …
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// … up to this: a call waits two minutes for a relay that is started again.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// The transports that a link allows, the preferred one first.
pub(super) fn protocols(link: &RelayLink) -> Vec<Protocol> {
    let protocol = |transport| match transport {
        RelayTransport::Udp => Protocol::Udp,
        RelayTransport::Tcp => Protocol::Tcp,
        RelayTransport::Tls => Protocol::Tls,
    };
    link.transports().into_iter().map(protocol).collect()
}

/// What one relay's keeper needs.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    pub(super) servers: Arc<Servers>,
    pub(super) hub: Arc<Hub>,
    pub(super) hosts: Vec<(LinkId, Arc<HostSocket>)>,
    pub(super) index: usize,
    pub(super) link: RelayLink,
    /// Leave only from addresses that were asked for.
    pub(super) bound: bool,
}

/// An allocation, and how it was got.
struct Success {
    line: Held,
    relayed: SocketAddr,
    path: RelayPath,
}

/// How an attempt went wrong.
enum Failure {
    /// Another transport may do.
    Silent,
    /// Go there instead.
    Redirected(SocketAddr),
    /// No transport will do.
    Final(ServerProblem),
}

impl Keeper {
    /// Until the transport is closed or the relay is hopeless.
    pub(super) async fn run(self) {
        let mut pause = FIRST_PAUSE;
        let mut said = false;
        loop {
            match self.establish().await {
                Ok(success) => {
                    (pause, said) = (FIRST_PAUSE, false);
                    if !self.serve(success).await {
                        return;
                    }
                }
                Err(problem) => {
                    let hopeless = is_hopeless(&problem);
                    if !said {
                        self.servers.relay_failed(self.index, problem);
                        said = true;
                    }
                    if hopeless {
                        return;
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Uses an allocation until it is lost (`true`) or given back (`false`).
    async fn serve(&self, success: Success) -> bool {
        let Success { line, relayed, path } = success;
        let Some(line) = line.take() else { return true };
        let link = self.hub.next_link();
        let candidate = LocalCandidate {
            kind: PathKind::Relay,
            address: relayed,
            base: relayed,
            default_route: false,
            bridge: false,
            lonely: false,
            relay: Some(path),
        };
        line.hand_on(link);
        self.hub.open(link, Arc::new(Allocation { line: Arc::clone(&line), candidate }));
        self.servers.relay_ready(self.index, candidate, &line);
        let lost = loop {
            match line.next_event().await {
                TurnEvent::Doorbell(on) => {
                    self.hub.tell(TransportEvent::Doorbell { relay: self.index, on });
                }
                TurnEvent::Released => break false,
                TurnEvent::Failed(_) | TurnEvent::Redirected(_) => break true,
                TurnEvent::Allocated { .. } => {}
            }
        };
        line.disconnect();
        self.hub.shut(link);
        self.servers.relay_lost(self.index, &candidate, &line, lost);
        lost
    }

    /// All transports and addresses, each a little after the one before; the first that allocates wins.
    async fn establish(&self) -> Result<Success, ServerProblem> {
        let addresses = resolve(&self.link.host, self.link.port).await;
        if addresses.is_empty() {
            return Err(ServerProblem::Unresolved);
        }
        let addresses = self.reachable(addresses);
        let mut attempts = JoinSet::new();
        let protocols = protocols(&self.link);
        let ways =
            addresses.iter().flat_map(|server| protocols.iter().map(move |protocol| (*server, *protocol)));
        for (order, (server, protocol)) in ways.enumerate() {
            let this = self.clone();
            attempts.spawn(async move {
                tokio::time::sleep(STAGGER * order as u32).await;
                this.attempt(server, protocol).await
            });
        }
        while let Some(result) = attempts.join_next().await {
            match result {
                Ok(Ok(success)) => return Ok(success),
                Ok(Err(Some(problem))) => return Err(problem),
                Ok(Err(None)) | Err(_) => {}
            }
        }
        Err(ServerProblem::Silent(protocols))
    }

    /// The first address of each family that one of our sockets has.
    fn reachable(&self, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let mut found: Vec<SocketAddr> = Vec::new();
        for address in addresses {
            let known = found.iter().any(|one| one.is_ipv4() == address.is_ipv4());
            let own =
                self.hosts.iter().any(|(_, host)| host.candidate().address.is_ipv4() == address.is_ipv4());
            if !known && own {
                found.push(address);
            }
        }
        found
    }

    /// One transport to one address, and where that redirects to (RFC 8489 §10), once.
    async fn attempt(
        &self,
        server: SocketAddr,
        protocol: Protocol,
    ) -> Result<Success, Option<ServerProblem>> {
        let mut server = server;
        for redirected in [false, true] {
            match self.attempt_at(server, protocol).await {
                Ok(success) => return Ok(success),
                Err(Failure::Redirected(other)) if !redirected => server = other,
                Err(Failure::Redirected(_) | Failure::Silent) => return Err(None),
                Err(Failure::Final(problem)) => return Err(Some(problem)),
            }
        }
        Err(None)
    }

    async fn attempt_at(&self, server: SocketAddr, protocol: Protocol) -> Result<Success, Failure> {
        let mut from = source_towards(server);
        let line = match protocol {
            Protocol::Udp => {
                let socket = self.host_towards(server).ok_or(Failure::Silent)?;
                from = Some(socket.candidate().address.ip());
                Line::over_udp(Arc::clone(&self.hub), self.client(Framing::Datagram), socket, server)
            }
            Protocol::Tcp | Protocol::Tls => {
                let bound = self.host_towards(server).filter(|_| self.bound);
                let bound = bound.map(|host| host.candidate().address.ip());
                from = bound.or(from);
                let host = self.link.host.clone();
                let target = Target { server, host, protocol, pin: self.link.pin, from: bound };
                let stream = connect(&target).await.map_err(|error| self.unconnected(&error))?;
                Line::over_stream(Arc::clone(&self.hub), self.client(Framing::Stream), stream)
            }
        };
        let held = Held(Some(Arc::clone(&line)));
        line.allocate();
        loop {
            match line.next_event().await {
                TurnEvent::Allocated { relayed, .. } => {
                    let path = RelayPath { link: self.index, server, protocol, from };
                    return Ok(Success { line: held, relayed, path });
                }
                TurnEvent::Failed(TurnError::Silent | TurnError::Lost) | TurnEvent::Released => {
                    return Err(Failure::Silent);
                }
                TurnEvent::Failed(error) => return Err(Failure::Final(problem(error))),
                TurnEvent::Redirected(other) => return Err(Failure::Redirected(other)),
                TurnEvent::Doorbell(_) => {}
            }
        }
    }

    fn client(&self, framing: Framing) -> TurnClient {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let login = Login::of(&self.link.login, since.as_secs());
        TurnClient::new(framing, login, self.servers.extras(), Box::new(random_id))
    }

    /// The socket that the system would send from, or any of the same family.
    fn host_towards(&self, server: SocketAddr) -> Option<Arc<HostSocket>> {
        let source = source_towards(server);
        let family = self.hosts.iter().map(|(_, host)| host);
        let mut family = family.filter(|host| host.candidate().address.is_ipv4() == server.is_ipv4());
        let first = family.clone().next();
        family.find(|host| Some(host.candidate().address.ip()) == source).or(first).cloned()
    }

    fn unconnected(&self, error: &ConnectError) -> Failure {
        match error {
            ConnectError::Silent => Failure::Silent,
            ConnectError::Certificate(key) => {
                let pin = URL_SAFE_NO_PAD.encode(key);
                Failure::Final(ServerProblem::Certificate { pin, pinned: self.link.pin.is_some() })
            }
        }
    }
}

/// A line that nobody uses yet: given up, it leaves no tap behind and no allocation.
struct Held(Option<Arc<Line>>);

impl Held {
    fn take(mut self) -> Option<Arc<Line>> {
        self.0.take()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            line.release();
            line.disconnect();
        }
    }
}

fn problem(error: TurnError) -> ServerProblem {
    match error {
        TurnError::WrongPassword => ServerProblem::WrongPassword,
        TurnError::SecretOrClock => ServerProblem::SecretOrClock,
        TurnError::LoginNeeded => ServerProblem::LoginNeeded,
        TurnError::StaleNonce => ServerProblem::StaleNonce,
        TurnError::Quota => ServerProblem::Quota,
        TurnError::Silent | TurnError::Lost => ServerProblem::Lost,
        TurnError::Refused { code, reason } => ServerProblem::Refused { code, reason },
    }
}

/// Nothing but another link will help.
fn is_hopeless(problem: &ServerProblem) -> bool {
    use ServerProblem::{Certificate, LoginNeeded, SecretOrClock, WrongPassword};
    matches!(problem, WrongPassword | SecretOrClock | LoginNeeded | Certificate { .. })
}
