//! PURE: what gathering has learnt in passing -> as much of this end's network as that tells. Nothing is measured for
//! it and nobody waits for it: most of it stays unknown.

use super::classify::{self, Observation};
use super::meet::Ours;
use crate::call::event::{PathKind, Protocol};
use crate::code::network::{Ipv6, Mapping, NetworkSummary, Ports, RelayWorks, Udp};
use crate::config::NetworkConfig;
use crate::transport::candidate::Sighting;
use crate::transport::interfaces::is_public;
use crate::transport::{Gathered, ServerName, ServerProblem};
use std::net::{IpAddr, SocketAddr};

/// How long servers had to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// Who has not answered yet may still do so.
    Briefly,
    /// Longer than any server needs.
    Long,
}

/// This end, as far as it is known.
pub fn ours(gathered: &Gathered, config: &NetworkConfig, waited: Waited) -> Ours {
    // Relayed candidates only: nobody is to learn what the network behind them is like.
    if config.no_servers || config.relay_only {
        let relay = if config.relay_only { relay(gathered, config) } else { RelayWorks::Unknown };
        return Ours { network: NetworkSummary { relay, ..NetworkSummary::default() }, ..Ours::default() };
    }
    let local: Vec<IpAddr> = hosts(gathered).map(|host| host.ip()).collect();
    let seen = of_the_default_route(gathered);
    let observations: Vec<Observation> =
        seen.iter().map(|one| Observation { server: one.server, mapped: one.mapped }).collect();
    let mapped = seen.first().and_then(|one| match one.mapped.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    let mapping = mapping(&local, &observations);
    let network = NetworkSummary {
        mapping,
        ports: ports(mapping, &observations),
        udp: udp(gathered, waited),
        ipv6: ipv6(gathered),
        relay: relay(gathered, config),
        ..NetworkSummary::default()
    };
    Ours { network, local, mapped }
}

/// How the NAT shows this end's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The socket's own address.
    pub base: SocketAddr,
    /// Where a server saw it.
    pub mapped: SocketAddr,
    /// Each peer sees another port.
    pub hard: bool,
}

/// How the NAT of the IPv4 default route shows this end, where two servers have told.
pub fn shown(gathered: &Gathered, config: &NetworkConfig) -> Option<Shown> {
    if config.no_servers || config.relay_only {
        return None;
    }
    let first = *of_the_default_route(gathered).first()?;
    let hard = match ours(gathered, config, Waited::Briefly).network.mapping {
        Mapping::Unknown => return None,
        Mapping::None | Mapping::EndpointIndependent => false,
        Mapping::AddressDependent | Mapping::AddressAndPortDependent | Mapping::Dependent => true,
    };
    Some(Shown { base: first.base, mapped: first.mapped, hard })
}

fn hosts(gathered: &Gathered) -> impl Iterator<Item = SocketAddr> {
    let hosts = gathered.candidates.iter().filter(|one| one.kind == PathKind::Host);
    hosts.map(|host| host.address)
}

/// How servers saw the socket of the IPv4 default route, or of whatever was seen.
fn of_the_default_route(gathered: &Gathered) -> Vec<Sighting> {
    let four = || gathered.sightings.iter().filter(|one| one.base.is_ipv4());
    let is_default = |base: SocketAddr| {
        gathered
            .candidates
            .iter()
            .any(|one| one.default_route && one.kind == PathKind::Host && one.base == base)
    };
    let base = four()
        .map(|one| one.base)
        .find(|base| is_default(*base))
        .or_else(|| four().map(|one| one.base).next());
    four().filter(|one| Some(one.base) == base).copied().collect()
}

fn mapping(local: &[IpAddr], observations: &[Observation]) -> Mapping {
    let public = observations.is_empty() && local.iter().any(|own| own.is_ipv4() && is_public(*own));
    if public { Mapping::None } else { classify::mapping(local, observations) }
}

