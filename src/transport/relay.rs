//! Keeps an allocation at one relay: by whichever way is open, over and over, until it is hopeless.
//!
//! ```text
//! resolve -> UDP, a little later TCP, TLS, the other address family …   the first to allocate wins
//!    ^                                                  |
//!    +--- pause, twice as long each time <--- lost -----+
//! ```
#![expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinSet;

use super::candidate::{LocalCandidate, RelayPath, ServerProblem};
use super::host::{HostSocket, Hosts};
use super::hub::{Hub, Outlet};
use super::interfaces::system::source_towards;
use super::line::{Allocation, Line};
use super::servers::{Servers, random_id};
use super::stream::{ConnectError, Target, connect};
use super::turn::{Extras, Framing, INSUFFICIENT_CAPACITY, Login, TurnClient, TurnError, TurnEvent};
use super::ways::{RelayServer, Trust, Way};
use crate::call::channel::clean;
use crate::call::event::{PathKind, Protocol};
use crate::config::proxy::ProxyLink;

/// After a failure the relay is left alone for so long, then twice as long, …
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// … up to this: a call waits for a relay that is started again, and each attempt takes its time by itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// An allocation that lasted for so long is asked for again at once: our network has changed, or the relay was
/// started again. Nothing goes round in circles by that.
const STEADY: Duration = Duration::from_secs(5);
/// A relay that refused over one transport may have said yes over another: so long its answer is waited for.
const SECOND_OPINION: Duration = Duration::from_secs(1);

/// An address that nobody here knows.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// As much as is told of what a proxy said.
const MAX_WORDS: usize = 120;

/// What one relay's keeper needs.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    pub(super) servers: Arc<Servers>,
    pub(super) hub: Arc<Hub>,
    pub(super) hosts: Arc<Hosts>,
    pub(super) index: usize,
    pub(super) relay: Arc<RelayServer>,
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
    /// It said no.
    Refused(ServerProblem),
}

