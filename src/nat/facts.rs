//! Everything a diagnosis has measured, as plain values, and what follows from it. Only values: how each came about is
//! `run`'s, how it is said is `report`'s.

use super::classify::{self, Arrival, FilterTest, Observation};
use super::portmap::Attempt;
use super::probe::Findings;
use super::probe::lifetime::Lifetime;
use crate::code::network::{Cgnat, Filtering, Ipv6, Mapping, NetworkSummary, Ports, RelayWorks, Udp};
use crate::transport::interfaces::Interface;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// TCP ports that are tried, the likeliest to be open first.
pub const TCP_PORTS: [u16; 3] = [443, 80, 3478];

/// What came of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Not tried.
    #[default]
    Untested,
    /// Connected.
    Open,
    /// A refusal came back: nobody listens there, or a firewall says no.
    Refused,
    /// Nothing came back.
    Silent,
}

impl Reach {
    /// True, false or, where the answer could mean both, unknown.
    pub fn known(self) -> Option<bool> {
        match self {
            Self::Open => Some(true),
            Self::Silent => Some(false),
            Self::Refused | Self::Untested => None,
        }
    }

    /// Whether anything at all answered.
    pub fn answered(self) -> bool {
        matches!(self, Self::Open | Self::Refused)
    }

    /// The better of two tries.
    #[must_use]
    pub fn best(self, other: Self) -> Self {
        let rank = |reach| match reach {
            Self::Open => 3,
            Self::Refused => 2,
            Self::Silent => 1,
            Self::Untested => 0,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

/// Names that were looked up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dns {
    /// Those that have an address.
    pub found: Vec<String>,
    /// Those that have none.
    pub missing: Vec<String>,
}

/// What a page that is known to be empty turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Portal {
    /// Nobody was asked.
    #[default]
    Untested,
    /// Empty, as it should be.
    None,
    /// Somebody in between answers instead.
    Present,
    /// Nothing came.
    Silent,
}

/// One relay by one transport.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RelayTry {
    /// It works.
    pub ok: bool,
    /// How long it took to answer, in milliseconds.
    pub rtt_ms: Option<f64>,
    /// Why it does not.
    pub error: Option<String>,
}

/// One configured relay.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RelayFinding {
    /// Its link without the secret.
    pub link: String,
    /// Its host, for a sentence.
    pub host: String,
    /// By UDP, where that was tried.
    pub udp: Option<RelayTry>,
    /// By TCP.
    pub tcp: Option<RelayTry>,
    /// By TLS.
    pub tls: Option<RelayTry>,
    /// Fraction of packets through it that were lost.
    pub loss: Option<f64>,
    /// Mean difference of consecutive round-trip times.
    pub jitter_ms: Option<f64>,
    /// Login, allocation and an echo through it: `None` if there was no time.
    pub carries: Option<bool>,
    /// What was wrong, if anything, in words.
    pub trouble: Option<String>,
}

impl RelayFinding {
    /// Whether calls get through it.
    pub fn works(&self) -> bool {
        self.carries == Some(true)
    }

    fn reached(way: Option<&RelayTry>) -> bool {
        way.is_some_and(|way| way.ok)
    }
}

/// What a relay has shown that served as a helper outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outside {
    /// Filtering.
    pub filter: FilterTest,
    /// How servers and the relayed address saw one socket.
    pub observations: Vec<Observation>,
}

/// A router on the way out, by its distance; `None` where nobody answered.
pub type Hop = Option<Ipv4Addr>;

/// All of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// This machine's addresses.
    pub interfaces: Vec<Interface>,
    /// The first router.
    pub gateway: Option<Ipv4Addr>,
    /// The largest packet that the interface of the default route takes.
    pub mtu: Option<u32>,
    /// Names.
    pub dns: Dns,
    /// UDP over IPv4, where there is an address.
    pub v4: Option<Findings>,
    /// UDP over IPv6, where there is a global address.
    pub v6: Option<Findings>,
    /// TCP, in the order of [`TCP_PORTS`].
    pub tcp: [Reach; TCP_PORTS.len()],
    /// A whole TLS handshake on port 443.
    pub tls: Reach,
    /// A page that should be empty.
    pub portal: Portal,
    /// What a relay has shown of the NAT, for want of better servers.
    pub outside: Option<Outside>,
    /// The relays.
    pub relays: Vec<RelayFinding>,
    /// By whom they are reached over TCP and TLS, if not directly; without its password.
    pub proxy: Option<String>,
    /// Port mapping.
    pub portmap: Vec<Attempt>,
    /// The first routers on the way out.
    pub hops: Vec<Hop>,
    /// How long mappings last, where that was measured.
    pub lifetime: Option<Lifetime>,
}

/// What follows from the facts about the address translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Nat {
    /// Whether there is any; `None`: unknown.
    pub present: Option<bool>,
    /// How many in a row.
    pub count: Option<u8>,
    /// Mapping behavior.
    pub mapping: Mapping,
    /// Filtering behavior.
    pub filtering: Filtering,
    /// Packets from another port of a known address come in, though more is not known.
    pub lets_other_ports_in: bool,
    /// Port allocation.
    pub ports: Ports,
    /// Hairpinning.
    pub hairpin: Option<bool>,
    /// Seconds a mapping lasts, at least.
    pub lifetime: Option<u64>,
    /// The provider's own translation.
    pub cgnat: Cgnat,
}

impl Facts {
    /// The interface of the default route, over IPv4 if there is one.
    pub fn route(&self) -> Option<&Interface> {
        let all = || self.interfaces.iter().filter(|one| one.default_route);
        all().find(|one| one.address.is_ipv4()).or_else(|| all().next())
    }