/// The ports that a NAT has dealt out to one socket, where they differ.
fn ports(mapping: Mapping, observations: &[Observation]) -> Ports {
    let hides =
        matches!(mapping, Mapping::Dependent | Mapping::AddressDependent | Mapping::AddressAndPortDependent);
    if hides { classify::dealt(observations) } else { Ports::Unknown }
}

/// Blocked is said only where something else got out to tell the difference.
fn udp(gathered: &Gathered, waited: Waited) -> Udp {
    let relayed = |wanted: fn(Protocol) -> bool| {
        gathered.candidates.iter().any(|one| one.relay.is_some_and(|path| wanted(path.protocol)))
    };
    let silent = gathered
        .failures
        .iter()
        .any(|one| matches!((&one.server, &one.problem), (ServerName::Stun(_), ServerProblem::Silent(_))));
    if !gathered.sightings.is_empty() || relayed(|protocol| protocol == Protocol::Udp) {
        Udp::Open
    } else if waited == Waited::Long && silent && relayed(|protocol| protocol != Protocol::Udp) {
        Udp::Blocked
    } else {
        Udp::Unknown
    }
}

fn ipv6(gathered: &Gathered) -> Ipv6 {
    let global = hosts(gathered).any(|host| host.is_ipv6() && is_public(host.ip()));
    match (global, gathered.sightings.iter().any(|one| one.base.is_ipv6())) {
        (_, true) => Ipv6::Works,
        (true, false) => Ipv6::Unknown,
        (false, false) => Ipv6::None,
    }
}

