//! Which of the machine's addresses are worth offering, and in which order. Pure: the list of interfaces comes
//! from [`system`], which reads it.

pub mod system;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// One address of one interface, as the system tells it.
#[expect(clippy::struct_excessive_bools, reason = "four independent facts")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The interface's name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// It joins virtual machines or containers: two machines may own the very same address on it.
    pub bridge: bool,
    /// Other machines have been seen on it, or nobody knows.
    pub neighbours: bool,
    /// A tunnel (VPN): a point-to-point link.
    pub point_to_point: bool,
    /// Packets to the wide world leave by it.
    pub default_route: bool,
}

/// An address to bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usable {
    /// The address.
    pub address: IpAddr,
    /// Packets to the wide world leave from it.
    pub default_route: bool,
    /// Bound only because it was asked for by name: it stands on a bridge.
    pub bridge: bool,
    /// Nobody has ever been seen beside it: not worth a place in a short code if there are others.
    pub lonely: bool,
}

/// The addresses to bind, the best first: those of the default route, other LANs, tunnels, links without anybody; IPv4
/// before IPv6 within each. Bridges, link-local and IPv6 addresses that are not global are left out; loopback too,
/// unless there is nothing else. With `only`, exactly those of these addresses that the machine has, in that order.
pub fn usable(interfaces: &[Interface], only: &[IpAddr]) -> Vec<Usable> {
    if !only.is_empty() {
        return only.iter().filter_map(|address| asked_for(interfaces, *address)).collect();
    }
    let mut found: Vec<&Interface> = interfaces.iter().filter(|one| is_offered(one)).collect();
    if found.is_empty() {
        found = interfaces.iter().filter(|one| one.address.is_loopback()).collect();
    }
    found.sort_by_key(|one| (rank(one), one.address.is_ipv6()));
    let mut seen: Vec<Usable> = Vec::new();
    for one in found {
        if !seen.iter().any(|other| other.address == one.address) {
            seen.push(Usable::of(one));
        }
    }
    seen
}

impl Usable {
    fn of(interface: &Interface) -> Self {
        Self {
            address: interface.address,
            default_route: interface.default_route,
            bridge: interface.bridge,
            lonely: !interface.neighbours && !interface.default_route,
        }
    }
}

/// The machine may own an address of 127/8 or `::1` without listing it.
fn asked_for(interfaces: &[Interface], address: IpAddr) -> Option<Usable> {
    let listed = interfaces.iter().find(|one| one.address == address);
    if listed.is_none() && !address.is_loopback() {
        return None;
    }
    let unlisted = Usable { address, default_route: false, bridge: false, lonely: false };
    Some(listed.map_or(unlisted, Usable::of))
}

fn rank(interface: &Interface) -> u8 {
    match interface {
        Interface { default_route: true, .. } => 0,
        Interface { point_to_point: true, .. } => 2,
        Interface { neighbours: false, .. } => 3,
        _ => 1,
    }
}

fn is_offered(interface: &Interface) -> bool {
    if interface.bridge || interface.address.is_loopback() || interface.address.is_unspecified() {
        return false;
    }
    match interface.address {
        IpAddr::V4(address) => !address.is_link_local(),
        IpAddr::V6(address) => is_global(address) || is_unique_local(address),
    }
}

/// Whether an address is reachable from anywhere as far as its number tells: not private (RFC 1918), shared
/// (RFC 6598), local, multicast or reserved.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let shared = first == 100 && (64..128).contains(&second);
            let local = address.is_private() || address.is_loopback() || address.is_link_local() || shared;
            !(local || address.is_multicast() || first == 0 || first >= 240)
        }
        IpAddr::V6(address) => is_global(address),
    }
}

/// Whether a server can have seen us at this address: one of its own family, that somebody can have.
pub fn is_plausible(mapped: SocketAddr, server: SocketAddr) -> bool {
    let broadcast = matches!(mapped.ip(), IpAddr::V4(ip) if ip.is_broadcast());
    let loopback = mapped.ip().is_loopback() && !server.ip().is_loopback();
    let nowhere = mapped.ip().is_unspecified() || mapped.ip().is_multicast() || broadcast || loopback;
    mapped.port() != 0 && mapped.is_ipv4() == server.is_ipv4() && !nowhere
}

