//! The relay on real sockets: what feeds the core with packets and carries its answers away.
//!
//! ```text
//! UDP  -> a batched shard per thread (Linux) or the portable shard   \
//! TCP, TLS -> the portable shard, on every system                     > Server::handle_* -> Output -> socket
//! relay sockets: with the shard whose allocation they belong to      /
//! ```
//!
//! Shards pass packets for each other's relayed addresses through the [`exchange`]. Nothing in here knows a
//! rule of TURN, and nothing knows command lines, configuration files or logs.

mod exchange;
mod portable;
mod socket;
mod stream;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exchange::Exchange;
use portable::PortableShard;
use socket::{bind_tcp, bind_udp};
use tls::CertificateStore;

use crate::server::{Counters, Credentials, Event, Listener, Now, Seed, Settings, Shard, Shared};

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

/// Takes what the log should say. Called on the relay's own threads: it must not wait.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

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
        let seed: Seed = unpredictable().ok_or_else(|| io::Error::other("no random numbers"))?;
        let sockets = bind_listeners(&mut plan.settings)?;
        let tcp = bind_streams("tcp", &plan.tcp)?;
        let tls = bind_streams("tls", &plan.tls)?;
        let addresses = |bound: &[tokio::net::TcpListener]| {
            bound.iter().flat_map(tokio::net::TcpListener::local_addr).collect::<Vec<_>>()
        };
        let (tcp_addresses, tls_addresses) = (addresses(&tcp), addresses(&tls));
        let udp = plan.settings.listeners.iter().map(|listener| listener.local).collect::<Vec<_>>();
        for address in udp.iter().chain(&tcp_addresses).chain(&tls_addresses) {
            plan.settings.peers.services.push(address.port());
        }
        let listeners = plan.settings.listeners.clone();
        let settings = Arc::new(plan.settings);
        let shared = Arc::new(Shared::new(&settings, plan.credentials, seed, now()));
        let exchange = Arc::new(Exchange::default());
        let shard = Shard::new(0).ok_or(StartError::NoSuchBackend)?;
        let portable = PortableShard::start(shard, settings, &shared, &exchange, sockets, plan.events)?;
        exchange.join(Arc::clone(&portable) as Arc<_>);
        let mut tasks = vec![tokio::spawn(portable::sweep(Arc::downgrade(&portable)))];
        tasks.extend(tcp.into_iter().map(|listener| {
            tokio::spawn(stream::accept(listener, Arc::clone(&portable), stream::Wrap::Plain))
        }));
        for listener in tls {
            let certificate = plan.certificate.as_ref().ok_or(StartError::NoCertificate)?;
            let wrap = stream::Wrap::Tls(certificate.acceptor());
            tasks.push(tokio::spawn(stream::accept(listener, Arc::clone(&portable), wrap)));
        }
        Ok(Self {
            shared,
            exchange,
            listeners,
            udp,
            tcp: tcp_addresses,
            tls: tls_addresses,
            warnings: Vec::new(),
            tasks,
        })
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

/// Binds the UDP listeners and writes ports that were left to the system into the settings.
fn bind_listeners(settings: &mut Settings) -> Result<Vec<std::net::UdpSocket>, StartError> {
    let mut sockets = Vec::with_capacity(settings.listeners.len());
    let mut at = 0;
    while let Some(listener) = settings.listeners.get_mut(at) {
        let address = listener.local;
        match bind_udp(address, socket::LISTENER_BUFFER) {
            Ok(socket) => {
                listener.local = socket.local_addr()?;
                if listener.external.port() == 0 {
                    listener.external.set_port(listener.local.port());
                }
                sockets.push(socket);
                at += 1;
            }
            Err(_) if listener.optional => settings.remove_listener(at),
            Err(source) => return Err(StartError::Listen { protocol: "udp", address, source }),
        }
    }
    Ok(sockets)
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

/// Bytes from the operating system's generator; `None` if it has none to give.
pub(crate) fn unpredictable<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}
