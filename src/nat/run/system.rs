//! I/O: what the system tells of its network: the first router and the largest packet. Linux tells by files; elsewhere
//! nothing is known, and said.

use std::net::Ipv4Addr;

/// The router of the IPv4 default route.
pub(super) fn gateway() -> Option<Ipv4Addr> {
    default_gateway(&std::fs::read_to_string("/proc/net/route").ok()?)
}

/// The largest packet of an interface.
pub(super) fn mtu(interface: &str) -> Option<u32> {
    // A name with a slash is none.
    let name = std::path::Path::new(interface).file_name()?;
    let file = std::path::Path::new("/sys/class/net").join(name).join("mtu");
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The kernel's table of IPv4 routes: interface, destination, gateway, …, in hexadecimal as the machine stores them.
fn default_gateway(table: &str) -> Option<Ipv4Addr> {
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (destination, gateway) = (words.next()?, words.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok().filter(|gateway| *gateway != 0)?;
        (destination == "00000000").then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_router_is_read_from_the_table() {
        let table = "Iface\tDestination\tGateway\tFlags\n\
                     eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\n\
                     eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\n";
        assert_eq!(default_gateway(table), Some(Ipv4Addr::new(10, 0, 2, 1)));
        assert_eq!(default_gateway("Iface\n\nx\ny z\n"), None);
    }
}