fn relay(gathered: &Gathered, config: &NetworkConfig) -> RelayWorks {
    let protocols = || gathered.candidates.iter().filter_map(|one| one.relay).map(|path| path.protocol);
    // One that is merely silent may be slow.
    let refused = gathered.failures.iter().filter(|one| {
        matches!(one.server, ServerName::Relay(_)) && !matches!(one.problem, ServerProblem::Silent(_))
    });
    let failed = refused.count();
    if protocols().any(|protocol| protocol == Protocol::Udp) {
        RelayWorks::Udp
    } else if protocols().next().is_some() {
        RelayWorks::Stream
    } else if config.relays.len() <= failed {
        RelayWorks::None
    } else {
        RelayWorks::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::turn::Taken;
    use crate::transport::{LocalCandidate, RelayPath};

    fn candidate(kind: PathKind, address: &str, protocol: Option<Protocol>) -> LocalCandidate {
        let address: SocketAddr = address.parse().unwrap();
        LocalCandidate {
            kind,
            address,
            base: address,
            default_route: true,
            bridge: false,
            lonely: false,
            relay: protocol.map(|protocol| RelayPath {
                link: 0,
                server: address,
                protocol,
                from: None,
                taken: Taken::default(),
            }),
        }
    }

    fn gathered(sightings: &[(&str, &str, &str)], candidates: Vec<LocalCandidate>) -> Gathered {
        let address = |text: &str| text.parse().unwrap();
        Gathered {
            candidates,
            sightings: sightings
                .iter()
                .map(|(base, server, mapped)| Sighting {
                    base: address(base),
                    server: address(server),
                    mapped: address(mapped),
                })
                .collect(),
            failures: Vec::new(),
        }
    }

    fn home() -> LocalCandidate {
        candidate(PathKind::Host, "192.168.1.5:4000", None)
    }

    #[test]
    fn two_servers_tell_the_mapping_and_one_does_not() {
        let one = ("192.168.1.5:4000", "1.1.1.1:3478", "9.9.9.9:4000");
        for (sightings, expect) in [
            (&[][..], Mapping::Unknown),
            (&[one], Mapping::Unknown),
            (&[one, ("192.168.1.5:4000", "2.2.2.2:3478", "9.9.9.9:4000")], Mapping::EndpointIndependent),
            (&[one, ("192.168.1.5:4000", "2.2.2.2:3478", "9.9.9.9:4001")], Mapping::Dependent),
            // Another socket's mapping says nothing about this one's.
            (&[one, ("10.8.0.2:4000", "2.2.2.2:3478", "9.9.9.9:4001")], Mapping::Unknown),
        ] {
            let found = ours(&gathered(sightings, vec![home()]), &NetworkConfig::default(), Waited::Long);
            assert_eq!(found.network.mapping, expect, "{sightings:?}");
            let udp = if sightings.is_empty() { Udp::Unknown } else { Udp::Open };
            assert_eq!((found.network.udp, found.network.ipv6), (udp, Ipv6::None));
            assert_eq!(found.network.relay, RelayWorks::None, "none is configured");
        }
    }

    #[test]
    fn what_a_nat_shows_is_known_by_two_servers() {
        let one = ("192.168.1.5:4000", "1.1.1.1:3478", "9.9.9.9:4000");
        let (same, other) = (
            ("192.168.1.5:4000", "2.2.2.2:3478", "9.9.9.9:4000"),
            ("192.168.1.5:4000", "2.2.2.2:3478", "9.9.9.9:4001"),
        );
        let public = [("9.9.9.9:4000", "1.1.1.1:3478", "9.9.9.9:4000")];
        let config = NetworkConfig::default();
        let hard = |sightings: &[_], host: &str, config: &NetworkConfig| {
            let found = gathered(sightings, vec![candidate(PathKind::Host, host, None)]);
            shown(&found, config).map(|shown| shown.hard)
        };
        let home = "192.168.1.5:4000";
        assert_eq!(hard(&[one], home, &config), None);
        assert_eq!(hard(&[one, same], home, &config), Some(false));
        assert_eq!(hard(&[one, other], home, &config), Some(true));
        assert_eq!(hard(&public, "9.9.9.9:4000", &config), Some(false), "a firewall at most");
        let relay_only = NetworkConfig { relay_only: true, ..NetworkConfig::default() };
        assert_eq!(hard(&[one, other], home, &relay_only), None);
    }

    #[test]
    fn a_relay_by_tcp_beside_silent_servers_means_that_udp_is_blocked() {
        let relay = candidate(PathKind::Relay, "9.9.9.9:5000", Some(Protocol::Tcp));
        let mut found = gathered(&[], vec![home(), relay]);
        assert_eq!(ours(&found, &NetworkConfig::default(), Waited::Long).network.udp, Udp::Unknown);
        found.failures.push(crate::transport::ServerFailure {
            server: ServerName::Stun("stun.example:3478".to_owned()),
            problem: ServerProblem::Silent(vec![Protocol::Udp]),
        });
        let network = ours(&found, &NetworkConfig::default(), Waited::Long).network;
        assert_eq!((network.udp, network.relay), (Udp::Blocked, RelayWorks::Stream));
        let hasty = ours(&found, &NetworkConfig::default(), Waited::Briefly).network;
        assert_eq!(hasty.udp, Udp::Unknown, "they may still answer");
    }

    #[test]
    fn without_servers_and_by_relays_only_the_network_is_nobodys_business() {
        let one = ("192.168.1.5:4000", "1.1.1.1:3478", "9.9.9.9:4000");
        let relay = candidate(PathKind::Relay, "9.9.9.9:5000", Some(Protocol::Udp));
        let found = gathered(&[one], vec![home(), relay]);
        let none = NetworkConfig { no_servers: true, ..NetworkConfig::default() };
        assert_eq!(ours(&found, &none, Waited::Long).network, NetworkSummary::default());
        let only = NetworkConfig { relay_only: true, ..NetworkConfig::default() };
        let told = ours(&found, &only, Waited::Long);
        assert_eq!(told.network, NetworkSummary { relay: RelayWorks::Udp, ..NetworkSummary::default() });
        assert!(told.local.is_empty() && told.mapped.is_none());
    }
}