impl Keeper {
    /// Until the transport is closed or the relay is hopeless.
    pub(super) async fn run(self) {
        let mut pause = FIRST_PAUSE;
        let mut said = Vec::new();
        loop {
            match self.establish().await {
                Ok(success) => {
                    pause = FIRST_PAUSE;
                    said.clear();
                    let since = Instant::now();
                    if !self.serve(success).await {
                        return;
                    }
                    if since.elapsed() > STEADY {
                        continue;
                    }
                }
                Err(problem) => {
                    let hopeless = is_hopeless(&problem);
                    if !said.contains(&problem) {
                        said.push(problem.clone());
                        self.servers.relay_failed(self.index, problem);
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
        log::info!("an address at a relay: {relayed}");
        let relay = Arc::clone(&self.relay);
        self.hub.open(link, Arc::new(Allocation { line: Arc::clone(&line), candidate, relay }));
        if let Some(extras) = self.servers.extras().filter(|_| !self.is_guest()) {
            line.set_extras(extras);
        }
        self.servers.relay_ready(self.index, candidate, &line);
        let lost = loop {
            match line.next_event().await {
                TurnEvent::Released => break None,
                TurnEvent::Failed(error) => break Some(self.problem(error)),
                TurnEvent::Redirected(_) => break Some(ServerProblem::Lost),
                // Whoever waits for the relay to take something looks for itself.
                TurnEvent::Taken(_) => self.servers.notice(),
                TurnEvent::NotProlonged(error) => {
                    self.servers.relay_failed(self.index, self.problem(error));
                }
                TurnEvent::Forbidden(peer) => self.hub.forbidden(link, peer),
                TurnEvent::Allocated { .. } => {}
            }
        };
        log::info!("the address at a relay {relayed} is gone: {lost:?}");
        line.disconnect();
        self.hub.shut(link);
        let again = lost.is_some();
        self.servers.relay_lost(self.index, &candidate, &line, lost);
        again
    }

    /// All ways, each a little after the one before; the first that allocates wins.
    async fn establish(&self) -> Result<Success, ServerProblem> {
        let addresses = self.servers.names.resolve(&self.relay.host, 0).await;
        let mut reachable = self.reachable(&addresses);
        if addresses.is_empty() && self.proxy().is_some() {
            // Only the proxy may know the name.
            reachable.push(UNKNOWN);
        } else if addresses.is_empty() {
            return Err(ServerProblem::Unresolved);
        }
        let mut attempts = JoinSet::new();
        for (wait, server, way) in self.relay.attempts(&reachable) {
            let this = self.clone();
            attempts.spawn(async move {
                tokio::time::sleep(wait).await;
                this.attempt(server, way).await
            });
        }
        let mut refusal = None;
        loop {
            let patience = if refusal.is_some() { SECOND_OPINION } else { Duration::MAX };
            match tokio::time::timeout(patience, attempts.join_next()).await {
                Ok(Some(Ok(Ok(success)))) => return Ok(success),
                Ok(Some(Ok(Err(Some(problem))))) if is_hopeless(&problem) => return Err(problem),
                Ok(Some(Ok(Err(Some(problem))))) => refusal = refusal.or(Some(problem)),
                Ok(Some(Ok(Err(None)) | Err(_))) => {}
                Ok(None) | Err(_) => break,
            }
        }
        Err(refusal.unwrap_or_else(|| ServerProblem::Silent(self.relay.protocols())))
    }

    /// The first address of each family that one of our sockets has.
    fn reachable(&self, addresses: &[SocketAddr]) -> Vec<IpAddr> {
        let mut found: Vec<IpAddr> = Vec::new();
        for address in addresses {
            let known = found.iter().any(|one| one.is_ipv4() == address.is_ipv4());
            let own = self
                .hosts
                .all()
                .iter()
                .any(|(_, host)| host.candidate().address.is_ipv4() == address.is_ipv4());
            if !known && own {
                found.push(address.ip());
            }
        }
        found
    }

    /// One way, and where it redirects to (RFC 8489 §10), once.
    async fn attempt(&self, server: SocketAddr, way: Way) -> Result<Success, Option<ServerProblem>> {
        let mut server = server;
        for redirected in [false, true] {
            match self.attempt_at(server, way, redirected).await {
                Ok(success) => return Ok(success),
                Err(Failure::Redirected(other)) if !redirected => server = other,
                Err(Failure::Redirected(_) | Failure::Silent) => return Err(None),
                Err(Failure::Refused(problem)) => return Err(Some(problem)),
            }
        }
        Err(None)
    }

    async fn attempt_at(&self, server: SocketAddr, way: Way, redirected: bool) -> Result<Success, Failure> {
        let protocol = way.protocol;
        let mut from = source_towards(server);
        let line = match protocol {
            Protocol::Udp if server.ip() == UNKNOWN => return Err(Failure::Silent),
            Protocol::Udp => {
                let socket = self.host_towards(server).ok_or(Failure::Silent)?;
                from = Some(socket.candidate().address.ip());
                let client = self.client(Framing::Datagram);
                Line::over_udp(Arc::clone(&self.hub), client, socket, server)
            }
            Protocol::Tcp | Protocol::Tls => {
                let bound = self.host_towards(server).filter(|_| self.bound);
                let bound = bound.map(|host| host.candidate().address.ip());
                from = bound.or(from);
                let host = self.relay.host.clone();
                let proxy = self.proxy();
                let place = if redirected { server.ip().to_string() } else { host.clone() };
                let target = Target { server, place, proxy, host, protocol, trust: way.trust, from: bound };
                let stream = connect(&target).await.map_err(|error| unconnected(&error, &target))?;
                Line::over_stream(Arc::clone(&self.hub), self.client(Framing::Stream), stream)
            }
        };
        let held = Held(Some(Arc::clone(&line)));
        line.allocate();
        loop {
            match line.next_event().await {
                TurnEvent::Allocated { relayed, taken, mapped } => {
                    mapped.into_iter().for_each(|mapped| line.set_mapped(mapped));
                    let path = RelayPath { link: self.index, server, protocol, from, taken };
                    return Ok(Success { line: held, relayed, path });
                }
                TurnEvent::Failed(TurnError::Silent | TurnError::Lost) | TurnEvent::Released => {
                    return Err(Failure::Silent);
                }
                TurnEvent::Failed(error) => return Err(Failure::Refused(self.problem(error))),
                TurnEvent::Redirected(other) => return Err(Failure::Redirected(other)),
                TurnEvent::Taken(_) | TurnEvent::NotProlonged(_) | TurnEvent::Forbidden(_) => {}
            }
        }
    }

    fn client(&self, framing: Framing) -> TurnClient {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let login = Login::of(&self.relay.login, since.as_secs());
        let extras = if self.is_guest() { Extras::default() } else { self.servers.probe() };
        TurnClient::new(framing, login, extras, Box::new(random_id)).relaying_v6(self.relay.relays_v6())
    }

    /// The socket that the system would send from, or any of the same family.
    fn host_towards(&self, server: SocketAddr) -> Option<Arc<HostSocket>> {
        let source = source_towards(server);
        let hosts = self.hosts.all().into_iter().map(|(_, host)| host);
        let mut family = hosts.filter(|host| host.candidate().address.is_ipv4() == server.is_ipv4());
        let first = family.next()?;
        let is_source = |host: &Arc<HostSocket>| Some(host.candidate().address.ip()) == source;
        Some(if is_source(&first) { first } else { family.find(is_source).unwrap_or(first) })
    }

    /// Who connects to the relay over TCP and TLS, if not this machine.
    fn proxy(&self) -> Option<Arc<ProxyLink>> {
        self.servers.proxy().filter(|proxy| proxy.serves(&self.relay.host))
    }

    fn is_guest(&self) -> bool {
        self.relay.hosts.is_some()
    }

    fn problem(&self, error: TurnError) -> ServerProblem {
        match error {
            TurnError::WrongPassword if self.is_guest() => ServerProblem::NoSuchGuest,
            TurnError::Quota if self.is_guest() => ServerProblem::GuestIsThere,
            TurnError::WrongPassword => ServerProblem::WrongPassword,
            TurnError::SecretOrClock => ServerProblem::SecretOrClock,
            TurnError::LoginNeeded => ServerProblem::LoginNeeded,
            TurnError::StaleNonce => ServerProblem::StaleNonce,
            TurnError::Quota => ServerProblem::Quota,
            TurnError::Silent | TurnError::Lost => ServerProblem::Lost,
            TurnError::Refused { code: INSUFFICIENT_CAPACITY, reason } => ServerProblem::Full { reason },
            TurnError::Refused { code, reason } => ServerProblem::Refused { code, reason },
        }
    }
}

fn unconnected(error: &ConnectError, target: &Target) -> Failure {
    match error {
        ConnectError::Silent => Failure::Silent,
        ConnectError::Certificate(key) => {
            let pin = URL_SAFE_NO_PAD.encode(key);
            Failure::Refused(ServerProblem::Certificate { pin, pinned: target.trust != Trust::Roots })
        }
        ConnectError::Proxy(problem) => {
            let proxy = target.proxy.as_ref().map(ToString::to_string).unwrap_or_default();
            Failure::Refused(ServerProblem::Proxy { proxy, problem: clean(problem, MAX_WORDS) })
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

/// Nothing but another link will help.
fn is_hopeless(problem: &ServerProblem) -> bool {
    use ServerProblem::{LoginNeeded, SecretOrClock, WrongPassword};
    matches!(problem, WrongPassword | SecretOrClock | LoginNeeded)
}
