//! Reads the machine's interfaces: the addresses by `if-addrs`, and on Linux what is a bridge and who owns the
//! default route out of `/sys` and `/proc`. Decides nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use super::Interface;

/// Names that bridges carry where the system does not say what is one.
const BRIDGE_NAMES: [&str; 8] = ["docker", "virbr", "br-", "veth", "vboxnet", "vmnet", "bridge", "lxc"];

/// Names of tunnels, for those that the system does not call point-to-point.
const TUNNEL_NAMES: [&str; 6] = ["tun", "tap", "wg", "utun", "ppp", "tailscale"];

/// All addresses of the interfaces that are up.
pub fn list() -> std::io::Result<Vec<Interface>> {
    let routed = [source_towards("192.0.2.1:9"), source_towards("[2001:db8::1]:9")];
    let neighbours = with_neighbours();
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces
        .into_iter()
        .filter(is_up)
        .map(|one| describe(one, &routed, neighbours.as_deref()))
        .collect())
}

fn is_up(interface: &if_addrs::Interface) -> bool {
    !matches!(interface.oper_status, if_addrs::IfOperStatus::Down | if_addrs::IfOperStatus::NotPresent)
}

fn describe(
    interface: if_addrs::Interface,
    routed: &[Option<IpAddr>],
    neighbours: Option<&str>,
) -> Interface {
    let address = interface.ip();
    let point_to_point = interface.is_p2p || begins_with_one_of(&interface.name, &TUNNEL_NAMES);
    let seen =
        |table: &str| table.lines().any(|line| line.split_whitespace().last() == Some(&interface.name));
    Interface {
        neighbours: point_to_point
            || address.is_loopback()
            || address.is_ipv6()
            || neighbours.is_none_or(seen),
        bridge: is_bridge(&interface.name),
        point_to_point,
        default_route: routed.contains(&Some(address)),
        name: interface.name,
        address,
    }
}

/// The router of the IPv4 default route, where the system has a table of routes to read.
pub fn gateway() -> Option<Ipv4Addr> {
    default_gateway(&std::fs::read_to_string("/proc/net/route").ok()?)
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

/// The address that packets towards `remote` would leave from; not one packet is sent.
pub fn source_towards(remote: impl std::net::ToSocketAddrs) -> Option<IpAddr> {
    let remote = remote.to_socket_addrs().ok()?.next()?;
    let any = if remote.is_ipv4() { SocketAddr::from(([0; 4], 0)) } else { SocketAddr::from(([0u16; 8], 0)) };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(remote).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn begins_with_one_of(name: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| name.starts_with(beginning))
}

/// The kernel's table of IPv4 neighbours, one a line, the interface in the last column; `None` where there is
/// no such table.
fn with_neighbours() -> Option<String> {
    std::fs::read_to_string("/proc/net/arp").ok()
}

#[cfg(target_os = "linux")]
fn is_bridge(name: &str) -> bool {
    let device = std::path::Path::new("/sys/class/net").join(name);
    // A bridge may also be the LAN itself, with the network card as one of its ports.
    let ports = std::fs::read_dir(device.join("brif"));
    let has_card = ports.is_ok_and(|ports| ports.flatten().any(|port| is_card(&port.file_name())));
    if device.join("bridge").exists() { !has_card } else { begins_with_one_of(name, &BRIDGE_NAMES) }
}

/// Hardware has a device behind it, the ends of virtual cables don't.
#[cfg(target_os = "linux")]
fn is_card(name: &std::ffi::OsStr) -> bool {
    std::path::Path::new("/sys/class/net").join(name).join("device").exists()
}

#[cfg(not(target_os = "linux"))]
fn is_bridge(name: &str) -> bool {
    begins_with_one_of(name, &BRIDGE_NAMES)
}