/// RFC 4291 §2.4: global unicast is 2000::/3.
fn is_global(address: Ipv6Addr) -> bool {
    let [first, ..] = address.octets();
    first & 0xE0 == 0x20
}

/// RFC 4193 §3.1: unique local addresses reach within a site.
fn is_unique_local(address: Ipv6Addr) -> bool {
    let [first, ..] = address.octets();
    first & 0xFE == 0xFC
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(text: &str) -> Interface {
        let mut words = text.split(' ');
        let (name, address) = (words.next().unwrap(), words.next().unwrap());
        let flags: Vec<_> = words.collect();
        Interface {
            name: name.into(),
            address: address.parse().unwrap(),
            bridge: flags.contains(&"bridge"),
            point_to_point: flags.contains(&"tunnel"),
            default_route: flags.contains(&"default"),
            neighbours: !flags.contains(&"lonely"),
        }
    }

    fn check(interfaces: &[&str], only: &[&str], expect: &[&str]) {
        let interfaces: Vec<_> = interfaces.iter().map(|text| interface(text)).collect();
        let only: Vec<IpAddr> = only.iter().map(|text| text.parse().unwrap()).collect();
        let found: Vec<_> = usable(&interfaces, &only).iter().map(|one| one.address.to_string()).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn the_default_route_comes_first_and_tunnels_after_the_lan() {
        check(
            &["lo 127.0.0.1", "tun0 10.8.0.2 tunnel", "eth1 10.0.0.5", "wlan0 192.168.1.7 default"],
            &[],
            &["192.168.1.7", "10.0.0.5", "10.8.0.2"],
        );
    }

    #[test]
    fn bridges_and_link_local_addresses_are_left_out() {
        check(
            &["docker0 172.17.0.1 bridge", "eth0 169.254.3.4", "eth0 fe80::1", "eth0 10.1.1.1 default"],
            &[],
            &["10.1.1.1"],
        );
    }

    #[test]
    fn global_ipv6_comes_after_ipv4_of_the_same_standing() {
        check(
            &["eth0 2a00::5 default", "eth0 10.1.1.1 default", "eth1 10.2.2.2"],
            &[],
            &["10.1.1.1", "2a00::5", "10.2.2.2"],
        );
    }

    #[test]
    fn a_machine_with_nothing_but_loopback_can_call_itself() {
        check(&["lo 127.0.0.1", "lo ::1", "docker0 172.17.0.1 bridge"], &[], &["127.0.0.1", "::1"]);
    }

    #[test]
    fn an_address_asked_for_is_used_whatever_it_is() {
        let machine = ["lo 127.0.0.1", "docker0 172.17.0.1 bridge", "eth0 10.1.1.1 default"];
        check(&machine, &["127.0.0.1"], &["127.0.0.1"]);
        check(&machine, &["127.0.0.9"], &["127.0.0.9"]);
        check(&machine, &["172.17.0.1", "10.1.1.1"], &["172.17.0.1", "10.1.1.1"]);
        check(&machine, &["10.9.9.9"], &[]);
    }

    #[test]
    fn public_is_what_anybody_can_reach() {
        for (address, expect) in [
            ("8.8.8.8", true),
            ("192.168.1.1", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("127.0.0.1", false),
            ("2a00::1", true),
            ("fd00::1", false),
            ("::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expect, "{address}");
        }
    }

    #[test]
    fn links_without_anybody_come_last_and_are_marked() {
        check(
            &["eth2 10.3.3.3 lonely", "tun0 10.8.0.2 tunnel", "eth1 10.0.0.5"],
            &[],
            &["10.0.0.5", "10.8.0.2", "10.3.3.3"],
        );
        let alone =
            usable(&[interface("eth2 10.3.3.3 lonely"), interface("eth0 10.1.1.1 default lonely")], &[]);
        assert_eq!(alone.iter().map(|one| one.lonely).collect::<Vec<_>>(), [false, true]);
    }
}
