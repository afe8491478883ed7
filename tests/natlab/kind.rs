//! The kinds of access to the Internet, as data, and the rule which path two of them must find. Pure.

use super::model::{Behavior, Dependence, Out, Ports};
use std::time::Duration;

/// How somebody is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Public,
    Firewalled,
    FullCone,
    AddressRestricted,
    PortRestricted,
    Symmetric,
    SymmetricSequential,
    SymmetricByAddress,
    Cgnat,
    UdpBlocked,
    TlsOnly,
    Offline,
    /// The kernel's own NAT.
    Linux,
    /// The same with random ports.
    LinuxRandom,
}

/// One router between a machine and the Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hop {
    /// The laboratory's own.
    Model(Behavior),
    /// nftables' masquerade.
    Kernel { random: bool },
}

/// What the rule asks of a kind.
struct Facts {
    name: &'static str,
    /// UDP leaves.
    udp: bool,
    /// TCP leaves, if only by TLS.
    online: bool,
    /// Its mapping depends on the peer.
    hard: bool,
    /// Its filtering depends on the peer's address and port.
    strict: bool,
    /// It deals its ports out in turn.
    in_turn: bool,
}

/// The path that a call must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    Direct,
    Relay,
    None,
}

/// EIM, APDF, ports preserved: what most homes have.
const HOME: Behavior = Behavior {
    mapping: Some(Dependence::Endpoint),
    filtering: Some(Dependence::AddressAndPort),
    ports: Ports::Preserved,
    hairpin: false,
    lifetime: Duration::from_secs(120),
    out: Out::Everything,
};

impl Kind {
    /// Those that every call is attempted between.
    pub(crate) const MATRIX: [Self; 10] = [
        Self::Public,
        Self::Firewalled,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Symmetric,
        Self::SymmetricByAddress,
        Self::Cgnat,
        Self::UdpBlocked,
        Self::TlsOnly,
    ];

    /// Every kind.
    pub(crate) const ALL: [Self; 14] = [
        Self::Public,
        Self::Firewalled,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Symmetric,
        Self::SymmetricSequential,
        Self::SymmetricByAddress,
        Self::Cgnat,
        Self::UdpBlocked,
        Self::TlsOnly,
        Self::Offline,
        Self::Linux,
        Self::LinuxRandom,
    ];

    /// The routers, the home's own first.
    pub(crate) fn hops(self) -> Vec<Hop> {
        let filters = |filtering| Behavior { filtering: Some(filtering), ..HOME };
        let symmetric = |mapping, ports| Behavior { mapping: Some(mapping), ports, ..HOME };
        let model = match self {
            Self::Public => Behavior { mapping: None, filtering: None, ..HOME },
            Self::Firewalled => Behavior { mapping: None, ..HOME },
            Self::FullCone => filters(Dependence::Endpoint),
            Self::AddressRestricted => filters(Dependence::Address),
            Self::PortRestricted => HOME,
            Self::Symmetric => symmetric(Dependence::AddressAndPort, Ports::Random),
            Self::SymmetricSequential => symmetric(Dependence::AddressAndPort, Ports::Sequential),
            Self::SymmetricByAddress => symmetric(Dependence::Address, Ports::Random),
            // The carrier's as RFC 6888 wants it: endpoint-independent in both.
            Self::Cgnat => return vec![Hop::Model(HOME), Hop::Model(filters(Dependence::Endpoint))],
            Self::UdpBlocked => Behavior { out: Out::Tcp, ..HOME },
            Self::TlsOnly => Behavior { out: Out::Tls, ..HOME },
            Self::Offline => Behavior { out: Out::Nothing, ..HOME },
            Self::Linux => return vec![Hop::Kernel { random: false }],
            Self::LinuxRandom => return vec![Hop::Kernel { random: true }],
        };
        vec![Hop::Model(model)]
    }

