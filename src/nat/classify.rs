//! PURE: what servers saw -> what the NAT does, in the words of RFC 4787. Says "unknown" wherever the observations
//! do not tell. Knows no packet.

use crate::code::network::{Filtering, Mapping, Ports};
use std::net::{IpAddr, SocketAddr};

/// How one server saw the one socket that asked them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// The server.
    pub server: SocketAddr,
    /// Our address as seen from there.
    pub mapped: SocketAddr,
}

/// What became of a packet that a server sent from somewhere else than where it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrival {
    /// Nobody could be asked to send it.
    #[default]
    Untested,
    /// It came.
    Came,
    /// It did not, though answers from where was asked did.
    Kept,
}

/// RFC 5780 §4.4: two packets that nobody asked for, to a socket that has only ever written to one address and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FilterTest {
    /// From another address.
    pub other_address: Arrival,
    /// From the same address, another port.
    pub other_port: Arrival,
}

/// RFC 5780 §4.3, told by any set of servers: the observations are all of one socket, `local` are this machine's
/// addresses.
pub fn mapping(local: &[IpAddr], observations: &[Observation]) -> Mapping {
    let Some(first) = observations.first() else { return Mapping::Unknown };
    if observations.iter().all(|one| local.contains(&one.mapped.ip())) {
        return Mapping::None;
    }
    let differ = |near: fn(&Observation, &Observation) -> bool| {
        pairs(observations).any(|(one, other)| near(one, other) && one.mapped != other.mapped)
    };
    let seen = |near: fn(&Observation, &Observation) -> bool| {
        pairs(observations).any(|(one, other)| near(one, other))
    };
    if differ(same_address_other_port) {
        return Mapping::AddressAndPortDependent;
    }
    if differ(other_address) {
        return match seen(same_address_other_port) {
            true => Mapping::AddressDependent,
            false => Mapping::Dependent,
        };
    }
    let addresses_differ = observations.iter().any(|one| one.server.ip() != first.server.ip());
    if addresses_differ { Mapping::EndpointIndependent } else { Mapping::Unknown }
}

fn pairs(all: &[Observation]) -> impl Iterator<Item = (&Observation, &Observation)> {
    all.iter().enumerate().flat_map(|(at, one)| all.iter().skip(at + 1).map(move |other| (one, other)))
}

fn same_address_other_port(one: &Observation, other: &Observation) -> bool {
    one.server.ip() == other.server.ip() && one.server.port() != other.server.port()
}

fn other_address(one: &Observation, other: &Observation) -> bool {
    one.server.ip() != other.server.ip()
}

/// RFC 5780 §4.4. `None` where packets from another port of the same address come in, and nobody could send from
/// another address: then it is one of the two milder kinds.
pub fn filtering(test: FilterTest) -> Option<Filtering> {
    match (test.other_address, test.other_port) {
        (Arrival::Came, _) => Some(Filtering::EndpointIndependent),
        (Arrival::Kept, Arrival::Came) => Some(Filtering::AddressDependent),
        (_, Arrival::Kept) => Some(Filtering::AddressAndPortDependent),
        (Arrival::Untested, Arrival::Came) => None,
        (_, Arrival::Untested) => Some(Filtering::Unknown),
    }
}

/// Mapped ports that lie so close together were dealt out in turn: for chance, 65,536 ports are too many.
const CLOSE: u32 = 64;
/// RFC 4787 §4.2.1, from several sockets' first mappings: (local port, mapped port) each.
pub fn ports(samples: &[(u16, u16)]) -> Ports {
    if samples.len() < 3 {
        return Ports::Unknown;
    }
    let kept = samples.iter().filter(|(local, mapped)| local == mapped).count();
    // One port may have been taken by somebody else.
    if kept + 1 >= samples.len() && kept >= 3 {
        return Ports::Preserved;
    }
    let mapped = || samples.iter().map(|(_, mapped)| u32::from(*mapped));
    let span = mapped().max().unwrap_or(0) - mapped().min().unwrap_or(0);
    if span <= CLOSE { Ports::Sequential } else { Ports::Random }
}

