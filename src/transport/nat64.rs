//! PURE: IPv4 addresses out of a code, as a machine with IPv6 only writes them where the network has NAT64
//! (RFC 6146). The prefix is read from what DNS64 made of a name that has IPv4 addresses only (RFC 7050); the
//! address is put into it (RFC 6052 §2.2). Knows no DNS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The name whose addresses everybody knows (RFC 7050 §8.2).
pub(super) const WELL_KNOWN_NAME: &str = "ipv4only.arpa";

/// Its addresses.
const WELL_KNOWN: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// Prefix lengths, bytes, that there are (RFC 6052 §2.2), the commonest first.
const LENGTHS: [usize; 6] = [12, 8, 7, 6, 5, 4];

/// This byte is zero in every such address.
const RESERVED: usize = 8;

/// A network's NAT64 prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefix {
    bytes: [u8; 16],
    length: usize,
}

impl Prefix {
    /// From the addresses that DNS gave for [`WELL_KNOWN_NAME`]; `None` where there is no DNS64.
    pub(super) fn discover(addresses: &[Ipv6Addr]) -> Option<Self> {
        addresses.iter().find_map(|address| {
            LENGTHS.into_iter().find_map(|length| {
                let prefix = Self { bytes: address.octets(), length };
                WELL_KNOWN.iter().any(|known| prefix.extracted() == *known).then(|| prefix.cleared())
            })
        })
    }

    /// The positions of an IPv4 address's bytes.
    fn places(self) -> impl Iterator<Item = usize> {
        (self.length..16).filter(|place| *place != RESERVED).take(4)
    }

    fn extracted(self) -> Ipv4Addr {
        let mut found = [0; 4];
        for (found, place) in found.iter_mut().zip(self.places()) {
            *found = self.bytes.get(place).copied().unwrap_or_default();
        }
        found.into()
    }

    fn cleared(mut self) -> Self {
        self.bytes.iter_mut().skip(self.length).for_each(|byte| *byte = 0);
        self
    }

    /// The address as this network's NAT64 understands it.
    pub(super) fn synthesise(self, address: Ipv4Addr) -> Ipv6Addr {
        let mut bytes = self.bytes;
        for (value, place) in address.octets().into_iter().zip(self.places()) {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = value;
            }
        }
        bytes.into()
    }

    /// The same for an address with a port; an IPv6 address stays as it is.
    pub(super) fn translate(self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(v4) => SocketAddr::new(self.synthesise(v4).into(), address.port()),
            IpAddr::V6(_) => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6052 §2.4, for 192.0.2.33.
    const VECTORS: [(&str, &str); 7] = [
        ("2001:db8::", "2001:db8:c000:221::"),
        ("2001:db8:100::", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::", "2001:db8:122:344::192.0.2.33"),
        ("64:ff9b::", "64:ff9b::192.0.2.33"),
    ];

    #[test]
    fn addresses_are_written_as_rfc_6052_has_them() {
        for ((prefix, expect), length) in VECTORS.into_iter().zip([4, 5, 6, 7, 8, 12, 12]) {
            let prefix: Ipv6Addr = prefix.parse().unwrap();
            let prefix = Prefix { bytes: prefix.octets(), length };
            let made = prefix.synthesise(Ipv4Addr::new(192, 0, 2, 33));
            assert_eq!(made, expect.parse::<Ipv6Addr>().unwrap(), "/{}", length * 8);
        }
    }

    #[test]
    fn every_prefix_is_found_in_what_dns_says() {
        for length in LENGTHS {
            let mut bytes = [0; 16];
            bytes[..length].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 1, 0x22, 3, 0x44, 0, 7, 8, 9][..length]);
            let prefix = Prefix { bytes, length };
            for known in WELL_KNOWN {
                let found = Prefix::discover(&["2001:db8::1".parse().unwrap(), prefix.synthesise(known)]);
                assert_eq!(found, Some(prefix), "/{}", length * 8);
            }
        }
    }

    #[test]
    fn without_dns64_there_is_no_prefix() {
        for addresses in [&[][..], &["2001:db8::1".parse().unwrap(), "::".parse().unwrap()]] {
            assert_eq!(Prefix::discover(addresses), None);
        }
    }
}
