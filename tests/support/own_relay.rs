//! Our own relay, in this process: on loopback, or in a network namespace. It ends when it is dropped.

use super::coturn::free_port;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p2pcall_relay::net::tls::CertificateStore;
use p2pcall_relay::net::{Backend, Plan, Relay};
use p2pcall_relay::server::{Credential, Credentials, Limits, Listener, PeerRules, Peers, RelayIp, Settings};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

/// What a test wants of it.
#[derive(Clone)]
pub(crate) struct Wishes {
    /// Where it listens and relays.
    pub(crate) address: IpAddr,
    /// UDP and TCP, and TLS.
    pub(crate) ports: (u16, u16),
    /// The network namespace it lives in.
    pub(crate) namespace: Option<String>,
    /// Addresses of its machine beside its own.
    pub(crate) also: Vec<IpAddr>,
    /// Knows doorbell and guest.
    pub(crate) open: bool,
    /// Allocations of one user.
    pub(crate) per_user: Option<u32>,
    /// It may transfer no more this month.
    pub(crate) spent: bool,
}

impl Wishes {
    /// Here.
    pub(crate) fn at(address: &str, ports: (u16, u16)) -> Self {
        let address = address.parse().expect("an address");
        Self { address, ports, namespace: None, also: Vec::new(), open: true, per_user: None, spent: false }
    }
}

/// A running relay with the account `alice`, password `right`, and the secret `north`.
pub(crate) struct OwnRelay {
    wishes: Wishes,
    pin: [u8; 32],
    /// Dropped, it ends the relay.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    directory: Arc<tempfile::TempDir>,
}

impl OwnRelay {
    /// On loopback.
    pub(crate) fn here() -> Self {
        Self::start(&Wishes::at("127.0.0.1", (free_port(), free_port())))
    }

    /// Starts it, and waits until it listens.
    pub(crate) fn start(wishes: &Wishes) -> Self {
        Self::start_with(wishes, Arc::new(tempfile::tempdir().expect("a directory")))
    }

    fn start_with(wishes: &Wishes, directory: Arc<tempfile::TempDir>) -> Self {
        let (stop, stopped) = channel::<()>();
        let (ready, pin) = channel();
        let (wanted, place) = (wishes.clone(), Arc::clone(&directory));
        // A thread of its own, and those that it starts: they alone are in the namespace.
        let thread = std::thread::spawn(move || {
            if let Some(namespace) = &wanted.namespace {
                enter(namespace);
            }
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let runtime = runtime.expect("a runtime");
            let certificate = Arc::new(CertificateStore::own(place.path()).expect("a certificate"));
            let relay = runtime.block_on(async { Relay::start(plan(&wanted, &certificate)) });
            let relay = relay.expect("the relay starts");
            if wanted.spent {
                relay.shared().budget.set(1, Some(1));
            }
            ready.send(certificate.pin().expect("its own")).expect("somebody waits");
            // Nothing is ever sent: it ends when the other end does.
            let _ = stopped.recv();
            runtime.block_on(async { drop(relay) });
        });
        let pin = pin.recv().expect("it listens");
        Self { wishes: wishes.clone(), pin, stop: Some(stop), thread: Some(thread), directory }
    }

    /// The same again, where the first one has been.
    pub(crate) fn again(&self) -> Self {
        Self::start_with(&self.wishes, Arc::clone(&self.directory))
    }

    /// Ends it without a word to anybody.
    pub(crate) fn kill(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// A link for UDP and TCP.
    pub(crate) fn link(&self) -> String {
        self.link_of("north")
    }

    /// The same with another secret.
    pub(crate) fn link_of(&self, secret: &str) -> String {
        let host = self.host();
        format!("turn:{host}:{}?secret={secret}", self.wishes.ports.0)
    }

    /// A link for UDP alone.
    pub(crate) fn udp_link(&self) -> String {
        format!("{}&transport=udp", self.link())
    }

    /// A link for TLS.
    pub(crate) fn tls_link(&self) -> String {
        let pin = URL_SAFE_NO_PAD.encode(self.pin);
        format!("turns:{}:{}?secret=north&pin={pin}", self.host(), self.wishes.ports.1)
    }

    /// As a STUN server.
    pub(crate) fn stun(&self) -> String {
        format!("{}:{}", self.host(), self.wishes.ports.0)
    }

    fn host(&self) -> String {
        match self.wishes.address {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        }
    }
}

impl Drop for OwnRelay {
    fn drop(&mut self) {
        self.kill();
    }
}

fn plan(wishes: &Wishes, certificate: &Arc<CertificateStore>) -> Plan {
    let ip = wishes.address;
    let at = |port| SocketAddr::new(ip, port);
    let mut own = wishes.also.clone();
    own.push(ip);
    let mut rules = PeerRules::default();
    if ip.is_loopback() {
        // Everybody is there, too.
        rules.allow.push(ip.to_string().parse().expect("a network"));
    }
    let settings = Settings {
        listeners: vec![Listener::plain(at(wishes.ports.0), at(wishes.ports.0))],
        peers: Peers { rules, relays: vec![RelayIp { local: ip, external: ip }], own, services: Vec::new() },
        ports: 49_152..=65_535,
        limits: Limits { per_user: wishes.per_user, ..Limits::default() },
        sha256: false,
        doorbell: wishes.open,
        guest: wishes.open,
        alternate_server: None,
    };
    let alice = Credential { user: "alice".into(), password: "right".into() };
    Plan {
        settings,
        credentials: Credentials::new("here", &[alice], vec!["north".into()]),
        tcp: vec![at(wishes.ports.0)],
        tls: vec![at(wishes.ports.1)],
        certificate: Some(Arc::clone(certificate)),
        backend: Backend::Auto,
        threads: 1,
        events: Arc::new(|_| {}),
    }
}

#[cfg(target_os = "linux")]
fn enter(namespace: &str) {
    use std::os::fd::AsFd;
    let file = std::fs::File::open(format!("/run/netns/{namespace}")).expect("a namespace");
    rustix::thread::move_into_link_name_space(file.as_fd(), Some(rustix::thread::LinkNameSpaceType::Network))
        .expect("root may");
}

#[cfg(not(target_os = "linux"))]
fn enter(_: &str) {
    panic!("there are no namespaces here");
}
