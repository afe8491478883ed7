//! Making sockets: the options that every backend wants.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Receive and send buffer of a listener: all clients of a shard come in through it.
pub(super) const LISTENER_BUFFER: usize = 4 << 20;
/// Receive and send buffer of a relay socket: one call.
pub(super) const RELAY_BUFFER: usize = 256 << 10;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// As large as wished, whatever the system's limit says: with CAP_NET_ADMIN only.
#[cfg(target_os = "linux")]
fn force_recv_buffer(socket: &Socket, buffer: usize) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, buffer)?)
}

#[cfg(not(target_os = "linux"))]
fn force_recv_buffer(_: &Socket, _buffer: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A UDP socket that does not block. Buffers are made as large as the system allows.
pub(super) fn bind_udp(address: SocketAddr, buffer: usize) -> io::Result<UdpSocket> {
    bind_udp_with(address, buffer, |_| Ok(()))
}

/// The same, with more options set before it is bound.
pub(super) fn bind_udp_with(
    address: SocketAddr,
    buffer: usize,
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // A smaller buffer than wished is no reason to fail; who cares is told at the start.
    let _ = force_recv_buffer(&socket, buffer).or_else(|_| socket.set_recv_buffer_size(buffer));
    let _ = socket.set_send_buffer_size(buffer);
    prepare(&socket)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// Several sockets for one address, among which the kernel shares out the clients (SO_REUSEPORT).
#[cfg_attr(
    not(target_os = "linux"),
    expect(unused_variables, reason = "only Linux has several threads for UDP")
)]
pub(super) fn bind_shared(address: SocketAddr, threads: usize) -> io::Result<Vec<UdpSocket>> {
    // Alone first: two relays on one port would share its clients without knowing.
    let alone = bind_udp(address, LISTENER_BUFFER)?;
    #[cfg(target_os = "linux")]
    if threads > 1 {
        let address = SocketAddr::new(address.ip(), alone.local_addr()?.port());
        drop(alone);
        let bind = |_| bind_udp_with(address, LISTENER_BUFFER, |socket| socket.set_reuse_port(true));
        return (0..threads).map(bind).collect();
    }
    Ok(vec![alone])
}

/// Raises the number of open sockets to what the system lets us have: one is needed for each call.
pub(super) fn allow_many() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        // Where that is not allowed there will be fewer calls, and each refused one is told so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// What the owner should know about listeners that got less than they wanted.
pub(super) fn warnings(listeners: &[UdpSocket]) -> Vec<String> {
    let granted =
        listeners.iter().filter_map(|socket| socket2::SockRef::from(socket).recv_buffer_size().ok()).min();
    let Some(granted) = granted.filter(|&granted| granted < LISTENER_BUFFER) else { return Vec::new() };
    vec![format!(
        "the system grants a receive buffer of {} kB; bursts may be lost: sysctl -w net.core.rmem_max={LISTENER_BUFFER}",
        granted / 1024
    )]
}

/// A listener for connections, ready for tokio.
pub(super) fn bind_tcp(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Windows the option means something else: two programs on one port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    tokio::net::TcpListener::from_std(socket.into())
}

/// Sends one datagram without waiting, with the DF bit set if it is to arrive whole or not at all
/// (RFC 8656 §14). Where the system has no such option it goes out as usual.
pub(super) fn send(
    socket: &tokio::net::UdpSocket,
    data: &[u8],
    to: SocketAddr,
    dont_fragment: bool,
) -> io::Result<usize> {
    if !dont_fragment {
        return socket.try_send_to(data, to);
    }
    set_dont_fragment(socket, to.is_ipv6(), true)?;
    let sent = socket.try_send_to(data, to);
    set_dont_fragment(socket, to.is_ipv6(), false)?;
    sent
}

#[cfg(target_os = "linux")]
pub(super) fn set_dont_fragment(socket: &impl std::os::fd::AsFd, v6: bool, on: bool) -> io::Result<()> {
    use rustix::net::sockopt::{Ipv4PathMtuDiscovery as V4, Ipv6PathMtuDiscovery as V6};
    use rustix::net::sockopt::{set_ip_mtu_discover, set_ipv6_mtu_discover};
    if v6 {
        set_ipv6_mtu_discover(socket, if on { V6::DO } else { V6::DONT })?;
    } else {
        set_ip_mtu_discover(socket, if on { V4::DO } else { V4::DONT })?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Linux, where it can fail")]
fn set_dont_fragment(_: &tokio::net::UdpSocket, _v6: bool, _on: bool) -> io::Result<()> {
    Ok(())
}

/// One spelling for every address: no flow label, no scope, IPv4-mapped as IPv4.
pub(super) fn plain(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::V4(SocketAddrV4::new(v4, v6.port())),
            None => SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(v6.ip().octets()), v6.port(), 0, 0)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        let scoped = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 5, 7, 9));
        assert_eq!(plain(scoped), "[::1]:5".parse().unwrap());
        assert_eq!(plain("[::ffff:192.0.2.1]:5".parse().unwrap()), "192.0.2.1:5".parse().unwrap());
    }

    #[test]
    fn both_families_can_have_the_same_port() {
        // The port that is free for one may be somebody's for the other: not the same one a few times.
        let both = || {
            let v6 = bind_udp("[::]:0".parse().unwrap(), 65_536).unwrap();
            let port = v6.local_addr().unwrap().port();
            bind_udp(SocketAddr::from(([0, 0, 0, 0], port)), 65_536)
        };
        assert!((0..100).any(|_| both().is_ok()));
    }
}
