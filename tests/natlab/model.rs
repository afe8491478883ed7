//! A NAT and firewall that does each behaviour of RFC 4787 exactly: packets in, packets out, a table between them.
//! Pure: it is told the time, draws its numbers from a seed, and knows no device. IPv4 is translated, IPv6 only
//! filtered. TCP (RFC 5382) behaves as UDP does, but for its lifetime.

use super::packet::{Content, End, Flow, Packet, Protocol};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// On how much of the peer's address something depends (RFC 4787 §4.1, §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dependence {
    /// On nothing.
    Endpoint,
    /// On its address.
    Address,
    /// On its address and port.
    AddressAndPort,
}

/// How outside ports are chosen (RFC 4787 §4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ports {
    /// The inside port where it is free, else any.
    Preserved,
    /// One after the other.
    Sequential,
    /// Any.
    Random,
}

/// What may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Out {
    Everything,
    /// TCP alone.
    Tcp,
    /// TCP to port 443, and only where the first bytes are those of TLS.
    Tls,
    Nothing,
}

/// A router as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behavior {
    /// When a new peer gets another outside port; `None`: addresses are not translated.
    pub(crate) mapping: Option<Dependence>,
    /// Who may send to an outside port; `None`: there is no firewall.
    pub(crate) filtering: Option<Dependence>,
    pub(crate) ports: Ports,
    /// Whether two insiders reach each other by their outside addresses (RFC 4787 §6).
    pub(crate) hairpin: bool,
    /// A UDP mapping lives so long after the last packet from inside (RFC 4787 §4.3; packets from outside do not
    /// refresh it).
    pub(crate) lifetime: Duration,
    pub(crate) out: Out,
}

/// A network, by its address and the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network(pub(crate) IpAddr, pub(crate) u32);

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.0, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u32::from(own) ^ u32::from(other)).checked_shr(32 - self.1).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (u128::from(own) ^ u128::from(other)).checked_shr(128 - self.1).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// RFC 5382 §5: an established connection is remembered for two hours and four minutes.
const TCP_LIFETIME: Duration = Duration::from_secs(7440);
/// RFC 5508 §3.2: at least 60 seconds.
const ECHO_LIFETIME: Duration = Duration::from_secs(60);
/// RFC 4787 §4.2: the ports that are given out.
const FIRST_PORT: u16 = 1024;
/// RFC 8446 §5.1: a record of the handshake, of any version.
const TLS_HELLO: [u8; 2] = [22, 3];

/// Where a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the Internet.
    Up,
    /// To the inside.
    Down,
}

/// By what a mapping is found from inside: the part of the peer's address that counts, zero where it doesn't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    protocol: Protocol,
    inside: SocketAddr,
    peer: Option<(IpAddr, u16)>,
}

/// An outside port and whose it is.
#[derive(Debug)]
struct Mapping {
    key: Key,
    used: Duration,
    /// It was asked for, and lasts until then: anybody may send to it.
    until: Option<Duration>,
    peers: HashMap<SocketAddr, Peer>,
}

/// Somebody to whom something was sent.
#[derive(Debug, Clone, Copy)]
struct Peer {
    told: Duration,
    /// Whether the first bytes were looked at, and allowed.
    inspected: Option<bool>,
}

/// The router.
#[derive(Debug)]
pub(crate) struct Nat {
    behavior: Behavior,
    public: Ipv4Addr,
    inside: Vec<Network>,
    mappings: HashMap<(Protocol, SocketAddr), Mapping>,
    keys: HashMap<Key, SocketAddr>,
    seed: u64,
    next_port: u16,
}

impl Nat {
    /// Between the networks `inside` and everything else. `public` is the address that it translates to.
    pub(crate) fn new(behavior: Behavior, public: Ipv4Addr, inside: Vec<Network>, seed: u64) -> Self {
        // Zero is the one state that the generator never leaves.
        let mut nat = Self {
            behavior,
            public,
            inside,
            mappings: HashMap::new(),
            keys: HashMap::new(),
            seed: seed | 1,
            next_port: FIRST_PORT,
        };
        nat.next_port = nat.any_port();
        nat
    }