    /// As tables name it.
    pub(crate) fn name(self) -> &'static str {
        self.facts().name
    }

    fn facts(self) -> Facts {
        let (name, udp, online, hard, strict) = match self {
            Self::Public => ("public", true, true, false, false),
            Self::Firewalled => ("firewalled", true, true, false, true),
            Self::FullCone => ("full-cone", true, true, false, false),
            Self::AddressRestricted => ("address-restricted", true, true, false, false),
            Self::PortRestricted => ("port-restricted", true, true, false, true),
            Self::Symmetric => ("symmetric", true, true, true, true),
            Self::SymmetricSequential => ("symmetric sequential", true, true, true, true),
            Self::SymmetricByAddress => ("symmetric by address", true, true, true, true),
            Self::Cgnat => ("CGNAT", true, true, false, true),
            Self::UdpBlocked => ("UDP-blocked", false, true, false, true),
            Self::TlsOnly => ("TLS-only", false, true, false, true),
            Self::Offline => ("offline", false, false, false, true),
            Self::Linux => ("Linux", true, true, false, true),
            Self::LinuxRandom => ("Linux, random ports", true, true, true, true),
        };
        Facts { name, udp, online, hard, strict, in_turn: self == Self::SymmetricSequential }
    }
}

/// One end of a scenario.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Side {
    pub(crate) kind: Kind,
    /// How long the outermost router remembers a UDP mapping; `None`: two minutes.
    pub(crate) lifetime: Option<Duration>,
    /// Whether insiders of the outermost router reach each other by their outside addresses.
    pub(crate) hairpin: bool,
    /// Each packet waits so long at the outermost router, in each direction.
    pub(crate) delay: Duration,
    /// The part of all packets that is lost there, 0 to 1.
    pub(crate) loss: f64,
    /// IPv6 too, behind a stateful firewall if the kind has any.
    pub(crate) ipv6: bool,
    /// The home's own router opens ports on request, by PCP and NAT-PMP.
    pub(crate) opens_ports: bool,
}

impl From<Kind> for Side {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            lifetime: None,
            hairpin: false,
            delay: Duration::ZERO,
            loss: 0.0,
            ipv6: false,
            opens_ports: false,
        }
    }
}

/// The rule: UDP at both ends, and not one end whose mapping depends on the peer while the other's filtering depends
/// on its address and port, unless the next port can be guessed. Without that it takes a relay.
pub(crate) fn expected(one: Side, other: Side, relay: bool) -> Path {
    let (a, b) = (one.kind.facts(), other.kind.facts());
    let shuts_out = |hard: &Facts, other: &Facts| hard.hard && other.strict && (other.hard || !hard.in_turn);
    let clash = shuts_out(&a, &b) || shuts_out(&b, &a);
    // IPv6 has no mappings.
    let finds = !clash || (one.ipv6 && other.ipv6);
    if a.udp && b.udp && finds {
        Path::Direct
    } else if relay && a.online && b.online {
        Path::Relay
    } else {
        Path::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_gives_the_paths_that_were_measured() {
        use Kind::*;
        for (one, other, path) in [
            (Public, Symmetric, Path::Direct),
            (FullCone, Symmetric, Path::Direct),
            (AddressRestricted, SymmetricByAddress, Path::Direct),
            (PortRestricted, PortRestricted, Path::Direct),
            (Firewalled, Cgnat, Path::Direct),
            (Firewalled, Symmetric, Path::Relay),
            (PortRestricted, SymmetricByAddress, Path::Relay),
            (Cgnat, LinuxRandom, Path::Relay),
            (Symmetric, SymmetricSequential, Path::Relay),
            (SymmetricSequential, SymmetricSequential, Path::Relay),
            (PortRestricted, SymmetricSequential, Path::Direct),
            (Public, UdpBlocked, Path::Relay),
            (TlsOnly, TlsOnly, Path::Relay),
            (Public, Offline, Path::None),
        ] {
            for (a, b) in [(one, other), (other, one)] {
                assert_eq!(expected(a.into(), b.into(), true), path, "{a:?} {b:?}");
                let without = if path == Path::Relay { Path::None } else { path };
                assert_eq!(expected(a.into(), b.into(), false), without, "{a:?} {b:?}");
            }
        }
        let both = |kind: Kind| Side { ipv6: true, ..kind.into() };
        assert_eq!(expected(both(Symmetric), both(Symmetric), true), Path::Direct);
        assert_eq!(expected(both(Symmetric), Symmetric.into(), true), Path::Relay);
    }
}
