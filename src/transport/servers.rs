//! Everything that is said to servers: names resolved, STUN asked and repeated, relays kept. Joins the pure
//! parts ([`Bindings`], [`Ledger`]) to the sockets.
#![expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]

use crate::call::event::Protocol;
use crate::config::proxy::ProxyLink;
use crate::config::{NetworkConfig, StunServer};
use p2pcall_relay::stun::TransactionId;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::TransportEvent;
use super::binding::{BindingEvent, Bindings};
use super::candidate::{LocalCandidate, ServerProblem};
use super::host::{Heard, HostSocket, Hosts};
use super::hub::{Hub, Outlet};
use super::ledger::{Gathered, Ledger};
use super::line::Line;
use super::mapping::{Held, keep, worthwhile};
use super::names::Names;
use super::relay::Keeper;
use super::router::LinkId;
use super::turn::Extras;
use super::ways::{RelayServer, relays};

/// How long relays may take to end allocations, and the router a mapping; what is not ended ends by itself after ten
/// or twenty minutes.
const RELEASE_DEADLINE: Duration = Duration::from_millis(300);

/// The servers of a transport.
#[derive(Debug)]
pub(super) struct Servers {
    config: NetworkConfig,
    pub(super) hub: Arc<Hub>,
    hosts: Arc<Hosts>,
    pub(super) names: Names,
    /// The router's port.
    pub(super) mapping: Held,
    bindings: Mutex<Bindings>,
    pub(super) ledger: Mutex<Ledger>,
    /// Something was learnt.
    changed: Notify,
    /// The timer task is to look at its deadlines again.
    pub(super) wake: Notify,
    started: AtomicBool,
    /// By their index in the ledger.
    relays: Mutex<Vec<Arc<RelayServer>>>,
    /// The ways to relays on which there is an allocation.
    lines: Mutex<Vec<Arc<Line>>>,
    /// What each request for an allocation carries.
    probe: Mutex<Extras>,
    /// What each allocation is told then.
    extras: Mutex<Option<Extras>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Servers {
    /// For sockets with these addresses, which are still to come.
    pub(super) fn new(config: NetworkConfig, hub: Arc<Hub>, own: impl IntoIterator<Item = IpAddr>) -> Self {
        Self {
            config,
            hub,
            hosts: Arc::default(),
            names: Names::new(own),
            mapping: Held::default(),
            bindings: Mutex::new(Bindings::new(Box::new(random_id))),
            ledger: Mutex::default(),
            changed: Notify::new(),
            wake: Notify::new(),
            started: AtomicBool::new(false),
            relays: Mutex::default(),
            lines: Mutex::default(),
            probe: Mutex::default(),
            extras: Mutex::default(),
            tasks: Mutex::default(),
        }
    }

    /// The sockets there are.
    pub(super) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// One more socket, which is to be received from.
    pub(super) fn add_host(&self, socket: HostSocket) -> (LinkId, Arc<HostSocket>) {
        let (link, socket) = (self.hub.next_link(), Arc::new(socket));
        self.hub.open(link, Arc::clone(&socket) as Arc<dyn Outlet>);
        self.hosts.add(link, Arc::clone(&socket));
        if !self.config.relay_only {
            let news = lock(&self.ledger).host(socket.candidate());
            self.told(news);
        }
        (link, socket)
    }

    /// A socket that the friend has reached: a port of every agent to come, though nobody is told of its address.
    pub(super) fn adopt(self: &Arc<Self>, socket: Arc<HostSocket>) {
        let (link, servers) = (self.hub.next_link(), Arc::clone(self));
        self.hub.open(link, Arc::clone(&socket) as Arc<dyn Outlet>);
        let receiving = async move { socket.receive(|heard| servers.heard(link, heard)).await };
        lock(&self.tasks).spawn(receiving);
    }

    /// Begins to ask; only the first time.
    pub(super) fn start(self: &Arc<Self>) {
        if self.started.swap(true, Ordering::SeqCst) || self.config.no_servers {
            return;
        }
        let stun = if self.config.relay_only { &[][..] } else { &self.config.stun[..] };
        for server in stun {
            let index = lock(&self.ledger).stun(format!("{}:{}", server.host, server.port));
            let (this, server) = (Arc::clone(self), server.clone());
            lock(&self.tasks).spawn(async move { this.ask(index, &server).await });
        }
        let hosts = self.hosts.all();
        let home = hosts.iter().find_map(|(_, host)| Some((host, worthwhile(&host.candidate())?)));
        if let Some((host, local)) = home.filter(|_| self.config.portmap) {
            lock(&self.ledger).await_mapping();
            lock(&self.tasks).spawn(keep(Arc::clone(self), Arc::clone(host), local));
        }
        for relay in relays(&self.config.relays) {
            self.add_relay(relay);
        }
    }

    /// One more relay to ask.
    pub(super) fn add_relay(self: &Arc<Self>, relay: RelayServer) {
        let relay = Arc::new(relay);
        lock(&self.relays).push(Arc::clone(&relay));
        let index = lock(&self.ledger).relay(relay.host.clone(), relay.protocols());
        let keeper = Keeper {
            servers: Arc::clone(self),
            hub: Arc::clone(&self.hub),
            hosts: Arc::clone(&self.hosts),
            index,
            relay,
            bound: !self.config.bind.is_empty(),
        };
        lock(&self.tasks).spawn(keeper.run());
    }

    /// The way to relays over TCP and TLS, where it is not the direct one.
    pub(super) fn proxy(&self) -> Option<Arc<ProxyLink>> {
        self.config.proxy.clone()
    }

    /// A relay by its index.
    pub(super) fn relay(&self, index: usize) -> Option<Arc<RelayServer>> {
        lock(&self.relays).get(index).cloned()
    }

    /// Resolves a STUN server and asks it from every socket of its family.
    async fn ask(&self, index: usize, server: &StunServer) {
        let addresses = self.names.resolve(&server.host, server.port).await;
        let mut asked = Vec::new();
        for (link, socket) in self.hosts.all() {
            let own = socket.candidate().address;
            let address = addresses.iter().find(|address| address.is_ipv4() == own.is_ipv4());
            asked.extend(address.map(|address| (link, *address)));
        }
        if asked.is_empty() {
            let silent = ServerProblem::Silent(vec![Protocol::Udp]);
            let problem = if addresses.is_empty() { ServerProblem::Unresolved } else { silent };
            let news = lock(&self.ledger).stun_failed(index, problem);
            return self.told(news);
        }
        lock(&self.ledger).stun_asked(index, asked.clone());
        let now = Instant::now();
        let mut bindings = lock(&self.bindings);
        for (link, address) in &asked {
            bindings.ask(now, *link, *address);
        }
        drop(bindings);
        self.drive(now);
    }

    /// Something came of a host socket.
    pub(super) fn heard(&self, link: LinkId, heard: Heard<'_>) {
        match heard {
            Heard::Datagram(from, bytes) => self.received(link, from, bytes),
            Heard::Refusal(remote) => self.hub.refused(Instant::now(), link, remote),
        }
    }

    fn received(&self, link: LinkId, from: SocketAddr, bytes: &[u8]) {
        let now = Instant::now();
        if lock(&self.bindings).handle_packet(now, bytes) {
            self.drive(now);
        } else if !self.config.relay_only {
            self.hub.received(now, link, from, bytes);
        }
    }

    /// Does what is due, and says when to call again.
    pub(super) fn handle_timeout(&self, now: Instant) -> Option<Instant> {
        lock(&self.bindings).handle_timeout(now);
        self.pump(now);
        lock(&self.bindings).poll_timeout()
    }

    pub(super) fn keep_alive(&self, now: Instant, on: bool) {
        lock(&self.bindings).keep_alive(now, on);
        self.wake.notify_one();
    }

    pub(super) fn is_settled(&self) -> bool {
        lock(&self.ledger).is_settled()
    }

    pub(super) fn is_satisfied(&self) -> bool {
        lock(&self.ledger).is_satisfied()
    }

    /// Something was learnt, or 50 ms have passed: a notice between two looks would be missed.
    pub(super) async fn changed(&self) {
        let _ = tokio::time::timeout(Duration::from_millis(50), self.changed.notified()).await;
    }

    pub(super) fn finish(&self) -> Gathered {
        lock(&self.ledger).finish()
    }

    /// What relays are asked whether they know it, with each allocation.
    pub(super) fn probe(&self) -> Extras {
        lock(&self.probe).clone()
    }

    pub(super) fn set_probe(&self, probe: Extras) {
        *lock(&self.probe) = probe;
    }

    /// What relays of our own kind are told beside the standard, once they have given an address.
    pub(super) fn extras(&self) -> Option<Extras> {
        lock(&self.extras).clone()
    }

    /// Tells all relays; `true` when each one that has given an address has answered, `false` at the deadline.
    pub(super) async fn set_extras(&self, extras: &Extras, deadline: Duration) -> bool {
        *lock(&self.extras) = Some(extras.clone());
        let lines = self.lines();
        for line in &lines {
            line.set_extras(extras.clone());
        }
        let answered = async {
            while !lines.iter().all(|line| line.is_up_to_date()) {
                self.changed().await;
            }
        };
        tokio::time::timeout(deadline, answered).await.is_ok()
    }

    /// Tells all relays of another doorbell.
    pub(super) fn set_doorbell(&self, ufrag: &str) {
        let extras = {
            let mut extras = lock(&self.extras);
            let changed = Extras { doorbell: Some(ufrag.to_owned()), ..extras.clone().unwrap_or_default() };
            extras.insert(changed).clone()
        };
        self.lines().iter().for_each(|line| line.set_extras(extras.clone()));
    }

    /// Somebody may have waited for what was learnt.
    pub(super) fn notice(&self) {
        self.changed.notify_waiters();
    }

    /// A relay gave an address, by this line.
    pub(super) fn relay_ready(&self, index: usize, candidate: LocalCandidate, line: &Arc<Line>) {
        lock(&self.lines).push(Arc::clone(line));
        let news = lock(&self.ledger).relay_ready(index, candidate);
        self.told(news);
    }

    /// An allocation is gone: lost, or given back.
    pub(super) fn relay_lost(
        &self,
        index: usize,
        candidate: &LocalCandidate,
        line: &Arc<Line>,
        lost: Option<ServerProblem>,
    ) {
        lock(&self.lines).retain(|one| !Arc::ptr_eq(one, line));
        lock(&self.ledger).forget(candidate);
        if let Some(problem) = lost {
            self.hub.tell(TransportEvent::CandidateLost(*candidate));
            self.relay_failed(index, problem);
        }
        self.changed.notify_waiters();
    }

    pub(super) fn relay_failed(&self, index: usize, problem: ServerProblem) {
        let news = lock(&self.ledger).relay_failed(index, problem);
        self.told(news);
    }

    pub(super) fn told(&self, news: Option<TransportEvent>) {
        if let Some(news) = news {
            self.hub.tell(news);
        }
        self.changed.notify_waiters();
    }

    fn lines(&self) -> Vec<Arc<Line>> {
        lock(&self.lines).clone()
    }

    /// Gives all allocations back, as far as the relays answer in time.
    pub(super) async fn close(&self) {
        self.release();
        let released = async {
            while !lock(&self.lines).is_empty() {
                self.changed().await;
            }
        };
        let _ =
            tokio::time::timeout(RELEASE_DEADLINE, async { tokio::join!(released, self.mapping.release()) })
                .await;
        self.stop();
    }

    /// Asks the relays to end the allocations.
    pub(super) fn release(&self) {
        self.lines().iter().for_each(|line| line.release());
    }

    /// Ends all tasks.
    pub(super) fn stop(&self) {
        lock(&self.tasks).abort_all();
        self.lines().iter().for_each(|line| line.disconnect());
        lock(&self.lines).clear();
    }

    /// Sends and tells what the bindings want, and has the timer look again.
    fn drive(&self, now: Instant) {
        self.pump(now);
        self.wake.notify_one();
    }

    fn pump(&self, now: Instant) {
        loop {
            let Some(transmit) = lock(&self.bindings).poll_transmit() else { break };
            let Some(socket) = self.hosts.find(transmit.link) else { continue };
            if let Err(error) = socket.try_send(transmit.to, &transmit.bytes)
                && error.kind() != std::io::ErrorKind::WouldBlock
            {
                log::debug!("no way to {}: {error}", transmit.to);
                lock(&self.bindings).unreachable(now, transmit.link, transmit.to);
            }
        }
        loop {
            let Some(event) = lock(&self.bindings).poll_event() else { break };
            let (BindingEvent::Mapped { link, .. }
            | BindingEvent::Changed { link, .. }
            | BindingEvent::Failed { link, .. }) = event;
            let Some(socket) = self.hosts.find(link) else { continue };
            if let BindingEvent::Changed { old, new, .. } = event {
                log::info!("the world sees {new} where it saw {old}");
            }
            if let BindingEvent::Changed { old, new, .. } = event
                && old.ip() != new.ip()
                && socket.candidate().default_route
            {
                self.lines().iter().for_each(|line| line.seen_at(new.ip()));
            }
            let news = lock(&self.ledger).binding(event, &socket.candidate());
            self.told(news);
        }
    }
}

/// RFC 8489 §5: chosen at random, so that nobody off the path can answer.
pub(super) fn random_id() -> TransactionId {
    let mut id = [0; 12];
    if getrandom::fill(&mut id).is_err() {
        // No random numbers: nothing secret hangs on this one, the address of a local will do.
        let here = std::ptr::from_ref(&id).addr().to_be_bytes();
        id.iter_mut().zip(here).for_each(|(id, byte)| *id = byte);
    }
    TransactionId(id)
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
