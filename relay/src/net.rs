//! The relay on real sockets: what feeds the core with packets and carries its answers away.
//!
//! ```text
//! UDP  -> a batched shard per thread (Linux) or the portable shard   \
//! TCP, TLS -> the portable shard, on every system                     > Server::handle_* -> Output -> socket
//! relay sockets: with the shard whose allocation they belong to      /
//! ```
//!
//! Shards pass packets for each other's relayed addresses through the exchange. Nothing in here knows a
//! rule of TURN, and nothing knows command lines, configuration files or logs.

mod exchange;
#[cfg(target_os = "linux")]
mod linux;
mod portable;
mod socket;
mod stream;
pub mod tls;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exchange::Exchange;
use portable::PortableShard;
use socket::bind_tcp;
use tls::CertificateStore;

use crate::server::{
    Counters, Credentials, Event, Limits, Listener, Now, PeerRules, Peers, RelayIp, Seed, Server, Settings,
    Shard, Shared,
};

/// RFC 6335 §6: ports that nobody is registered for. RFC 8656 §7.2: relayed addresses have one of them.
const DYNAMIC_PORTS: RangeInclusive<u16> = 49_152..=65_535;
/// How often what has expired is swept, and counters are published.
const TICK: Duration = Duration::from_secs(1);

/// Which implementation serves UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The batched one where there is one.
    #[default]
    Auto,
    /// One thread a core, recvmmsg and sendmmsg: Linux only.
    Linux,
    /// Tokio: everywhere.
    Portable,
}

/// All that is needed to start a relay.
pub struct Plan {
    /// The core's settings. A listener with port 0 gets a free one.
    pub settings: Settings,
    /// Who gets in.
    pub credentials: Credentials,
    /// Listen here for TCP.
    pub tcp: Vec<SocketAddr>,
    /// Listen here for TLS.
    pub tls: Vec<SocketAddr>,
    /// The certificate for TLS.
    pub certificate: Option<Arc<CertificateStore>>,
    /// Which implementation.
    pub backend: Backend,
    /// Threads for UDP on Linux.
    pub threads: usize,
    /// Where events go.
    pub events: EventSink,
}

impl Plan {
    /// A relay for the programs of this machine: on loopback, over UDP, at a port that the system chooses, and
    /// without a thread of its own. A relay keeps its clients away from loopback otherwise; this one does not.
    pub fn on_loopback(credentials: Credentials) -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let anywhere = SocketAddr::new(loopback, 0);
        let rules = PeerRules { allow: vec![loopback.into()], ..PeerRules::default() };
        let relays = vec![RelayIp { local: loopback, external: loopback }];
        let settings = Settings {
            listeners: vec![Listener::plain(anywhere, anywhere)],
            peers: Peers { rules, relays, own: vec![loopback], services: Vec::new() },
            ports: DYNAMIC_PORTS,
            limits: Limits::default(),
            sha256: false,
            doorbell: true,
            guest: true,
            alternate_server: None,
        };
        Self {
            settings,
            credentials,
            tcp: Vec::new(),
            tls: Vec::new(),
            certificate: None,
            backend: Backend::Portable,
            threads: 1,
            events: Arc::new(|_| {}),
        }
    }

    /// How many threads of the batched backend serve UDP.
    fn batched_threads(&self) -> Result<usize, StartError> {
        let linux = cfg!(target_os = "linux");
        match self.backend {
            _ if self.settings.listeners.is_empty() => Ok(0),
            Backend::Linux if !linux => Err(StartError::NoSuchBackend),
            Backend::Auto | Backend::Linux if linux => Ok(self.threads.max(1)),
            _ => Ok(0),
        }
    }
}

/// Takes what the log should say. Called on the relay's own threads: it must not wait.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