    /// Whether anything outside this machine's own network answered.
    pub fn online(&self) -> bool {
        self.udp4() == Some(true)
            || self.udp6() == Some(true)
            || self.tcp.iter().any(|reach| reach.answered())
            || self.tls.answered()
            || self.relays.iter().any(|relay| {
                [&relay.udp, &relay.tcp, &relay.tls]
                    .into_iter()
                    .any(|way| RelayFinding::reached(way.as_ref()))
            })
    }

    /// UDP over IPv4: whether anything came back; `None` if nobody could be asked.
    pub fn udp4(&self) -> Option<bool> {
        answered(self.v4.as_ref())
    }

    /// UDP over IPv6.
    pub fn udp6(&self) -> Option<bool> {
        answered(self.v6.as_ref())
    }

    /// Whether TCP in any form gets out.
    pub fn tcp_out(&self) -> bool {
        self.tcp.iter().any(|reach| reach.answered()) || self.tls == Reach::Open
    }

    /// A relay that works, and by what.
    pub fn relay_works(&self) -> RelayWorks {
        let working = || self.relays.iter().filter(|relay| relay.works());
        if working().any(|relay| RelayFinding::reached(relay.udp.as_ref())) {
            return RelayWorks::Udp;
        }
        let untold = self.relays.iter().any(|relay| relay.carries.is_none());
        match (working().next(), untold) {
            (Some(_), _) => RelayWorks::Stream,
            (None, true) => RelayWorks::Unknown,
            (None, false) => RelayWorks::None,
        }
    }

    /// The address translation.
    pub fn nat(&self) -> Nat {
        let Some(v4) = self.v4.as_ref() else { return Nat::default() };
        let local: Vec<IpAddr> = self.interfaces.iter().map(|one| one.address).collect();
        let mapping = self.best_mapping(&local, v4);
        let filter = self.best_filter(v4.filter);
        let filtering = classify::filtering(filter);
        let present = v4.mapped().map(|mapped| !local.contains(&mapped.ip()));
        let told = self.portmap.iter().find_map(Attempt::external);
        let (cgnat, count) = match present {
            Some(true) => self.layers(v4.mapped(), told),
            Some(false) => (Cgnat::No, Some(0)),
            None => (Cgnat::Unknown, None),
        };
        Nat {
            present,
            count,
            mapping,
            filtering: filtering.unwrap_or_default(),
            lets_other_ports_in: filter.other_port == Arrival::Came,
            ports: if present == Some(false) { Ports::Preserved } else { classify::ports(&v4.samples) },
            hairpin: v4.hairpin,
            lifetime: self.lifetime.and_then(|lifetime| lifetime.alive),
            cgnat,
        }
    }

    /// A relay helps where servers do not tell.
    fn best_mapping(&self, local: &[IpAddr], v4: &Findings) -> Mapping {
        let seen = self.outside.as_ref().map(|outside| classify::mapping(local, &outside.observations));
        match (classify::mapping(local, &v4.observations), seen) {
            (Mapping::Unknown, Some(seen)) => seen,
            (
                Mapping::Dependent,
                Some(exact @ (Mapping::AddressDependent | Mapping::AddressAndPortDependent)),
            ) => exact,
            (known, _) => known,
        }
    }

    fn best_filter(&self, filter: FilterTest) -> FilterTest {
        let helped = self.outside.as_ref().map(|outside| outside.filter).unwrap_or_default();
        let or = |told, helped| if told == Arrival::Untested { helped } else { told };
        FilterTest {
            other_address: or(filter.other_address, helped.other_address),
            other_port: or(filter.other_port, helped.other_port),
        }
    }

    /// What the router says its outer address is decides; else the addresses of the first routers.
    fn layers(&self, mapped: Option<SocketAddr>, told: Option<Ipv4Addr>) -> (Cgnat, Option<u8>) {
        if let (Some(told), Some(mapped)) = (told, mapped) {
            return match mapped.ip() == IpAddr::V4(told) {
                true => (Cgnat::No, Some(1)),
                false if is_shared(told) => (Cgnat::Yes, Some(2)),
                // Two routers of one's own look like this too.
                false => (Cgnat::Likely, Some(2)),
            };
        }
        let beyond: Vec<Ipv4Addr> = self.hops.iter().skip(1).flatten().copied().collect();
        if beyond.iter().any(|hop| is_shared(*hop)) {
            return (Cgnat::Likely, Some(2));
        }
        match self.hops.get(1) {
            Some(Some(second)) if !second.is_private() => (Cgnat::No, Some(1)),
            _ => (Cgnat::Unknown, None),
        }
    }

    /// What a friend's prediction needs.
    pub fn summary(&self) -> NetworkSummary {
        let nat = self.nat();
        let filtering = match nat.filtering {
            // To a prediction the two milder kinds are the same.
            Filtering::Unknown if nat.lets_other_ports_in => Filtering::AddressDependent,
            known => known,
        };
        NetworkSummary {
            mapping: nat.mapping,
            filtering,
            ports: nat.ports,
            udp: match self.udp4() {
                Some(true) => Udp::Open,
                Some(false) => Udp::Blocked,
                None => Udp::Unknown,
            },
            ipv6: match (self.udp6(), &self.v6) {
                (Some(true), _) => Ipv6::Works,
                (None, Some(_)) => Ipv6::Unknown,
                (Some(false), _) | (None, None) => Ipv6::None,
            },
            cgnat: nat.cgnat,
            relay: self.relay_works(),
        }
    }
}

fn answered(findings: Option<&Findings>) -> Option<bool> {
    findings.filter(|findings| !findings.servers.is_empty()).map(Findings::udp)
}

/// RFC 6598: the addresses between a carrier's NAT and its customers.
pub fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && (64..128).contains(&second)
}