    /// What becomes of a packet at this time; `None`: it is dropped.
    pub(crate) fn packet(&mut self, bytes: Vec<u8>, now: Duration) -> Option<(Way, Vec<u8>)> {
        self.forget(now);
        let packet = Packet::parse(bytes)?;
        match packet.content() {
            Content::Flow(flow) if self.is_inside(flow.source.ip()) => self.outwards(packet, flow, now),
            Content::Flow(flow) => self.inwards(packet, flow),
            Content::Error { from, to, about } if self.is_inside(from) => self.error_out(packet, to, about),
            Content::Error { about, .. } => self.error_in(packet, about),
        }
    }

    /// Forgets all mappings, as by a restart.
    pub(crate) fn flush(&mut self) {
        self.mappings.clear();
        self.keys.clear();
    }

    /// Takes another public address; mappings are gone with the old one.
    pub(crate) fn renumber(&mut self, public: Ipv4Addr) {
        self.flush();
        self.public = public;
    }

    /// The address that it translates to.
    pub(crate) fn public(&self) -> Ipv4Addr {
        self.public
    }

    /// An outside UDP port for an inside one, on request: for whoever the peer is, in both directions (RFC 6887 §11).
    pub(crate) fn open(&mut self, inside: SocketAddr, wish: u16, until: Duration) -> Option<SocketAddr> {
        let key = Key { protocol: Protocol::Udp, inside, peer: None };
        let outside = match self.keys.get(&key) {
            Some(known) => *known,
            None if wish != 0 && !self.is_taken(key, wish) => SocketAddr::new(self.public.into(), wish),
            None => self.free_port(key)?,
        };
        self.keys.insert(key, outside);
        let fresh = || Mapping { key, used: Duration::ZERO, until: None, peers: HashMap::new() };
        self.mappings.entry((Protocol::Udp, outside)).or_insert_with(fresh).until = Some(until);
        Some(outside)
    }

    /// Takes that back.
    pub(crate) fn close(&mut self, inside: SocketAddr) {
        for mapping in self.mappings.values_mut().filter(|mapping| mapping.key.inside == inside) {
            mapping.until = None;
        }
    }

    /// The ports that are open on request.
    pub(crate) fn opened(&self) -> usize {
        self.mappings.values().filter(|mapping| mapping.until.is_some()).count()
    }

    /// How long UDP mappings live from now on.
    pub(crate) fn set_lifetime(&mut self, lifetime: Duration) {
        self.behavior.lifetime = lifetime;
    }

    /// What may leave from now on.
    pub(crate) fn set_out(&mut self, out: Out) {
        self.behavior.out = out;
    }

    fn outwards(&mut self, mut packet: Packet, flow: Flow, now: Duration) -> Option<(Way, Vec<u8>)> {
        let allowed = match self.behavior.out {
            Out::Everything => true,
            Out::Tcp => flow.protocol == Protocol::Tcp,
            Out::Tls => flow.protocol == Protocol::Tcp && flow.destination.port() == 443,
            Out::Nothing => false,
        };
        if !allowed {
            return None;
        }
        // A connection that it has not seen from its beginning is none of its own.
        let may_begin = flow.protocol != Protocol::Tcp || packet.opens();
        let outside = self.mapping(flow, may_begin, now)?;
        if !self.passes_inspection(flow, outside, &packet, now) {
            return None;
        }
        packet.set(End::Source, outside);
        if self.behavior.mapping.is_some() && flow.destination.ip() == IpAddr::V4(self.public) {
            if !self.behavior.hairpin {
                return None;
            }
            // RFC 4787, REQ-9: with the outside address as its source.
            return self.inwards(packet, Flow { source: outside, ..flow });
        }
        Some((Way::Up, packet.into_bytes()))
    }

    fn inwards(&self, mut packet: Packet, flow: Flow) -> Option<(Way, Vec<u8>)> {
        let translates = self.translates(flow.destination.ip());
        let inside = match self.mappings.get(&(flow.protocol, flow.destination)) {
            Some(mapping) if self.lets_in(mapping, flow.source) => mapping.key.inside,
            // Nobody translates and nobody filters.
            _ if !translates
                && self.behavior.filtering.is_none()
                && self.is_inside(flow.destination.ip()) =>
            {
                flow.destination
            }
            _ => return None,
        };
        if translates {
            packet.set(End::Destination, inside);
        }
        Some((Way::Down, packet.into_bytes()))
    }