/// What a shard is made of, by either implementation.
struct Kit {
    core: Server,
    exchange: Arc<Exchange>,
    listeners: Vec<std::net::UdpSocket>,
    events: EventSink,
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address could not be had.
    #[error("cannot listen on {protocol} {address}: {source}")]
    Listen {
        /// `udp`, `tcp` or `tls`.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no random numbers, threads or event queues.
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
    /// TLS was asked for without a certificate.
    #[error("TLS needs a certificate")]
    NoCertificate,
    /// The batched backend was asked for where there is none.
    #[error("the linux backend runs on Linux only; use `portable`")]
    NoSuchBackend,
    /// More threads than shards can be told apart.
    #[error("too many threads")]
    TooManyThreads,
}

/// A running relay. Dropping it stops it.
pub struct Relay {
    shared: Arc<Shared>,
    exchange: Arc<Exchange>,
    listeners: Vec<Listener>,
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    tls: Vec<SocketAddr>,
    warnings: Vec<String>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Relay {
    /// Binds everything and begins to serve. Has to be called on a tokio runtime.
    pub fn start(mut plan: Plan) -> Result<Self, StartError> {
        socket::allow_many();
        let seed: Seed = crate::random_bytes().ok_or_else(|| io::Error::other("no random numbers"))?;
        let threads = plan.batched_threads()?;
        let mut sockets = bind_listeners(&mut plan.settings, threads.max(1))?;
        let tcp = bind_streams("tcp", &plan.tcp)?;
        let tls = bind_streams("tls", &plan.tls)?;
        let addresses = |bound: &[tokio::net::TcpListener]| {
            bound.iter().flat_map(tokio::net::TcpListener::local_addr).collect()
        };
        let listeners = plan.settings.listeners.clone();
        let udp = listeners.iter().map(|listener| listener.local).collect();
        let mut relay = Self {
            warnings: sockets.first().map(|sockets| socket::warnings(sockets)).unwrap_or_default(),
            listeners,
            udp,
            tcp: addresses(&tcp),
            tls: addresses(&tls),
            exchange: Arc::default(),
            shared: Arc::new(Shared::new(&plan.settings, plan.credentials, seed, now())),
            tasks: Vec::new(),
        };
        plan.settings.peers.services.extend(relay.services());
        let settings = Arc::new(plan.settings);
        relay.start_batched(threads, &settings, &mut sockets, &plan.events)?;
        // With batched shards the portable one has streams only.
        let sockets = if threads == 0 { sockets.pop().unwrap_or_default() } else { Vec::new() };
        let shard = Shard::new(threads).ok_or(StartError::TooManyThreads)?;
        let portable = PortableShard::start(relay.kit(shard, settings, sockets, plan.events))?;
        relay.exchange.join(Arc::clone(&portable) as Arc<_>);
        relay.tasks.push(tokio::spawn(portable::sweep(Arc::downgrade(&portable))));
        for listener in tcp {
            relay.tasks.push(tokio::spawn(stream::accept(
                listener,
                Arc::clone(&portable),
                stream::Wrap::Plain,
            )));
        }
        for listener in tls {
            let certificate = plan.certificate.as_ref().ok_or(StartError::NoCertificate)?;
            let wrap = stream::Wrap::Tls(certificate.acceptor());
            relay.tasks.push(tokio::spawn(stream::accept(listener, Arc::clone(&portable), wrap)));
        }
        Ok(relay)
    }

    /// What a shard needs.
    fn kit(
        &self,
        shard: Shard,
        settings: Arc<Settings>,
        listeners: Vec<std::net::UdpSocket>,
        events: EventSink,
    ) -> Kit {
        let core = Server::new(settings, Arc::clone(&self.shared), shard);
        Kit { core, exchange: Arc::clone(&self.exchange), listeners, events }
    }

    /// Starts one batched shard for each set of sockets.
    #[cfg(target_os = "linux")]
    fn start_batched(
        &self,
        threads: usize,
        settings: &Arc<Settings>,
        sockets: &mut Vec<Vec<std::net::UdpSocket>>,
        events: &EventSink,
    ) -> Result<(), StartError> {
        for (number, sockets) in sockets.drain(..threads.min(sockets.len())).enumerate() {
            let shard = Shard::new(number).ok_or(StartError::TooManyThreads)?;
            let kit = self.kit(shard, Arc::clone(settings), sockets, Arc::clone(events));
            self.exchange.join(linux::start(shard, kit)?);
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same signature as on Linux")]
    fn start_batched(
        &self,
        _threads: usize,
        _settings: &Arc<Settings>,
        _sockets: &mut Vec<Vec<std::net::UdpSocket>>,
        _events: &EventSink,
    ) -> Result<(), StartError> {
        Ok(())
    }

    /// Where it listens for UDP.
    pub fn udp(&self) -> &[SocketAddr] {
        &self.udp
    }

    /// Where it listens for TCP.
    pub fn tcp(&self) -> &[SocketAddr] {
        &self.tcp
    }

    /// Where it listens for TLS.
    pub fn tls(&self) -> &[SocketAddr] {
        &self.tls
    }

    /// The UDP listeners that are bound, in the order of their numbers.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Ports on which the relay listens.
    pub fn services(&self) -> Vec<u16> {
        self.udp.iter().chain(&self.tcp).chain(&self.tls).map(SocketAddr::port).collect()
    }

    /// What the owner should know about how it started.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What the shards share: credentials to replace, the budget, the number of allocations.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// What all shards have counted.
    pub fn counters(&self) -> Counters {
        self.exchange.counters()
    }

    /// Gives all shards new limits and peer rules; nobody loses an allocation.
    pub fn set_settings(&self, settings: &Arc<Settings>) {
        self.exchange.set_settings(settings);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.exchange.close();
    }
}

/// Binds the UDP listeners, once a thread, and writes ports that were left to the system into the settings.
fn bind_listeners(
    settings: &mut Settings,
    threads: usize,
) -> Result<Vec<Vec<std::net::UdpSocket>>, StartError> {
    let mut sets: Vec<Vec<std::net::UdpSocket>> = (0..threads).map(|_| Vec::new()).collect();
    let mut at = 0;
    while let Some(listener) = settings.listeners.get_mut(at) {
        let address = listener.local;
        match socket::bind_shared(address, threads) {
            Ok(sockets) => {
                listener
                    .local
                    .set_port(sockets.first().map_or(Ok(address), std::net::UdpSocket::local_addr)?.port());
                if listener.external.port() == 0 {
                    listener.external.set_port(listener.local.port());
                }
                sets.iter_mut().zip(sockets).for_each(|(set, socket)| set.push(socket));
                at += 1;
            }
            Err(_) if listener.optional => settings.remove_listener(at),
            Err(source) => return Err(StartError::Listen { protocol: "udp", address, source }),
        }
    }
    Ok(sets)
}

fn bind_streams(
    protocol: &'static str,
    addresses: &[SocketAddr],
) -> Result<Vec<tokio::net::TcpListener>, StartError> {
    let bind =
        |&address| bind_tcp(address).map_err(|source| StartError::Listen { protocol, address, source });
    addresses.iter().map(bind).collect()
}

/// Reads both clocks: the only place of the relay that does.
#[expect(clippy::disallowed_methods, reason = "the edge where time enters")]
pub(crate) fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Now { monotonic: Instant::now(), unix }
}