/// The same from what several servers saw of one socket whose port is another one for each.
pub fn dealt(observations: &[Observation]) -> Ports {
    let mapped = || observations.iter().map(|one| u32::from(one.mapped.port()));
    let (Some(least), Some(most)) = (mapped().min(), mapped().max()) else { return Ports::Unknown };
    match most - least {
        0 => Ports::Unknown,
        1..=CLOSE => Ports::Sequential,
        _ => Ports::Random,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2))];

    /// `server -> mapped`, separated by commas.
    fn check(observations: &str, expect: Mapping) {
        let address = |text: &str| -> SocketAddr { text.trim().parse().unwrap() };
        let observations: Vec<_> = observations
            .split(',')
            .filter(|one| !one.is_empty())
            .map(|one| {
                let (server, mapped) = one.split_once("->").unwrap();
                Observation { server: address(server), mapped: address(mapped) }
            })
            .collect();
        assert_eq!(mapping(&HOME, &observations), expect, "{observations:?}");
    }

    #[test]
    fn mapping_is_told_from_whatever_was_seen_and_no_further() {
        use Mapping::{
            AddressAndPortDependent, AddressDependent, Dependent, EndpointIndependent, None, Unknown,
        };
        for (observations, expect) in [
            ("", Unknown),
            ("1.1.1.1:1->9.9.9.9:7", Unknown),
            ("1.1.1.1:1->10.0.0.2:7", None),
            ("1.1.1.1:1->9.9.9.9:7, 2.2.2.2:1->9.9.9.9:7", EndpointIndependent),
            ("1.1.1.1:1->9.9.9.9:7, 2.2.2.2:1->9.9.9.9:8", Dependent),
            ("1.1.1.1:1->9.9.9.9:7, 1.1.1.1:2->9.9.9.9:7", Unknown),
            ("1.1.1.1:1->9.9.9.9:7, 1.1.1.1:2->9.9.9.9:8", AddressAndPortDependent),
            (
                "1.1.1.1:1->9.9.9.9:7, 1.1.1.1:2->9.9.9.9:7, 2.2.2.2:1->9.9.9.9:8, 2.2.2.2:2->9.9.9.9:8",
                AddressDependent,
            ),
            ("1.1.1.1:1->9.9.9.9:7, 2.2.2.2:1->9.9.9.9:8, 2.2.2.2:2->9.9.9.9:9", AddressAndPortDependent),
            // A NAT with several public addresses that does not pair them.
            ("1.1.1.1:1->9.9.9.9:7, 2.2.2.2:1->9.9.9.8:7", Dependent),
        ] {
            check(observations, expect);
        }
    }

    #[test]
    fn filtering_is_told_from_what_came_and_what_was_kept() {
        use Arrival::{Came, Kept, Untested};
        for (other_address, other_port, expect) in [
            (Came, Came, Some(Filtering::EndpointIndependent)),
            (Came, Untested, Some(Filtering::EndpointIndependent)),
            (Kept, Came, Some(Filtering::AddressDependent)),
            (Kept, Kept, Some(Filtering::AddressAndPortDependent)),
            (Untested, Kept, Some(Filtering::AddressAndPortDependent)),
            (Untested, Came, None),
            (Kept, Untested, Some(Filtering::Unknown)),
            (Untested, Untested, Some(Filtering::Unknown)),
        ] {
            assert_eq!(filtering(FilterTest { other_address, other_port }), expect);
        }
    }

    #[test]
    fn ports_are_never_told_from_one_sample() {
        for (samples, expect) in [
            (&[][..], Ports::Unknown),
            (&[(5000, 5000), (5001, 5001)], Ports::Unknown),
            (&[(5000, 5000), (7001, 7001), (6002, 6002)], Ports::Preserved),
            (&[(5000, 5000), (7001, 7001), (6002, 6002), (8000, 1025)], Ports::Preserved),
            (&[(5000, 2000), (7001, 2001), (6002, 2004)], Ports::Sequential),
            (&[(5000, 2004), (7001, 2002), (6002, 2000)], Ports::Sequential),
            (&[(5000, 20_000), (7001, 2001), (6002, 40_004)], Ports::Random),
        ] {
            assert_eq!(ports(samples), expect, "{samples:?}");
        }
    }
}
