//! Where all datagrams meet: sockets and allocations on one side ([`Outlet`]), ports of ICE agents on the
//! other, the router in between. Locks are held for one datagram and never over an `await`.

use crate::call::event::PathKind;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

use super::candidate::LocalCandidate;
use super::inbox::Inbox;
use super::router::{AgentId, Credentials, LinkId, OfferId, Router, Verdict};
use super::{PairCount, TransportEvent};

/// How often the session is told of closed ports: each datagram that went there may come back.
const REFUSAL_INTERVAL: Duration = Duration::from_millis(250);

/// What sends: a host socket, or an allocation.
pub(super) trait Outlet: Send + Sync + std::fmt::Debug {
    /// Sends a datagram, or drops it; never waits.
    fn send(&self, to: SocketAddr, bytes: &[u8]);
    /// Where the friend finds it.
    fn candidate(&self) -> LocalCandidate;
}

/// One transport's switchboard.
#[derive(Debug)]
pub(super) struct Hub {
    table: Mutex<Table>,
    outlets: RwLock<BTreeMap<LinkId, Arc<dyn Outlet>>>,
    /// Full: the event is lost, and with it the ring or candidate it was about, which comes again or is
    /// listed by the next `gather`.
    events: mpsc::Sender<TransportEvent>,
    relay_only: bool,
}

#[derive(Debug, Default)]
struct Table {
    router: Router,
    /// The friend's relayed addresses.
    remote_relays: Vec<SocketAddr>,
    /// Bytes that went to or came from a relay, ours or the friend's.
    relayed: u64,
    agents: HashMap<AgentId, Desk>,
    next_link: u32,
    /// When the session was told of a closed port last.
    refusal_told: Option<Instant>,
}

/// What an agent has here.
#[derive(Debug, Default)]
struct Desk {
    inboxes: HashMap<LinkId, Arc<Inbox>>,
}

impl Hub {
    pub(super) fn new(events: mpsc::Sender<TransportEvent>, relay_only: bool) -> Self {
        Self { table: Mutex::default(), outlets: RwLock::default(), events, relay_only }
    }

    /// A number for a link to be.
    pub(super) fn next_link(&self) -> LinkId {
        let mut table = self.lock();
        table.next_link += 1;
        LinkId(table.next_link)
    }

    /// The link can send from now on.
    pub(super) fn open(&self, link: LinkId, outlet: Arc<dyn Outlet>) {
        self.outlets.write().unwrap_or_else(PoisonError::into_inner).insert(link, outlet);
    }

    /// The link is gone, and with it its ports.
    pub(super) fn shut(&self, link: LinkId) -> Option<Arc<dyn Outlet>> {
        for desk in self.lock().agents.values_mut() {
            if let Some(inbox) = desk.inboxes.remove(&link) {
                inbox.close();
            }
        }
        self.outlets.write().unwrap_or_else(PoisonError::into_inner).remove(&link)
    }

    /// The links that ports are made of: those of host sockets first, in order of preference.
    pub(super) fn links(&self) -> Vec<(LinkId, LocalCandidate)> {
        let outlets = self.outlets.read().unwrap_or_else(PoisonError::into_inner);
        let all = outlets.iter().map(|(link, outlet)| (*link, outlet.candidate()));
        all.filter(|(_, candidate)| !self.relay_only || candidate.kind == PathKind::Relay).collect()
    }

    pub(super) fn outlet(&self, link: LinkId) -> Option<Arc<dyn Outlet>> {
        self.outlets.read().unwrap_or_else(PoisonError::into_inner).get(&link).cloned()
    }

    /// Tells the session; `false` if it does not listen.
    pub(super) fn tell(&self, event: TransportEvent) -> bool {
        let told = self.events.try_send(event);
        if let Err(error) = &told {
            log::warn!("transport event lost: {error}");
        }
        told.is_ok()
    }

    pub(super) fn serve(&self, local: &Credentials) -> OfferId {
        self.lock().router.serve(local)
    }

    pub(super) fn withdraw(&self, offer: OfferId) {
        self.lock().router.withdraw(offer);
    }

    pub(super) fn reopen(&self, offer: OfferId) {
        self.lock().router.reopen(offer);
    }

    pub(super) fn call(&self, local: &Credentials, remote: Option<&Credentials>) -> AgentId {
        let mut table = self.lock();
        let agent = table.router.call(local, remote);
        table.agents.insert(agent, Desk::default());
        agent
    }

    pub(super) fn burn(&self, agent: AgentId) -> Vec<AgentId> {
        let mut table = self.lock();
        let others = table.router.burn(agent);
        for other in &others {
            table.clear(*other);
        }
        others
    }

    pub(super) fn detach(&self, agent: AgentId) {
        let mut table = self.lock();
        table.router.detach(agent);
        table.clear(agent);
    }

    pub(super) fn exists(&self, agent: AgentId) -> bool {
        self.lock().agents.contains_key(&agent)
    }

    pub(super) fn dropped(&self) -> super::router::Dropped {
        self.lock().router.dropped()
    }

