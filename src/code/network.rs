//! The offerer's network in 16 bits: what a friend's p2pcall needs to predict which path there will be.
//!
//! Every field has an "unknown", which is 0, so that a summary of nothing is 0. Knows nothing of how any of it is
//! measured.
//!
//! ```text
//!  15 14 13 | 12 11 |  10 9 |  8 7 |  6 5 |  4 3  |  2 1  | 0
//!  mapping  | filt. | ports | udp  | ipv6 | cgnat | relay | reserved, 0
//! ```

/// Defines a field as an enum whose order is its number in the summary, with the word for it in JSON.
macro_rules! field {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum $name {
            /// Not tested, or said in a way this version does not know.
            #[default]
            Unknown,
            $($(#[$value_doc])* $value,)+
        }

        impl $name {
            const ALL: &[Self] = &[Self::Unknown, $(Self::$value,)+];

            fn from_bits(bits: u16) -> Self {
                Self::ALL.get(usize::from(bits)).copied().unwrap_or_default()
            }

            /// The word in JSON and on the screen.
            pub fn word(self) -> &'static str {
                match self {
                    Self::Unknown => "unknown",
                    $(Self::$value => $word,)+
                }
            }
        }
    };
}

field! {
    /// RFC 4787 §4.1: which public port the next destination sees.
    Mapping {
        /// No translation: the mapped address is a local one.
        None = "none",
        /// The same for every destination.
        EndpointIndependent = "endpoint_independent",
        /// Another for another address.
        AddressDependent = "address_dependent",
        /// Another for another address or port ("symmetric NAT").
        AddressAndPortDependent = "address_and_port_dependent",
        /// One of the two above.
        Dependent = "dependent",
    }
}

field! {
    /// RFC 4787 §5: whose packets come in.
    Filtering {
        /// Anybody's.
        EndpointIndependent = "endpoint_independent",
        /// Those of an address that was sent to.
        AddressDependent = "address_dependent",
        /// Those of an address and port that was sent to.
        AddressAndPortDependent = "address_and_port_dependent",
    }
}

field! {
    /// RFC 4787 §4.2: how public ports are chosen.
    Ports {
        /// The local port's number.
        Preserved = "preserved",
        /// Small steps.
        Sequential = "sequential",
        /// No rule seen.
        Random = "random",
    }
}

field! {
    /// Whether UDP gets out.
    Udp {
        /// It does.
        Open = "open",
        /// Nothing came back.
        Blocked = "blocked",
    }
}

field! {
    /// Whether global IPv6 works.
    Ipv6 {
        /// A server answered over it.
        Works = "works",
        /// There is none, or nothing came back.
        None = "none",
    }
}

field! {
    /// Whether the provider translates addresses too.
    Cgnat {
        /// The outermost router's address is the public one.
        No = "no",
        /// A hop in 100.64/10.
        Likely = "likely",
        /// The router told.
        Yes = "yes",
    }
}

field! {
    /// Whether a configured relay works from here.
    RelayWorks {
        /// Over UDP.
        Udp = "udp",
        /// Only over TCP or TLS.
        Stream = "tcp_or_tls",
        /// None is configured, or none works.
        None = "none",
    }
}

field! {
    /// What a reply says of the answerer's NAT, in the two bits that it has for it.
    Shown {
        /// The same address to every peer.
        Alike = "alike",
        /// Another port to each peer, the next one in turn.
        InTurn = "in_turn",
        /// Another port to each peer.
        Differently = "differently",
    }
}

impl Shown {
    /// Of a whole summary.
    pub fn of(network: NetworkSummary) -> Self {
        match (network.mapping, network.ports) {
            (Mapping::Unknown, _) => Self::Unknown,
            (Mapping::None | Mapping::EndpointIndependent, _) => Self::Alike,
            (_, Ports::Sequential) => Self::InTurn,
            _ => Self::Differently,
        }
    }

    /// As it stands in a reply.
    pub fn to_bits(self) -> u8 {
        self as u8
    }

    /// Any two bits mean something.
    pub fn of_bits(bits: u8) -> Self {
        Self::from_bits(bits.into())
    }

    /// As much of a summary as it tells.
    pub fn summary(self) -> NetworkSummary {
        let (mapping, ports) = match self {
            Self::Unknown => (Mapping::Unknown, Ports::Unknown),
            Self::Alike => (Mapping::EndpointIndependent, Ports::Unknown),
            Self::InTurn => (Mapping::Dependent, Ports::Sequential),
            Self::Differently => (Mapping::Dependent, Ports::Random),
        };
        let udp = if self == Self::Unknown { Udp::Unknown } else { Udp::Open };
        NetworkSummary { mapping, ports, udp, ..NetworkSummary::default() }
    }
}

/// The offerer's network; the default is "all unknown".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NetworkSummary {
    /// Mapping behavior.
    pub mapping: Mapping,
    /// Filtering behavior.
    pub filtering: Filtering,
    /// Port assignment.
    pub ports: Ports,
    /// UDP to the outside.
    pub udp: Udp,
    /// IPv6 to the outside.
    pub ipv6: Ipv6,
    /// Carrier-grade NAT.
    pub cgnat: Cgnat,
    /// The offerer's relays.
    pub relay: RelayWorks,
}

impl NetworkSummary {
    /// As it stands in an offer.
    pub fn to_bits(self) -> u16 {
        (self.mapping as u16) << 13
            | (self.filtering as u16) << 11
            | (self.ports as u16) << 9
            | (self.udp as u16) << 7
            | (self.ipv6 as u16) << 5
            | (self.cgnat as u16) << 3
            | (self.relay as u16) << 1
    }

    /// Values without a meaning are unknown; the reserved bit is ignored.
    pub fn from_bits(bits: u16) -> Self {
        Self {
            mapping: Mapping::from_bits(bits >> 13 & 7),
            filtering: Filtering::from_bits(bits >> 11 & 3),
            ports: Ports::from_bits(bits >> 9 & 3),
            udp: Udp::from_bits(bits >> 7 & 3),
            ipv6: Ipv6::from_bits(bits >> 5 & 3),
            cgnat: Cgnat::from_bits(bits >> 3 & 3),
            relay: RelayWorks::from_bits(bits >> 1 & 3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knowing_nothing_is_zero() {
        assert_eq!(NetworkSummary::default().to_bits(), 0);
        assert_eq!(NetworkSummary::from_bits(0), NetworkSummary::default());
    }

    #[test]
    fn any_16_bits_are_a_summary_that_reads_back_the_same() {
        for bits in 0..=u16::MAX {
            let summary = NetworkSummary::from_bits(bits);
            assert_eq!(NetworkSummary::from_bits(summary.to_bits()), summary, "{bits:016b}");
        }
    }

    #[test]
    fn what_a_reply_says_survives_its_two_bits() {
        for bits in 0..4 {
            let shown = Shown::of_bits(bits);
            assert_eq!((shown.to_bits(), Shown::of(shown.summary())), (bits, shown));
        }
    }

    #[test]
    fn each_field_has_its_own_bits() {
        let summary = NetworkSummary {
            mapping: Mapping::AddressAndPortDependent,
            filtering: Filtering::AddressDependent,
            ports: Ports::Random,
            udp: Udp::Open,
            ipv6: Ipv6::None,
            cgnat: Cgnat::Yes,
            relay: RelayWorks::Stream,
        };
        assert_eq!(summary.to_bits(), 4 << 13 | 2 << 11 | 3 << 9 | 1 << 7 | 2 << 5 | 3 << 3 | 2 << 1);
        assert_eq!(NetworkSummary::from_bits(summary.to_bits()), summary);
    }
}