    /// An error from inside, about a packet that came in.
    fn error_out(&self, mut packet: Packet, to: IpAddr, about: Flow) -> Option<(Way, Vec<u8>)> {
        if self.behavior.out != Out::Everything {
            return None;
        }
        let found = self.mappings.iter().find(|((protocol, _), mapping)| {
            *protocol == about.protocol
                && mapping.key.inside == about.destination
                && mapping.peers.contains_key(&about.source)
        });
        let outside = match found {
            Some(((_, outside), _)) => *outside,
            None if !self.translates(to) => about.destination,
            None => return None,
        };
        packet.set(End::Destination, outside);
        packet.set_of_error(End::Source, outside.ip());
        Some((Way::Up, packet.into_bytes()))
    }

    /// An error from outside, about a packet that went out (RFC 5508 §4.2).
    fn error_in(&self, mut packet: Packet, about: Flow) -> Option<(Way, Vec<u8>)> {
        let inside = match self.mappings.get(&(about.protocol, about.source)) {
            Some(mapping) if mapping.peers.contains_key(&about.destination) => mapping.key.inside,
            _ if !self.translates(about.source.ip()) && self.behavior.filtering.is_none() => about.source,
            _ => return None,
        };
        packet.set(End::Source, inside);
        packet.set_of_error(End::Destination, inside.ip());
        Some((Way::Down, packet.into_bytes()))
    }

    /// The outside address of a flow from inside, made if there is none.
    fn mapping(&mut self, flow: Flow, may_begin: bool, now: Duration) -> Option<SocketAddr> {
        let translates = self.translates(flow.source.ip());
        let dependence = self.behavior.mapping.filter(|_| translates).unwrap_or(Dependence::Endpoint);
        let peer = flow.destination;
        let peer = match dependence {
            Dependence::Endpoint => None,
            Dependence::Address => Some((peer.ip(), 0)),
            Dependence::AddressAndPort => Some((peer.ip(), peer.port())),
        };
        let key = Key { protocol: flow.protocol, inside: flow.source, peer };
        // What was asked for serves every peer.
        if let Some(outside) = self.keys.get(&Key { peer: None, ..key }).or_else(|| self.keys.get(&key)) {
            return Some(*outside);
        }
        if !may_begin {
            return None;
        }
        let outside = if translates { self.free_port(key)? } else { flow.source };
        self.keys.insert(key, outside);
        self.mappings
            .insert((flow.protocol, outside), Mapping { key, used: now, until: None, peers: HashMap::new() });
        Some(outside)
    }

    /// Remembers to whom something was sent; whether it may be.
    fn passes_inspection(&mut self, flow: Flow, outside: SocketAddr, packet: &Packet, now: Duration) -> bool {
        let Some(mapping) = self.mappings.get_mut(&(flow.protocol, outside)) else { return false };
        mapping.used = now;
        let peer = mapping.peers.entry(flow.destination).or_insert(Peer { told: now, inspected: None });
        if packet.opens() && flow.protocol == Protocol::Tcp {
            peer.inspected = None;
        }
        peer.told = now;
        if self.behavior.out != Out::Tls {
            return true;
        }
        let segment = packet.segment();
        if peer.inspected.is_none() && !segment.is_empty() {
            peer.inspected = Some(segment.starts_with(&TLS_HELLO));
        }
        peer.inspected != Some(false)
    }

    fn lets_in(&self, mapping: &Mapping, from: SocketAddr) -> bool {
        // For IPv6 there is a stateful firewall or none.
        let filtering = if from.is_ipv6() {
            self.behavior.filtering.map(|_| Dependence::AddressAndPort)
        } else {
            self.behavior.filtering
        };
        match filtering {
            _ if mapping.until.is_some() => true,
            None | Some(Dependence::Endpoint) => true,
            Some(Dependence::Address) => mapping.peers.keys().any(|peer| peer.ip() == from.ip()),
            Some(Dependence::AddressAndPort) => mapping.peers.contains_key(&from),
        }
    }

    fn free_port(&mut self, key: Key) -> Option<SocketAddr> {
        let mut port = match self.behavior.ports {
            Ports::Preserved => key.inside.port(),
            Ports::Sequential => self.following_port(),
            Ports::Random => self.any_port(),
        };
        for _ in 0..u16::MAX {
            if port != 0 && !self.is_taken(key, port) {
                return Some(SocketAddr::new(self.public.into(), port));
            }
            port = match self.behavior.ports {
                Ports::Sequential => self.following_port(),
                Ports::Preserved | Ports::Random => self.any_port(),
            };
        }
        None
    }

