//! PURE: an offer's code and what is known of this end -> who meets whom, for a prediction. Knows no path.

use super::facts::Facts;
use super::predict::Meeting;
use super::probe::Findings;
use crate::code::facts::{AddressKind, Host, Item, Offer, Reply};
use crate::code::network::{NetworkSummary, RelayWorks, Udp};
use crate::transport::interfaces::is_public;
use std::net::{IpAddr, Ipv4Addr};

/// This end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ours {
    /// What is known of the network.
    pub network: NetworkSummary,
    /// The addresses of this machine.
    pub local: Vec<IpAddr>,
    /// The address that the world sees, over IPv4.
    pub mapped: Option<Ipv4Addr>,
}

impl Ours {
    /// As a diagnosis found it.
    pub fn of(facts: &Facts) -> Self {
        let mapped = facts.v4.as_ref().and_then(Findings::mapped);
        Self {
            network: facts.summary(),
            local: facts.interfaces.iter().map(|one| one.address).collect(),
            mapped: mapped.and_then(|mapped| match mapped.ip() {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            }),
        }
    }
}

/// The two ends.
pub fn meeting(ours: &Ours, offer: &Offer) -> Meeting {
    let mut theirs = offer.network;
    if theirs.relay == RelayWorks::Unknown && offer.has_relay() {
        theirs.relay = RelayWorks::Udp;
    }
    let (same_address, same_lan) = nearness(ours, theirs, &offer.items);
    Meeting {
        ours: ours.network,
        theirs,
        same_address,
        same_lan,
        guest: offer.guest_servers().iter().any(|server| server.guest),
    }
}

/// The two ends, as far as a reply tells.
pub fn meeting_by_reply(ours: &Ours, reply: &Reply) -> Meeting {
    let theirs = reply.shown.summary();
    let (same_address, same_lan) = nearness(ours, theirs, &reply.items);
    Meeting { ours: ours.network, theirs, same_address, same_lan, guest: false }
}

/// Whether both are seen at the same address, and whether both are in the same network.
fn nearness(ours: &Ours, theirs: NetworkSummary, items: &[Item]) -> (Option<bool>, bool) {
    let hosts: Vec<Ipv4Addr> = addresses(items, AddressKind::Host).collect();
    let seen = addresses(items, AddressKind::Srflx).next();
    let seen = seen.or_else(|| hosts.iter().copied().find(|host| is_public(IpAddr::V4(*host))));
    let same_address = ours.mapped.zip(seen).map(|(ours, theirs)| ours == theirs);
    let same_network = hosts.iter().any(|host| ours.local.iter().any(|own| near(*own, *host)));
    // Nor do two machines of one network differ in what gets out of it.
    let differ =
        matches!((ours.network.udp, theirs.udp), (Udp::Open, Udp::Blocked) | (Udp::Blocked, Udp::Open));
    // Everybody's router deals out 192.168.1.x: the same numbers say little where the world sees two addresses.
    (same_address, same_network && same_address != Some(false) && !differ)
}

fn addresses(items: &[Item], wanted: AddressKind) -> impl Iterator<Item = Ipv4Addr> {
    items.iter().filter_map(move |item| match item {
        Item::Address { kind, host: Host::V4(address), .. } if *kind == wanted => Some(*address),
        _ => None,
    })
}

/// Two private addresses that differ in the last byte at most, and are not the same machine's.
fn near(own: IpAddr, other: Ipv4Addr) -> bool {
    let IpAddr::V4(own) = own else { return false };
    let network = |address: Ipv4Addr| u32::from(address) >> 8;
    !own.is_loopback() && !is_public(IpAddr::V4(own)) && network(own) == network(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::testing::{item, offer_with};

    fn check(items: &[(AddressKind, &str)], mapped: Option<&str>, expect: (Option<bool>, bool)) {
        let items = items.iter().map(|(kind, address)| item(*kind, address)).collect();
        let ours = Ours {
            local: vec!["192.168.1.5".parse().unwrap()],
            mapped: mapped.map(|address| address.parse().unwrap()),
            ..Ours::default()
        };
        let found = meeting(&ours, offer_with(false, items).offer());
        assert_eq!((found.same_address, found.same_lan), expect);
    }

    #[test]
    fn the_same_lan_is_told_from_numbers_that_everybody_uses() {
        let near = (AddressKind::Host, "192.168.1.9:5");
        let seen = (AddressKind::Srflx, "9.9.9.9:5");
        check(&[near], None, (None, true));
        check(&[near, seen], Some("9.9.9.9"), (Some(true), true));
        check(&[near, seen], Some("8.8.8.8"), (Some(false), false));
        check(&[(AddressKind::Host, "192.168.2.9:5"), seen], Some("9.9.9.9"), (Some(true), false));
        check(&[(AddressKind::Host, "8.8.4.4:5")], Some("9.9.9.9"), (Some(false), false));
    }

    #[test]
    fn two_ends_of_which_one_lets_no_udp_out_are_on_no_common_lan() {
        let mut code = offer_with(false, vec![item(AddressKind::Host, "192.168.1.9:5")]).offer().clone();
        for (theirs, expect) in [(Udp::Open, true), (Udp::Unknown, true), (Udp::Blocked, false)] {
            code.network.udp = theirs;
            let network = NetworkSummary { udp: Udp::Open, ..NetworkSummary::default() };
            let ours = Ours { local: vec!["192.168.1.5".parse().unwrap()], network, mapped: None };
            assert_eq!(meeting(&ours, &code).same_lan, expect, "{theirs:?}");
        }
    }

    #[test]
    fn a_relay_in_the_code_works_unless_the_code_says_otherwise() {
        let offer = offer_with(false, vec![item(AddressKind::Relay, "9.9.9.9:5")]);
        assert_eq!(meeting(&Ours::default(), offer.offer()).theirs.relay, RelayWorks::Udp);
    }
}
