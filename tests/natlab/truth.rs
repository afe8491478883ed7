//! What `diagnose` must say of a kind of network, asked with servers of a kind: as much as those can tell, and no more.
//! Pure.

use super::kind::Kind;

/// Whom `diagnose` may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Our relay, which has two addresses, and nobody else.
    Relay,
    /// Our relay with one address.
    RelayWithOneAddress,
    /// A STUN server with two ports on one address.
    TwoPorts,
    /// Two STUN servers on two addresses that answer from where they are asked.
    Plain,
    /// Nobody who answers.
    Nobody,
}

impl Asked {
    /// Those that know something.
    pub(crate) const ALL: [Self; 4] = [Self::Relay, Self::RelayWithOneAddress, Self::TwoPorts, Self::Plain];

    /// For a heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Relay => "our relay with two addresses, and nobody else",
            Self::RelayWithOneAddress => "our relay with one address, and nobody else",
            Self::TwoPorts => "one STUN server with two ports on one address",
            Self::Plain => "two plain STUN servers",
            Self::Nobody => "nobody who answers",
        }
    }

    fn has_relay(self) -> bool {
        matches!(self, Self::Relay | Self::RelayWithOneAddress)
    }
}

/// The words of `diagnose --json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) verdict: &'static str,
    pub(crate) exit: i32,
    pub(crate) mapping: &'static str,
    pub(crate) filtering: &'static str,
    pub(crate) ports: &'static str,
    pub(crate) cgnat: &'static str,
}

const EI: &str = "endpoint_independent";
const AD: &str = "address_dependent";
const APD: &str = "address_and_port_dependent";
const UNKNOWN: &str = "unknown";

impl Truth {
    /// Of this kind, as far as these servers can tell.
    pub(crate) fn of(kind: Kind, asked: Asked) -> Self {
        let whole = Self::whole(kind);
        let direct = whole.verdict == "direct";
        let (verdict, exit) = match (direct, kind) {
            (true, _) | (_, Kind::Offline) => (whole.verdict, whole.exit),
            _ if asked.has_relay() => ("relay", 10),
            _ => ("relay_missing", 20),
        };
        let translates = !matches!(kind, Kind::Public | Kind::Firewalled);
        let one_address = matches!(asked, Asked::RelayWithOneAddress | Asked::TwoPorts);
        let mapping = match (whole.mapping, asked) {
            // From one address nobody sees whether another one would see the same.
            (EI | AD, _) if one_address && translates => UNKNOWN,
            (AD | APD, Asked::Plain) => "dependent",
            (known, _) => known,
        };
        let filtering = match (whole.filtering, asked) {
            (_, Asked::Plain) => UNKNOWN,
            (EI | AD, _) if one_address => UNKNOWN,
            (known, _) => known,
        };
        Self { verdict, exit, mapping, filtering, ..whole }
    }

    /// With servers that tell everything, and a relay.
    fn whole(kind: Kind) -> Self {
        let (verdict, exit, mapping, filtering, ports) = match kind {
            Kind::Public => ("direct", 0, EI, EI, "preserved"),
            Kind::Firewalled => ("direct", 0, EI, APD, "preserved"),
            Kind::FullCone => ("direct", 0, EI, EI, "preserved"),
            Kind::AddressRestricted => ("direct", 0, EI, AD, "preserved"),
            Kind::PortRestricted | Kind::Cgnat | Kind::Linux => ("direct", 0, EI, APD, "preserved"),
            Kind::Symmetric | Kind::LinuxRandom => ("relay", 10, APD, APD, "random"),
            Kind::SymmetricSequential => ("relay", 10, APD, APD, "sequential"),
            Kind::SymmetricByAddress => ("relay", 10, AD, APD, "random"),
            Kind::UdpBlocked | Kind::TlsOnly => ("relay", 10, UNKNOWN, UNKNOWN, UNKNOWN),
            Kind::Offline => ("offline", 30, UNKNOWN, UNKNOWN, UNKNOWN),
        };
        let cgnat = match kind {
            Kind::Cgnat => "likely",
            Kind::UdpBlocked | Kind::TlsOnly | Kind::Offline => UNKNOWN,
            _ => "no",
        };
        Self { verdict, exit, mapping, filtering, ports, cgnat }
    }
}
