//! Who may be reached through the relay, and which addresses are the relay itself.
//!
//! A relay that reaches its own loopback, its own network or a cloud's metadata service lets strangers in
//! there, so all of these are refused unless the owner allows them by name. The relay's own *relayed*
//! addresses stay reachable: both ends of a call on one relay is the commonest relayed call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A network in CIDR notation, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// The text is no address and prefix length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network such as 192.0.2.0/24 or 2001:db8::/32")]
pub struct BadCidr(String);

/// The address alone.
impl From<IpAddr> for Cidr {
    fn from(address: IpAddr) -> Self {
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let bad = || BadCidr(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), |p| p.parse().map_err(|_| bad()))?;
        if prefix <= longest { Ok(Self { address, prefix }) } else { Err(bad()) }
    }
}

impl Cidr {
    const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    const fn v6(high: [u16; 4], prefix: u8) -> Self {
        let [a, b, c, d] = high;
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), prefix }
    }

    /// Whether the address is in the network.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (ours, theirs, bits) = match (self.address, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(u32::from(a)), u128::from(u32::from(b)), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a), u128::from(b), 128),
            _ => return false,
        };
        (ours ^ theirs).checked_shr(bits - u32::from(self.prefix)).unwrap_or(0) == 0
    }
}

/// What is refused by default. Documentation networks are not in it: laboratories use them.
const DENIED: &[Cidr] = &[
    Cidr::v4(0, 0, 0, 0, 8),
    Cidr::v4(10, 0, 0, 0, 8),
    Cidr::v4(100, 64, 0, 0, 10),
    Cidr::v4(127, 0, 0, 0, 8),
    Cidr::v4(169, 254, 0, 0, 16),
    Cidr::v4(172, 16, 0, 0, 12),
    Cidr::v4(192, 0, 0, 0, 24),
    Cidr::v4(192, 168, 0, 0, 16),
    Cidr::v4(198, 18, 0, 0, 15),
    Cidr::v4(224, 0, 0, 0, 4),
    Cidr::v4(240, 0, 0, 0, 4),
    // `::/96` holds ::, ::1 and the IPv4-compatible addresses; none of them is routed.
    Cidr::v6([0, 0, 0, 0], 96),
    Cidr::v6([0x64, 0xff9b, 1, 0], 48),
    Cidr::v6([0xfc00, 0, 0, 0], 7),
    Cidr::v6([0xfe80, 0, 0, 0], 10),
    Cidr::v6([0xfec0, 0, 0, 0], 10),
    Cidr::v6([0xff00, 0, 0, 0], 8),
];

/// The owner's own rules on top of the default ones.
#[derive(Clone, Debug, Default)]
pub struct PeerRules {
    /// Refused too.
    pub deny: Vec<Cidr>,
    /// Let through, whatever else says no.
    pub allow: Vec<Cidr>,
}

impl PeerRules {
    /// Whether the rules let anybody reach this address.
    pub fn permit(&self, ip: IpAddr) -> bool {
        let hits = |list: &[Cidr], ip| list.iter().any(|cidr| cidr.contains(ip));
        let ip = ip.to_canonical();
        if hits(&self.allow, ip) {
            return true;
        }
        let refused = |ip| hits(DENIED, ip) || hits(&self.deny, ip);
        !refused(ip) && !embedded(ip).into_iter().flatten().any(|v4| refused(IpAddr::V4(v4)))
    }

    fn allows_by_name(&self, ip: IpAddr) -> bool {
        self.allow.iter().any(|cidr| cidr.contains(ip))
    }
}

/// The IPv4 addresses that an IPv6 address leads to: NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380).
fn embedded(ip: IpAddr) -> [Option<Ipv4Addr>; 2] {
    let IpAddr::V6(ip) = ip else { return [None, None] };
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => [v4(high, low), None],
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            [v4(server_high, server_low), v4(!high, !low)]
        }
        _ => [None, None],
    }
}

/// One address that allocations get their relayed addresses on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayIp {
    /// What sockets bind.
    pub local: IpAddr,
    /// What clients are told: another one behind a 1:1 NAT.
    pub external: IpAddr,
}

/// Where a datagram for a peer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Out of a relay socket.
    Outside,
    /// To another client of this relay: the index of the relay address, and the port.
    Own(usize, u16),
    /// Nowhere.
    Refused,
}

/// Rules and own addresses together.
#[derive(Clone, Debug)]
pub struct Peers {
    /// The owner's rules.
    pub rules: PeerRules,
    /// Relayed addresses.
    pub relays: Vec<RelayIp>,
    /// All addresses of this machine, relayed ones included.
    pub own: Vec<IpAddr>,
    /// Ports on which the relay itself listens.
    pub services: Vec<u16>,
}

impl Peers {
    /// Whether a client may have a permission for this address (RFC 8656 §9.2: 403 otherwise).
    pub(super) fn permit(&self, ip: IpAddr) -> bool {
        if self.relay_index(ip).is_some() {
            return true;
        }
        self.rules.permit(ip) && (!self.own.contains(&ip) || self.rules.allows_by_name(ip))
    }

    /// Where a datagram goes, given that its address is permitted.
    pub(super) fn route(&self, peer: SocketAddr, taken: impl FnOnce(usize, u16) -> bool) -> Route {
        let (ip, port) = (peer.ip(), peer.port());
        let relay = self.relay_index(ip);
        if let Some(relay) = relay
            && taken(relay, port)
        {
            return Route::Own(relay, port);
        }
        if relay.is_none() && !self.own.contains(&ip) {
            return Route::Outside;
        }
        let allowed = self.rules.allows_by_name(ip) && !self.services.contains(&port);
        if allowed { Route::Outside } else { Route::Refused }
    }