    fn is_taken(&self, key: Key, port: u16) -> bool {
        self.mappings.contains_key(&(key.protocol, SocketAddr::new(self.public.into(), port)))
    }

    fn following_port(&mut self) -> u16 {
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
        self.next_port
    }

    /// Marsaglia's xorshift.
    fn any_port(&mut self) -> u16 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let span = u64::from(u16::MAX - FIRST_PORT) + 1;
        FIRST_PORT + ((self.seed >> 16) % span) as u16
    }

    fn translates(&self, address: IpAddr) -> bool {
        self.behavior.mapping.is_some() && address.is_ipv4()
    }

    fn is_inside(&self, address: IpAddr) -> bool {
        self.inside.iter().any(|network| network.contains(address))
    }

    fn forget(&mut self, now: Duration) {
        let udp = self.behavior.lifetime;
        self.mappings.retain(|(protocol, _), mapping| {
            let lifetime = match protocol {
                Protocol::Udp => udp,
                Protocol::Tcp => TCP_LIFETIME,
                Protocol::Echo => ECHO_LIFETIME,
            };
            mapping.peers.retain(|_, peer| now.saturating_sub(peer.told) < lifetime);
            mapping.until = mapping.until.filter(|until| now < *until);
            let lives = mapping.until.is_some() || now.saturating_sub(mapping.used) < lifetime;
            if !lives {
                self.keys.remove(&mapping.key);
            }
            lives
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::made;
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(30);
    const ALMOST: Duration = Duration::from_millis(29_999);
    const OPENING: u8 = 0x02;
    const ACKNOWLEDGED: u8 = 0x18;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn behavior(mapping: Dependence, filtering: Dependence, ports: Ports) -> Behavior {
        Behavior {
            mapping: Some(mapping),
            filtering: Some(filtering),
            ports,
            hairpin: false,
            lifetime: LIFETIME,
            out: Out::Everything,
        }
    }

    fn home() -> Behavior {
        behavior(Dependence::Endpoint, Dependence::AddressAndPort, Ports::Preserved)
    }

    /// A router and a clock.
    struct Lab {
        nat: Nat,
        now: Duration,
    }

    impl Lab {
        fn new(behavior: Behavior) -> Self {
            let inside = ["192.168.1.0/24", "2001:db8:a::/64"]
                .map(|text| text.split_once('/').unwrap())
                .map(|(address, bits)| Network(address.parse().unwrap(), bits.parse().unwrap()));
            let nat = Nat::new(behavior, Ipv4Addr::new(198, 51, 100, 9), inside.into(), 7);
            Self { nat, now: Duration::ZERO }
        }

        /// What comes out, with right checksums.
        fn pass(&mut self, bytes: Vec<u8>) -> Option<(Way, Flow)> {
            let (way, bytes) = self.nat.packet(bytes, self.now)?;
            made::assert_sums(&bytes);
            match Packet::parse(bytes)?.content() {
                Content::Flow(flow) => Some((way, flow)),
                Content::Error { about, .. } => Some((way, about)),
            }
        }

        /// The outside address from which a datagram leaves.
        fn sends(&mut self, from: &str, to: &str) -> Option<SocketAddr> {
            let (way, flow) = self.pass(made::udp(socket(from), socket(to), b"hello"))?;
            assert_eq!((way, flow.destination), (Way::Up, socket(to)));
            Some(flow.source)
        }

        /// Where a datagram from outside arrives.
        fn hears(&mut self, from: &str, to: SocketAddr) -> Option<SocketAddr> {
            let (way, flow) = self.pass(made::udp(socket(from), to, b"hello"))?;
            assert_eq!((way, flow.source), (Way::Down, socket(from)));
            Some(flow.destination)
        }

        /// The same with TCP.
        fn segment(&mut self, to: &str, flags: u8, payload: &[u8]) -> bool {
            self.pass(made::tcp(socket(ALICE), socket(to), flags, payload)).is_some()
        }
    }

    const ALICE: &str = "192.168.1.2:4000";
    const CAROL: &str = "192.168.1.3:4000";
    const PEER: &str = "203.0.113.9:5000";
    const ITS_OTHER_PORT: &str = "203.0.113.9:5001";
    const STRANGER: &str = "203.0.113.10:5000";

    #[test]
    fn a_mapping_depends_on_as_much_of_the_peer_as_it_should() {
        for (dependence, other_port, other_address) in [
            (Dependence::Endpoint, false, false),
            (Dependence::Address, false, true),
            (Dependence::AddressAndPort, true, true),
        ] {
            let mut lab = Lab::new(behavior(dependence, Dependence::Endpoint, Ports::Random));
            let first = lab.sends(ALICE, PEER).unwrap();
            assert_eq!(lab.sends(ALICE, PEER), Some(first), "{dependence:?}");
            assert_eq!(lab.sends(ALICE, ITS_OTHER_PORT) != Some(first), other_port, "{dependence:?}");
            assert_eq!(lab.sends(ALICE, STRANGER) != Some(first), other_address, "{dependence:?}");
        }
    }

    #[test]
    fn a_filter_depends_on_as_much_of_the_peer_as_it_should() {
        for (dependence, other_port, other_address) in [
            (Dependence::Endpoint, true, true),
            (Dependence::Address, true, false),
            (Dependence::AddressAndPort, false, false),
        ] {
            let mut lab = Lab::new(behavior(Dependence::Endpoint, dependence, Ports::Preserved));
            let outside = lab.sends(ALICE, PEER).unwrap();
            assert_eq!(lab.hears(PEER, outside), Some(socket(ALICE)));
            assert_eq!(lab.hears(ITS_OTHER_PORT, outside).is_some(), other_port, "{dependence:?}");
            assert_eq!(lab.hears(STRANGER, outside).is_some(), other_address, "{dependence:?}");
        }
    }

    #[test]
    fn ports_are_chosen_as_they_should_be() {
        let mut preserving = Lab::new(home());
        assert_eq!(preserving.sends(ALICE, PEER), Some(socket("198.51.100.9:4000")));
        let second = preserving.sends(CAROL, PEER).unwrap();
        assert_ne!(second.port(), 4000, "it is taken");

        let symmetric = |ports| Lab::new(behavior(Dependence::AddressAndPort, Dependence::Address, ports));
        let steps = |lab: &mut Lab| -> Vec<u16> {
            let ports: Vec<u16> =
                [PEER, ITS_OTHER_PORT, STRANGER].map(|to| lab.sends(ALICE, to).unwrap().port()).into();
            ports.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect()
        };
        assert_eq!(steps(&mut symmetric(Ports::Sequential)), [1, 1]);
        assert_ne!(steps(&mut symmetric(Ports::Random)), [1, 1]);
    }

    #[test]
    fn only_packets_from_inside_keep_a_mapping() {
        let mut lab = Lab::new(home());
        let outside = lab.sends(ALICE, PEER).unwrap();
        lab.now = ALMOST;
        assert!(lab.sends(ALICE, PEER).is_some());
        lab.now = ALMOST * 2;
        assert!(lab.hears(PEER, outside).is_some());
        lab.now = ALMOST + LIFETIME;
        assert_eq!(lab.hears(PEER, outside), None);
    }

    #[test]
    fn a_peer_is_forgotten_while_the_mapping_lives_for_others() {
        let mut lab = Lab::new(home());
        let outside = lab.sends(ALICE, PEER).unwrap();
        lab.now = ALMOST;
        assert_eq!(lab.sends(ALICE, STRANGER), Some(outside));
        lab.now = LIFETIME;
        assert_eq!(lab.hears(PEER, outside), None);
        assert!(lab.hears(STRANGER, outside).is_some());
    }

    #[test]
    fn insiders_meet_by_their_outside_addresses_only_with_hairpinning() {
        for hairpin in [false, true] {
            let mut lab = Lab::new(Behavior { hairpin, filtering: Some(Dependence::Endpoint), ..home() });
            let alice = lab.sends(ALICE, PEER).unwrap();
            let passed = lab.pass(made::udp(socket(CAROL), alice, b""));
            assert_eq!(passed.is_some(), hairpin);
            if let Some((way, flow)) = passed {
                assert_eq!((way, flow.destination), (Way::Down, socket(ALICE)));
                assert_eq!(flow.source.ip(), alice.ip(), "REQ-9: from the outside address");
            }
        }
    }

    #[test]
    fn an_echo_and_an_error_find_their_way_back() {
        let mut lab = Lab::new(home());
        let (alice, peer) = (socket(ALICE), socket(PEER));
        let (_, asked) = lab.pass(made::echo(8, alice.ip(), peer.ip(), 77)).unwrap();
        let (way, answered) =
            lab.pass(made::echo(0, peer.ip(), asked.source.ip(), asked.source.port())).unwrap();
        assert_eq!((way, answered.destination), (Way::Down, SocketAddr::new(alice.ip(), 77)));

        let outside = lab.sends(ALICE, PEER).unwrap();
        let about = made::udp(outside, peer, b"");
        let (way, about) = lab.pass(made::unreachable(peer.ip(), outside.ip(), &about)).unwrap();
        assert_eq!((way, about.source), (Way::Down, alice));
        let about = made::udp(peer, alice, b"");
        let (way, about) = lab.pass(made::unreachable(alice.ip(), peer.ip(), &about)).unwrap();
        assert_eq!((way, about.destination), (Way::Up, outside));
        let strange = made::udp(outside, socket(STRANGER), b"");
        assert_eq!(lab.pass(made::unreachable(peer.ip(), outside.ip(), &strange)), None);
    }

    #[test]
    fn what_may_leave_leaves() {
        for (out, udp, tcp, tls) in [
            (Out::Everything, true, true, true),
            (Out::Tcp, false, true, true),
            (Out::Tls, false, false, true),
            (Out::Nothing, false, false, false),
        ] {
            let mut lab = Lab::new(Behavior { out, ..home() });
            assert_eq!(lab.sends(ALICE, PEER).is_some(), udp, "{out:?}");
            let web = "203.0.113.9:443";
            for to in ["203.0.113.9:3478", web] {
                let passes = lab.segment(to, OPENING, b"") && lab.segment(to, ACKNOWLEDGED, b"GET /");
                assert_eq!(passes, tcp, "{out:?} {to}");
            }
            let passes = lab.segment(web, OPENING, b"") && lab.segment(web, ACKNOWLEDGED, &[22, 3, 1, 0]);
            assert_eq!(passes, tls, "{out:?}");
        }
    }

    #[test]
    fn a_connection_that_it_has_not_seen_begin_does_not_pass() {
        let mut lab = Lab::new(home());
        assert!(!lab.segment(PEER, ACKNOWLEDGED, b"more"));
        assert!(lab.segment(PEER, OPENING, b"") && lab.segment(PEER, ACKNOWLEDGED, b"more"));
        lab.nat.flush();
        assert!(!lab.segment(PEER, ACKNOWLEDGED, b"more"));
    }

    #[test]
    fn another_public_address_replaces_the_old_one() {
        let mut lab = Lab::new(home());
        let old = lab.sends(ALICE, PEER).unwrap();
        lab.nat.renumber(Ipv4Addr::new(198, 51, 100, 10));
        assert_eq!(lab.hears(PEER, old), None);
        assert_eq!(lab.sends(ALICE, PEER), Some(socket("198.51.100.10:4000")));
    }

    #[test]
    fn without_translation_a_firewall_lets_answers_in_and_none_lets_all_in() {
        for (filtering, open) in [(None, true), (Some(Dependence::AddressAndPort), false)] {
            let mut lab = Lab::new(Behavior { mapping: None, filtering, ..home() });
            assert_eq!(lab.hears(STRANGER, socket(ALICE)).is_some(), open);
            assert_eq!(lab.sends(ALICE, PEER), Some(socket(ALICE)));
            assert_eq!(lab.hears(PEER, socket(ALICE)), Some(socket(ALICE)));
            assert_eq!(lab.hears(ITS_OTHER_PORT, socket(ALICE)).is_some(), open);
        }
    }

    #[test]
    fn ipv6_is_filtered_and_never_translated() {
        let (alice, peer) = (socket("[2001:db8:a::2]:4000"), socket("[2001:db8:b::2]:5000"));
        let mut lab = Lab::new(home());
        assert_eq!(lab.nat.packet(made::udp6(peer, alice), lab.now), None);
        let sent = made::udp6(alice, peer);
        assert_eq!(lab.nat.packet(sent.clone(), lab.now), Some((Way::Up, sent)));
        let answer = made::udp6(peer, alice);
        assert_eq!(lab.nat.packet(answer.clone(), lab.now), Some((Way::Down, answer)));
    }
}
