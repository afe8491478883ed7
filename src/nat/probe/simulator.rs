//! A NAT and servers of every kind, for tests: packets in, packets out, virtual time. RFC 4787's behaviors to the letter.

use super::{Probe, SOCKETS, SocketId, Transmit};
use p2pcall_relay::stun::{Builder, Class, ErrorCode, Message, Method, Seal, TransactionId, attr};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// One way.
const DELAY: Duration = Duration::from_millis(20);
/// The NAT's public address.
pub(crate) const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 11));
/// The machine's own.
pub(crate) const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 2));

/// On what a rule looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Nothing,
    Address,
    AddressAndPort,
}

impl By {
    /// What two destinations have to share.
    fn key(self, remote: SocketAddr) -> Option<SocketAddr> {
        match self {
            Self::Nothing => None,
            Self::Address => Some(SocketAddr::new(remote.ip(), 0)),
            Self::AddressAndPort => Some(remote),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortRule {
    Preserve,
    Sequential,
    Random,
}

/// What the NAT does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) translates: bool,
    pub(crate) mapping: By,
    pub(crate) filtering: By,
    pub(crate) ports: PortRule,
    pub(crate) hairpin: bool,
    pub(crate) udp: bool,
    pub(crate) forgets_after: Duration,
}

impl Rules {
    pub(crate) const OPEN: Self = Self {
        translates: false,
        mapping: By::Nothing,
        filtering: By::Nothing,
        ports: PortRule::Preserve,
        hairpin: false,
        udp: true,
        forgets_after: Duration::from_secs(120),
    };
}

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerKind {
    /// RFC 5780 with this second address; reached at both addresses and both ports.
    Discovery(SocketAddr),
    /// The same, but shows its second address only to whoever asks for discovery.
    Discreet(SocketAddr),
    /// Nothing but RFC 8489: CHANGE-REQUEST is an unknown attribute.
    Plain,
    /// Ignores what it does not know, and answers from where it was asked.
    Careless,
    Silent,
    /// Says that we are at this address.
    Liar(SocketAddr),
    /// Answers with noise and with another transaction's ID.
    Garbage,
    /// Says everything so many times.
    Flood(usize),
}

struct Mapping {
    inside: SocketAddr,
    key: Option<SocketAddr>,
    outside: SocketAddr,
    written_to: Vec<SocketAddr>,
    used: Instant,
}

/// The network around a probe.
pub(crate) struct World {
    rules: Rules,
    servers: Vec<(SocketAddr, ServerKind)>,
    mappings: Vec<Mapping>,
    next_port: u16,
    pub(crate) now: Instant,
    /// Datagrams on their way in: (when, number) -> (to, from, bytes).
    coming: BTreeMap<(Instant, usize), (SocketAddr, SocketAddr, Vec<u8>)>,
    count: usize,
    pub(crate) locals: Vec<SocketAddr>,
    pub(crate) sent: usize,
}

impl World {
    pub(crate) fn new(rules: Rules, servers: &[(&str, ServerKind)]) -> Self {
        let own = if rules.translates { HOME } else { PUBLIC };
        #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
        let now = Instant::now();
        Self {
            rules,
            servers: servers.iter().map(|(address, kind)| (address.parse().unwrap(), *kind)).collect(),
            mappings: Vec::new(),
            next_port: 20_000,
            now,
            coming: BTreeMap::new(),
            count: 0,
            locals: (0..32).map(|number| SocketAddr::new(own, 40_000 + number * 613)).collect(),
            sent: 0,
        }
    }

    /// Runs a probe to its end; how long that took.
    pub(crate) fn probe(&mut self) -> (super::Findings, Duration) {
        let asked: Vec<SocketAddr> = self.servers.iter().map(|(address, _)| *address).collect();
        let locals = self.locals.iter().take(SOCKETS).copied().collect();
        let began = self.now;
        let mut probe = Probe::new(began, locals, &asked, ids());
        while !probe.is_done() {
            while let Some(transmit) = probe.poll_transmit() {
                self.send(&transmit);
            }
            let due = probe.poll_timeout();
            if let Some((socket, from, bytes)) = self.next_before(due) {
                probe.handle_packet(self.now, socket, from, &bytes);
            } else {
                self.now = due.expect("it waits for something");
                probe.handle_timeout(self.now);
            }
        }
        (probe.findings().clone(), self.now - began)
    }

    /// The next datagram that comes in before that instant.
    pub(crate) fn next_before(&mut self, due: Option<Instant>) -> Option<(SocketId, SocketAddr, Vec<u8>)> {
        let first = self.coming.first_entry()?;
        if due.is_some_and(|due| first.key().0 > due) {
            return None;
        }
        let ((at, _), (to, from, bytes)) = first.remove_entry();
        self.now = self.now.max(at);
        match self.enter(to, from) {
            Some(socket) => Some((socket, from, bytes)),
            None => self.next_before(due),
        }
    }

    /// A datagram from one of our sockets.
    pub(crate) fn send(&mut self, transmit: &Transmit) {
        self.sent += 1;
        let inside = self.locals[transmit.socket.0];
        if !self.rules.udp {
            return;
        }
        let outside = self.leave(inside, transmit.to);
        if transmit.to.ip() == PUBLIC {
            if self.rules.hairpin {
                self.arrive(transmit.to, outside, transmit.bytes.clone(), DELAY);
            }
            return;
        }
        self.serve(transmit.to, outside, &transmit.bytes);
    }

    /// RFC 4787 §4.
    fn leave(&mut self, inside: SocketAddr, to: SocketAddr) -> SocketAddr {
        let key = self.rules.mapping.key(to);
        let (now, forgets) = (self.now, self.rules.forgets_after);
        self.mappings.retain(|one| now - one.used < forgets);
        if let Some(known) = self.mappings.iter_mut().find(|one| one.inside == inside && one.key == key) {
            known.written_to.push(to);
            known.used = now;
            return known.outside;
        }
        let port = match self.rules.ports {
            PortRule::Preserve if !self.mappings.iter().any(|one| one.outside.port() == inside.port()) => {
                inside.port()
            }
            PortRule::Sequential => self.next_port + 1,
            _ => self.next_port.wrapping_mul(31_421).wrapping_add(6_927) | 1024,
        };
        self.next_port = port;
        let outside = SocketAddr::new(PUBLIC, if self.rules.translates { port } else { inside.port() });
        self.mappings.push(Mapping { inside, key, outside, written_to: vec![to], used: now });
        outside
    }

    /// RFC 4787 §5.
    fn enter(&mut self, to: SocketAddr, from: SocketAddr) -> Option<SocketId> {
        let (rules, now) = (self.rules, self.now);
        let mapping =
            self.mappings.iter().find(|one| one.outside == to && now - one.used < rules.forgets_after)?;
        let by = rules.filtering;
        let known = by == By::Nothing || mapping.written_to.iter().any(|one| by.key(*one) == by.key(from));
        let socket = self.locals.iter().position(|local| *local == mapping.inside)?;
        known.then_some(SocketId(socket))
    }

    fn arrive(&mut self, to: SocketAddr, from: SocketAddr, bytes: Vec<u8>, after: Duration) {
        self.count += 1;
        self.coming.insert((self.now + after, self.count), (to, from, bytes));
    }

    fn serve(&mut self, at: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        let server = self.servers.iter().copied().find(|(address, kind)| {
            *address == at
                || matches!(kind, ServerKind::Discovery(other) | ServerKind::Discreet(other)
                    if [address.ip(), other.ip()].contains(&at.ip())
                        && [address.port(), other.port()].contains(&at.port()))
        });
        let Some((address, kind)) = server else { return };
        let request = Message::parse(bytes).expect("we send STUN");
        let change = request.get(attr::CHANGE_REQUEST);
        match kind {
            ServerKind::Silent => {}
            ServerKind::Garbage => {
                self.arrive(from, at, vec![0xFF; 40], DELAY * 2);
                let wrong = answer(TransactionId([9; 12]), from, None);
                self.arrive(from, at, wrong, DELAY * 2);
            }
            ServerKind::Liar(told) => self.arrive(from, at, answer(request.id(), told, None), DELAY * 2),
            ServerKind::Flood(times) => {
                for _ in 0..times {
                    self.arrive(from, at, answer(request.id(), from, None), DELAY * 2);
                }
            }
            ServerKind::Plain if change.is_some() || request.contains(attr::RESPONSE_PORT) => {
                self.arrive(from, at, refusal(request.id()), DELAY * 2);
            }
            ServerKind::Plain | ServerKind::Careless => {
                self.arrive(from, at, answer(request.id(), from, None), DELAY * 2);
            }
            ServerKind::Discovery(other) | ServerKind::Discreet(other) => {
                let shown = (kind == ServerKind::Discovery(other) || change.is_some()).then_some(other);
                let flags = change.unwrap_or(0);
                let turned = |on: bool, now: IpAddr| match (on, now == address.ip()) {
                    (true, true) | (false, false) => other.ip(),
                    _ => address.ip(),
                };
                let ip = turned(flags & attr::CHANGE_IP != 0, at.ip());
                let swap = (flags & attr::CHANGE_PORT != 0) == (at.port() == address.port());
                let port = if swap { other.port() } else { address.port() };
                let to =
                    request.get(attr::RESPONSE_PORT).map_or(from, |port| SocketAddr::new(from.ip(), port));
                self.arrive(to, SocketAddr::new(ip, port), answer(request.id(), from, shown), DELAY * 2);
            }
        }
    }
}

fn answer(id: TransactionId, mapped: SocketAddr, other: Option<SocketAddr>) -> Vec<u8> {
    let mut buffer = [0; 128];
    let builder = Builder::new(&mut buffer, Class::Success, Method::BINDING, id)
        .put(attr::XOR_MAPPED_ADDRESS, mapped)
        .put_some(attr::OTHER_ADDRESS, other);
    builder.finish(Seal::NONE).unwrap().to_vec()
}

fn refusal(id: TransactionId) -> Vec<u8> {
    let mut buffer = [0; 128];
    let builder = Builder::new(&mut buffer, Class::Error, Method::BINDING, id)
        .put(attr::ERROR_CODE, ErrorCode { code: 420, reason: "Unknown Attribute" });
    builder.finish(Seal::NONE).unwrap().to_vec()
}

/// 1, 2, 3, …
pub(crate) fn ids() -> super::IdSource {
    let mut count = 0u64;
    Box::new(move || {
        count += 1;
        let mut id = [0; 12];
        id[4..].copy_from_slice(&count.to_be_bytes());
        TransactionId(id)
    })
}
