//! PURE: the ports that a NAT gives next, where it deals them out in turn (RFC 4787 §4.2): a friend whose own NAT shows
//! everybody the same port lets them in before they come. A guess, and a bounded one: other traffic takes ports too.

use crate::code::network::{Mapping, NetworkSummary, Ports};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Ports ahead of the last one seen.
const AHEAD: i32 = 8;
/// Ports behind it: one that was given before a server was asked.
const BEHIND: i32 = 4;
/// Steps of more than this are other traffic's.
const LONGEST_STEP: i32 = 4;

/// Ports further apart than this were not dealt in turn.
const CLOSE: u16 = 64;

/// Whether this NAT gives each peer another port.
pub fn hides(network: NetworkSummary) -> bool {
    !matches!(network.mapping, Mapping::Unknown | Mapping::None | Mapping::EndpointIndependent)
}

/// Whether this NAT gives each peer another port, the next one in turn.
pub fn deals_in_turn(network: NetworkSummary) -> bool {
    hides(network) && network.ports == Ports::Sequential
}

/// The same told by the addresses alone at which servers saw the two ends: where the friend's packets may come from, if
/// its NAT deals in turn and ours shows everybody the same port.
pub fn guesses(ours: &[SocketAddr], theirs: &[SocketAddr]) -> Vec<SocketAddr> {
    match (dealt(ours), dealt(theirs)) {
        (None, Some(1..=CLOSE)) => next(theirs),
        _ => Vec::new(),
    }
}

/// How far apart the ports of one IPv4 address are, where there are several.
fn dealt(seen: &[SocketAddr]) -> Option<u16> {
    let pairs = seen.iter().flat_map(|one| seen.iter().map(move |other| (one, other)));
    let same = pairs.filter(|(one, other)| one.is_ipv4() && one.ip() == other.ip());
    same.map(|(one, other)| one.port().abs_diff(other.port())).max().filter(|apart| *apart > 0)
}

/// Where packets of a machine may come from next whose NAT has shown it at these addresses. At most 12, without those
/// that are known; nothing of IPv6, which has no such NATs.
pub fn next(seen: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(last) = seen.iter().filter(|one| one.is_ipv4()).max_by_key(|one| one.port()) else {
        return Vec::new();
    };
    let ports: BTreeSet<i32> =
        seen.iter().filter(|one| one.ip() == last.ip()).map(|one| i32::from(one.port())).collect();
    let step = ports.iter().zip(ports.iter().skip(1)).map(|(one, next)| next - one).min();
    let step = step.filter(|step| *step <= LONGEST_STEP).unwrap_or(1);
    let guesses = (-BEHIND..=AHEAD).map(|turns| i32::from(last.port()) + turns * step);
    let new = guesses.filter(|port| !ports.contains(port)).filter_map(|port| u16::try_from(port).ok());
    new.filter(|port| *port > 0).map(|port| SocketAddr::new(last.ip(), port)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::network::Udp;

    fn at(ports: &[u16]) -> Vec<SocketAddr> {
        ports.iter().map(|port| ([203, 0, 113, 9], *port).into()).collect()
    }

    #[test]
    fn the_next_ports_are_guessed_and_the_known_ones_are_not() {
        for (seen, expect) in [
            (&[][..], vec![]),
            (&[5000], vec![4996, 4997, 4998, 4999, 5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008]),
            (&[5001, 5000], vec![4997, 4998, 4999, 5002, 5003, 5004, 5005, 5006, 5007, 5008, 5009]),
            (&[5000, 5002], vec![4994, 4996, 4998, 5004, 5006, 5008, 5010, 5012, 5014, 5016, 5018]),
            // Others took ports in between: then the step is not known.
            (&[4900, 5000], vec![4996, 4997, 4998, 4999, 5001, 5002, 5003, 5004, 5005, 5006, 5007, 5008]),
            (&[65_530], vec![65_526, 65_527, 65_528, 65_529, 65_531, 65_532, 65_533, 65_534, 65_535]),
            (&[3], vec![1, 2, 4, 5, 6, 7, 8, 9, 10, 11]),
        ] {
            assert_eq!(next(&at(seen)), at(&expect), "{seen:?}");
        }
        assert!(next(&["[2001:db8::9]:5000".parse().unwrap()]).is_empty());
    }

    #[test]
    fn two_ends_are_told_by_what_servers_saw() {
        let mut elsewhere = at(&[5000]);
        elsewhere.push(([198, 51, 100, 4], 5001).into());
        elsewhere.push("[2001:db8::9]:5002".parse().unwrap());
        for (ours, theirs, guessed) in [
            (at(&[4000]), at(&[5000, 5001]), true),
            (at(&[]), at(&[5000, 5064]), true),
            (at(&[4000]), at(&[5000, 5065]), false),
            (at(&[4000]), at(&[5000]), false),
            (at(&[4000]), elsewhere, false),
            (at(&[4000, 4001]), at(&[5000, 5001]), false),
            (at(&[4000, 9000]), at(&[5000, 5001]), false),
        ] {
            assert_eq!(!guesses(&ours, &theirs).is_empty(), guessed, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn only_a_nat_that_hides_its_ports_and_deals_in_turn_is_guessed_at() {
        for (mapping, ports, expect) in [
            (Mapping::AddressAndPortDependent, Ports::Sequential, true),
            (Mapping::Dependent, Ports::Sequential, true),
            (Mapping::Dependent, Ports::Random, false),
            (Mapping::Dependent, Ports::Unknown, false),
            (Mapping::EndpointIndependent, Ports::Sequential, false),
            (Mapping::Unknown, Ports::Sequential, false),
        ] {
            let network = NetworkSummary { mapping, ports, udp: Udp::Open, ..NetworkSummary::default() };
            assert_eq!(deals_in_turn(network), expect, "{network:?}");
        }
    }
}