    /// The agent's queue for a link, with whatever came before the agent was attached.
    pub(super) fn inbox(&self, agent: AgentId, link: LinkId) -> Arc<Inbox> {
        let mut table = self.lock();
        if let Some(desk) = table.agents.get_mut(&agent) {
            return Arc::clone(desk.inboxes.entry(link).or_default());
        }
        let closed = Inbox::default();
        closed.close();
        Arc::new(closed)
    }

    /// Sends for an agent.
    pub(super) fn send(&self, agent: AgentId, link: LinkId, to: SocketAddr, bytes: &[u8]) {
        let Some(outlet) = self.outlet(link) else { return };
        let mut table = self.lock();
        table.router.outbound(agent, link, to, bytes);
        if outlet.candidate().kind == PathKind::Relay || table.remote_relays.contains(&to) {
            table.relayed += bytes.len() as u64;
        }
        drop(table);
        outlet.send(to, bytes);
    }

    /// Where the friend's relays are: what is exchanged with them counts as relayed.
    pub(super) fn set_remote_relays(&self, relays: Vec<SocketAddr>) {
        self.lock().remote_relays = relays;
    }

    /// Bytes that went to or came from a relay, ours or the friend's.
    pub(super) fn relayed(&self) -> u64 {
        self.lock().relayed
    }

    /// A peer's datagram came by a relay of ours.
    pub(super) fn received_by_relay(&self, now: Instant, link: LinkId, from: SocketAddr, bytes: &[u8]) {
        let mut table = self.lock();
        if !table.remote_relays.contains(&from) {
            table.relayed += bytes.len() as u64;
        }
        drop(table);
        self.received(now, link, from, bytes);
    }

    /// A datagram came in that is neither STUN nor TURN business of our own.
    pub(super) fn received(&self, now: Instant, link: LinkId, from: SocketAddr, bytes: &[u8]) {
        let mut table = self.lock();
        if table.remote_relays.contains(&from) {
            table.relayed += bytes.len() as u64;
        }
        match table.router.inbound(now, link, from, bytes) {
            Verdict::Drop => {}
            Verdict::Deliver(agent) => table.deliver(agent, link, from, bytes),
            Verdict::DeliverAll(agents) => {
                for agent in agents {
                    table.deliver(agent, link, from, bytes);
                }
            }
            Verdict::Ring { offer, agent, remote, evicted } => {
                table.agents.insert(agent, Desk::default());
                table.deliver(agent, link, from, bytes);
                if let Some(evicted) = evicted {
                    table.clear(evicted);
                }
                drop(table);
                if let Some(agent) = evicted {
                    self.tell(TransportEvent::Evicted { agent });
                }
                let outlet = self.outlet(link);
                let relayed = outlet.is_some_and(|outlet| outlet.candidate().kind == PathKind::Relay);
                if !self.tell(TransportEvent::Ring { offer, agent, from, remote, relayed }) {
                    self.detach(agent);
                }
            }
            Verdict::Respond(response) => {
                drop(table);
                if let Some(outlet) = self.outlet(link) {
                    outlet.send(from, &response);
                }
            }
            Verdict::Refused(agent) => {
                drop(table);
                self.tell(TransportEvent::Refused { agent });
            }
        }
    }

    /// A datagram that is no agent's left by this link: a check that asks to be looked for.
    pub(super) fn knocked(&self, link: LinkId, to: SocketAddr) {
        self.lock().router.tally.sent(link, to);
    }

    /// The relay behind this link sends nothing to this address.
    pub(super) fn forbidden(&self, link: LinkId, peer: IpAddr) {
        self.lock().router.tally.forbidden(link, peer);
    }

    /// What happened on each pair, as far as its link is still there.
    pub(super) fn pairs(&self) -> Vec<PairCount> {
        let links: HashMap<_, _> = self.links().into_iter().collect();
        let table = self.lock();
        let counted = table.router.tally.all();
        let pairs = counted
            .filter_map(|(link, remote, count)| Some(PairCount { local: *links.get(&link)?, remote, count }));
        pairs.collect()
    }

    /// Nobody has this port open. Told where it is an agent's path.
    pub(super) fn refused(&self, now: Instant, link: LinkId, remote: SocketAddr) {
        let mut table = self.lock();
        table.router.tally.refused(link, remote);
        let told = table.refusal_told.is_some_and(|told| now.duration_since(told) < REFUSAL_INTERVAL);
        if !told && table.router.talks_with(remote) {
            table.refusal_told = Some(now);
            drop(table);
            self.tell(TransportEvent::PortClosed { remote });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn deliver(&mut self, agent: AgentId, link: LinkId, from: SocketAddr, bytes: &[u8]) {
        if let Some(desk) = self.agents.get_mut(&agent) {
            desk.inboxes.entry(link).or_default().push(bytes.to_vec(), from);
        }
    }

    fn clear(&mut self, agent: AgentId) {
        if let Some(desk) = self.agents.remove(&agent) {
            desk.inboxes.values().for_each(|inbox| inbox.close());
        }
    }
}
