//! STUN Binding transactions from our own sockets: what address does the world see, and does the NAT still
//! keep it open? Pure: told the time and the datagrams, asked for what to send.
//!
//! Answers are known by their transaction ID and hidden from the ICE agents that share the socket.

use p2pcall_relay::stun::{Builder, Class, Message, Method, Seal, TransactionId, attr};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::interfaces::is_plausible;
use super::router::LinkId;

/// RFC 8489 §6.2.1: the first retransmission after 500 ms, then doubling.
const RTO: Duration = Duration::from_millis(500);
/// RFC 8489 §6.2.1: seven requests in all.
const RC: u32 = 7;
/// RFC 8489 §6.2.1: after the last one sixteen times the RTO.
const RM: u32 = 16;

/// A keepalive asks thrice, then another server.
const RC_KEEPALIVE: u32 = 3;

/// RFC 4787 §4.3 asks for two minutes, in vain: NATs have been seen to forget a mapping after 20 to 30 s, few after
/// 10. This keeps one of 10 s though an answer is lost, tells of another address in less than 5 s, and costs a waiting
/// offer some hundred bit/s. To measure the memory first would cost as much.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(4);
/// A NAT that forgets sooner still is asked more often, down to this.
const SHORTEST_KEEPALIVE: Duration = Duration::from_secs(1);

/// Makes transaction IDs; random ones outside of tests.
pub type IdSource = Box<dyn FnMut() -> TransactionId + Send>;

/// A datagram to send from a host link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// From which socket.
    pub link: LinkId,
    /// To whom.
    pub to: SocketAddr,
    /// The datagram.
    pub bytes: Vec<u8>,
}

/// Something learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingEvent {
    /// The server sees this socket at `mapped`.
    Mapped {
        /// The socket.
        link: LinkId,
        /// Who says so.
        server: SocketAddr,
        /// The address as seen from there.
        mapped: SocketAddr,
    },
    /// The mapping is another one than last time: the NAT has forgotten, or the network is another.
    Changed {
        /// The socket.
        link: LinkId,
        /// The address as it was.
        old: SocketAddr,
        /// And as it is now.
        new: SocketAddr,
    },
    /// No answer, or an error for an answer.
    Failed {
        /// The socket.
        link: LinkId,
        /// Who did not answer.
        server: SocketAddr,
    },
}

/// One request until its answer.
#[derive(Debug)]
struct Transaction {
    link: LinkId,
    server: SocketAddr,
    sent: u32,
    next: Instant,
    keepalive: bool,
}

impl Transaction {
    fn limit(&self) -> u32 {
        if self.keepalive { RC_KEEPALIVE } else { RC }
    }

    /// How long after the last request nothing else happens.
    fn patience(&self) -> Duration {
        if self.sent == RC { RTO * RM } else { RTO * 2_u32.pow(self.sent - 1) }
    }
}

/// What is kept of a socket: the mapping, and who is asked about it.
#[derive(Debug)]
struct Mapping {
    /// Each with the address that it saw last; the first one is asked.
    servers: VecDeque<(SocketAddr, SocketAddr)>,
    refresh: Instant,
    /// Between two questions; shorter than what the NAT has been seen to forget.
    interval: Duration,
    asking: bool,
}

/// All Binding transactions of a transport.
pub struct Bindings {
    ids: IdSource,
    transactions: HashMap<TransactionId, Transaction>,
    mappings: HashMap<LinkId, Mapping>,
    keep_alive: bool,
    transmits: VecDeque<Transmit>,
    events: VecDeque<BindingEvent>,
}

impl std::fmt::Debug for Bindings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bindings").field("transactions", &self.transactions).finish_non_exhaustive()
    }
}