    /// One spelling for each address: IPv4-mapped as IPv4, our external addresses as the local ones.
    pub(super) fn canonical(&self, peer: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.canonical_ip(peer.ip()), peer.port())
    }

    /// The same for an address without a port.
    pub(super) fn canonical_ip(&self, ip: IpAddr) -> IpAddr {
        let ip = ip.to_canonical();
        self.relays.iter().find(|relay| relay.external == ip).map_or(ip, |relay| relay.local)
    }

    /// How clients know an address: our own ones as the external ones.
    pub(super) fn external(&self, peer: SocketAddr) -> SocketAddr {
        let relay = self.relay_index(peer.ip()).and_then(|index| self.relays.get(index));
        SocketAddr::new(relay.map_or(peer.ip(), |relay| relay.external), peer.port())
    }

    fn relay_index(&self, ip: IpAddr) -> Option<usize> {
        self.relays.iter().position(|relay| relay.local == ip)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn inner_addresses_are_refused_in_every_disguise() {
        let rules = PeerRules::default();
        for refused in [
            "127.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "192.0.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "::169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2002:0a00:0001::",
            "2001:0:7f00:1::1",
            "2001:0:808:808:0:0:80ff:fffe",
        ] {
            assert!(!rules.permit(ip(refused)), "{refused}");
        }
    }

    #[test]
    fn public_and_documentation_addresses_are_permitted() {
        let rules = PeerRules::default();
        for permitted in [
            "8.8.8.8",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "192.0.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2001:db8::1",
            "2606:4700::1",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(rules.permit(ip(permitted)), "{permitted}");
        }
    }

    #[test]
    fn the_owner_may_deny_more_and_allow_more() {
        let cidr = |text: &str| text.parse().unwrap();
        let rules = PeerRules { deny: vec![cidr("203.0.113.0/24")], allow: vec![cidr("10.9.0.0/16")] };
        assert!(!rules.permit(ip("203.0.113.5")) && !rules.permit(ip("64:ff9b::203.0.113.5")));
        assert!(rules.permit(ip("10.9.1.1")) && rules.permit(ip("::ffff:10.9.1.1")));
        assert!(!rules.permit(ip("10.8.1.1")));
    }

    #[test]
    fn networks_are_read_or_refused() {
        for (text, good) in [
            ("10.0.0.0/8", true),
            ("::/0", true),
            ("1.2.3.4", true),
            ("1.2.3.4/33", false),
            ("x", false),
            ("1.2.3.4/", false),
        ] {
            assert_eq!(text.parse::<Cidr>().is_ok(), good, "{text}");
        }
        assert!("0.0.0.0/0".parse::<Cidr>().unwrap().contains(ip("9.9.9.9")));
    }

    fn behind_nat() -> Peers {
        Peers {
            rules: PeerRules::default(),
            relays: vec![RelayIp { local: ip("10.0.0.5"), external: ip("203.0.113.5") }],
            own: vec![ip("10.0.0.5"), ip("203.0.113.5"), ip("203.0.113.6"), ip("127.0.0.1")],
            services: vec![3478],
        }
    }

    #[test]
    fn relayed_addresses_are_reachable_by_both_forms_and_services_by_none() {
        let peers = behind_nat();
        let live = |index: usize, port| (index, port) == (0, 50_000);
        for form in ["10.0.0.5", "203.0.113.5", "::ffff:203.0.113.5"] {
            let peer = |port| peers.canonical(SocketAddr::new(ip(form), port));
            assert!(peers.permit(peer(1).ip()));
            assert_eq!(peers.route(peer(50_000), live), Route::Own(0, 50_000));
            assert_eq!(peers.route(peer(22), live), Route::Refused);
            assert_eq!(peers.route(peer(3478), live), Route::Refused);
            assert_eq!(peers.external(peer(7)), "203.0.113.5:7".parse().unwrap());
        }
        assert!(!peers.permit(ip("203.0.113.6")), "another address of this machine");
        assert_eq!(peers.route("8.8.8.8:53".parse().unwrap(), live), Route::Outside);
    }

    #[test]
    fn an_own_address_allowed_by_name_is_open_but_for_the_services() {
        let mut peers = behind_nat();
        peers.rules.allow.push("127.0.0.1/32".parse().unwrap());
        assert!(peers.permit(ip("127.0.0.1")));
        assert_eq!(peers.route("127.0.0.1:9000".parse().unwrap(), |_, _| false), Route::Outside);
        assert_eq!(peers.route("127.0.0.1:3478".parse().unwrap(), |_, _| false), Route::Refused);
    }

    proptest! {
        #[test]
        fn a_refused_v4_address_is_refused_in_ipv6_clothes(bits: u32) {
            let rules = PeerRules::default();
            let v4 = Ipv4Addr::from(bits);
            let expect = rules.permit(IpAddr::V4(v4));
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            prop_assert_eq!(rules.permit(IpAddr::V6(v4.to_ipv6_mapped())), expect);
            prop_assert_eq!(rules.permit(IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low))), expect);
            prop_assert_eq!(rules.permit(IpAddr::V6(Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1))), expect);
        }
    }
}