impl Bindings {
    /// Nothing is asked yet; keepalives are on.
    pub fn new(ids: IdSource) -> Self {
        Self {
            ids,
            transactions: HashMap::new(),
            mappings: HashMap::new(),
            keep_alive: true,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Asks a server how it sees a socket.
    pub fn ask(&mut self, now: Instant, link: LinkId, server: SocketAddr) {
        self.begin(now, link, server, false);
    }

    /// Whether mappings are kept open. A connected call keeps its own path open.
    pub fn keep_alive(&mut self, now: Instant, on: bool) {
        if on && !self.keep_alive {
            self.mappings.values_mut().for_each(|mapping| mapping.refresh = now);
        }
        self.keep_alive = on;
    }

    /// Whether the datagram answers one of ours; such a one is nobody else's.
    pub fn handle_packet(&mut self, now: Instant, bytes: &[u8]) -> bool {
        let Ok(message) = Message::parse(bytes) else { return false };
        if message.method() != Method::BINDING || !matches!(message.class(), Class::Success | Class::Error) {
            return false;
        }
        let Some(transaction) = self.transactions.remove(&message.id()) else { return false };
        let mapped = message.get(attr::XOR_MAPPED_ADDRESS).or_else(|| message.get(attr::MAPPED_ADDRESS));
        let mapped = mapped.filter(|mapped| is_plausible(*mapped, transaction.server));
        match mapped.filter(|_| message.class() == Class::Success) {
            Some(mapped) => self.answered(now, &transaction, mapped),
            None => self.failed(now, &transaction),
        }
        true
    }

    /// The system refused to send from this socket to this server: no use waiting.
    pub fn unreachable(&mut self, now: Instant, link: LinkId, server: SocketAddr) {
        let lost: Vec<_> = self
            .transactions
            .extract_if(|_, one| one.link == link && one.server == server)
            .map(|(_, transaction)| transaction)
            .collect();
        for transaction in &lost {
            self.failed(now, transaction);
        }
    }

    /// Retransmits, gives up, keeps alive.
    pub fn handle_timeout(&mut self, now: Instant) {
        let over: Vec<_> = self
            .transactions
            .extract_if(|_, one| one.next <= now && one.sent >= one.limit())
            .map(|(_, transaction)| transaction)
            .collect();
        for transaction in &over {
            self.failed(now, transaction);
        }
        for (id, transaction) in self.transactions.iter_mut().filter(|(_, one)| one.next <= now) {
            transaction.sent += 1;
            transaction.next = now + transaction.patience();
            self.transmits.extend(request(*id, transaction));
        }
        if self.keep_alive {
            let due: Vec<_> = self
                .mappings
                .iter_mut()
                .filter(|(_, mapping)| !mapping.asking && mapping.refresh <= now)
                .filter_map(|(link, mapping)| {
                    mapping.asking = true;
                    Some((*link, mapping.servers.front()?.0))
                })
                .collect();
            for (link, server) in due {
                self.begin(now, link, server, true);
            }
        }
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let requests = self.transactions.values().map(|one| one.next).min();
        let mappings =
            self.mappings.values().filter(|one| self.keep_alive && !one.asking).map(|one| one.refresh).min();
        requests.into_iter().chain(mappings).min()
    }

    /// What to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What was learnt.
    pub fn poll_event(&mut self) -> Option<BindingEvent> {
        self.events.pop_front()
    }

    fn begin(&mut self, now: Instant, link: LinkId, server: SocketAddr, keepalive: bool) {
        let id = (self.ids)();
        let transaction = Transaction { link, server, sent: 1, next: now + RTO, keepalive };
        self.transmits.extend(request(id, &transaction));
        self.transactions.insert(id, transaction);
    }

    fn answered(
        &mut self,
        now: Instant,
        &Transaction { link, server, .. }: &Transaction,
        mapped: SocketAddr,
    ) {
        let fresh = || Mapping { servers: VecDeque::new(), refresh: now, interval: KEEPALIVE, asking: false };
        let mapping = self.mappings.entry(link).or_insert_with(fresh);
        mapping.asking = false;
        // Another server may see another address: that is the NAT's kind, not a change.
        match mapping.servers.iter_mut().find(|(known, _)| *known == server) {
            None => {
                mapping.servers.push_back((server, mapped));
                self.events.push_back(BindingEvent::Mapped { link, server, mapped });
            }
            Some((_, old)) if *old != mapped => {
                self.events.push_back(BindingEvent::Changed { link, old: *old, new: mapped });
                // Another port of the same address: it was forgotten meanwhile.
                if old.ip() == mapped.ip() {
                    mapping.interval = (mapping.interval / 2).max(SHORTEST_KEEPALIVE);
                }
                *old = mapped;
            }
            Some(_) => {}
        }
        mapping.refresh = now + mapping.interval;
    }

    /// A server that fails a keepalive goes to the end of the line.
    fn failed(&mut self, now: Instant, &Transaction { link, server, keepalive, .. }: &Transaction) {
        if let Some(mapping) = self.mappings.get_mut(&link).filter(|_| keepalive) {
            mapping.asking = false;
            mapping.refresh = now + mapping.interval;
            if mapping.servers.len() > 1 {
                mapping.servers.rotate_left(1);
                mapping.refresh = now;
            }
        }
        self.events.push_back(BindingEvent::Failed { link, server });
    }
}

/// A bare request: twenty bytes, nothing for a server to refuse.
fn request(id: TransactionId, transaction: &Transaction) -> Option<Transmit> {
    let mut buffer = [0; 32];
    let bytes =
        Builder::new(&mut buffer, Class::Request, Method::BINDING, id).finish(Seal::NONE).ok()?.to_vec();
    Some(Transmit { link: transaction.link, to: transaction.server, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: LinkId = LinkId(1);

    fn server(number: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, number], 3478))
    }

    fn seen_at(port: u16) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, 9], port))
    }

    struct Bench {
        bindings: Bindings,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let mut count = 0u8;
            let ids = move || {
                count += 1;
                TransactionId([count; 12])
            };
            #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
            let now = Instant::now();
            Self { bindings: Bindings::new(Box::new(ids)), now }
        }

        fn ask(&mut self, number: u8) {
            self.bindings.ask(self.now, LINK, server(number));
        }

        /// Lets time pass until something is sent; to whom, or `None` if nothing ever is.
        fn next(&mut self) -> Option<Transmit> {
            loop {
                if let Some(transmit) = self.bindings.poll_transmit() {
                    return Some(transmit);
                }
                self.now = self.bindings.poll_timeout()?;
                self.bindings.handle_timeout(self.now);
            }
        }

        fn answer(&mut self, transmit: &Transmit, port: u16) -> Option<BindingEvent> {
            let mut buffer = [0; 64];
            let id = Message::parse(&transmit.bytes).unwrap().id();
            let answer = Builder::new(&mut buffer, Class::Success, Method::BINDING, id)
                .put(attr::XOR_MAPPED_ADDRESS, seen_at(port))
                .finish(Seal::NONE)
                .unwrap();
            assert!(self.bindings.handle_packet(self.now, answer));
            assert!(!self.bindings.handle_packet(self.now, answer), "an answer counts once");
            self.bindings.poll_event()
        }
    }

    #[test]
    fn a_silent_server_is_asked_seven_times_in_39_and_a_half_seconds() {
        let mut bench = Bench::new();
        let begun = bench.now;
        bench.ask(1);
        let mut sent = Vec::new();
        while let Some(transmit) = bench.next() {
            sent.push((bench.now - begun).as_millis());
            assert_eq!((transmit.link, transmit.to, transmit.bytes.len()), (LINK, server(1), 20));
        }
        assert_eq!(sent, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
        assert_eq!((bench.now - begun).as_millis(), 39_500);
        assert_eq!(bench.bindings.poll_event(), Some(BindingEvent::Failed { link: LINK, server: server(1) }));
    }

    #[test]
    fn a_mapping_is_kept_alive_every_4_seconds_until_told_otherwise() {
        let mut bench = Bench::new();
        bench.ask(1);
        let first = bench.next().unwrap();
        let mapped = BindingEvent::Mapped { link: LINK, server: server(1), mapped: seen_at(1) };
        assert_eq!(bench.answer(&first, 1), Some(mapped));
        for _ in 0..5 {
            let before = bench.now;
            let keepalive = bench.next().unwrap();
            assert_eq!(bench.now - before, KEEPALIVE);
            assert_eq!(bench.answer(&keepalive, 1), None);
        }
        bench.bindings.keep_alive(bench.now, false);
        assert!(bench.next().is_none());
        bench.bindings.keep_alive(bench.now, true);
        assert!(bench.next().is_some());
    }

    #[test]
    fn a_mapping_that_changes_is_told() {
        let mut bench = Bench::new();
        bench.ask(1);
        let first = bench.next().unwrap();
        bench.answer(&first, 1);
        let keepalive = bench.next().unwrap();
        let changed = BindingEvent::Changed { link: LINK, old: seen_at(1), new: seen_at(2) };
        assert_eq!(bench.answer(&keepalive, 2), Some(changed));
    }

    #[test]
    fn a_nat_that_forgets_is_asked_more_often_and_one_that_moves_is_not() {
        let mut bench = Bench::new();
        bench.ask(1);
        let first = bench.next().unwrap();
        bench.answer(&first, 1);
        let mut waits = Vec::new();
        for port in [2, 3, 4, 4] {
            let before = bench.now;
            let keepalive = bench.next().unwrap();
            waits.push((bench.now - before).as_millis());
            bench.answer(&keepalive, port);
        }
        assert_eq!(waits, [4_000, 2_000, 1_000, 1_000]);
    }

    #[test]
    fn an_address_that_nobody_has_is_no_answer() {
        let mut bench = Bench::new();
        bench.ask(1);
        let asked = bench.next().unwrap();
        let failed = BindingEvent::Failed { link: LINK, server: server(1) };
        assert_eq!(bench.answer(&asked, 0), Some(failed));
    }

    #[test]
    fn two_servers_that_see_two_addresses_are_no_change() {
        let mut bench = Bench::new();
        for number in [1, 2] {
            bench.ask(number);
            let asked = bench.next().unwrap();
            let event = bench.answer(&asked, number.into());
            assert!(matches!(event, Some(BindingEvent::Mapped { .. })), "{event:?}");
        }
    }

    #[test]
    fn a_server_that_dies_is_replaced_by_another() {
        let mut bench = Bench::new();
        for number in [1, 2] {
            bench.ask(number);
            let asked = bench.next().unwrap();
            bench.answer(&asked, 1);
        }
        let asked: Vec<_> = (0..4).map(|_| bench.next().unwrap().to).collect();
        assert_eq!(asked, [server(1), server(1), server(1), server(2)]);
    }

    #[test]
    fn a_server_without_a_route_fails_at_once() {
        let mut bench = Bench::new();
        bench.ask(1);
        bench.bindings.unreachable(bench.now, LINK, server(1));
        assert_eq!(bench.bindings.poll_event(), Some(BindingEvent::Failed { link: LINK, server: server(1) }));
        assert_eq!(bench.bindings.poll_timeout(), None);
    }

    #[test]
    fn what_is_not_an_answer_of_ours_is_left_alone() {
        let mut bench = Bench::new();
        bench.ask(1);
        let request = bench.next().unwrap();
        for bytes in [&request.bytes[..], b"", b"\x16data", &[0; 20]] {
            assert!(!bench.bindings.handle_packet(bench.now, bytes));
        }
    }
}
