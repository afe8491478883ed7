//! I/O: the addresses of the first routers on the way out: datagrams that may only pass so many of them (TTL), and what
//! the routers say of it (ICMP "time exceeded"), as far as the system tells. Linux does.

use crate::nat::facts::Hop;
use std::net::SocketAddr;

/// Routers that are asked: one's own, the one behind it, and what comes after.
const HOPS: usize = 3;

/// The first routers towards a server, from sockets of their own.
pub(super) async fn trace(server: SocketAddr) -> Vec<Hop> {
    #[cfg(target_os = "linux")]
    return linux::trace(server, HOPS).await;
    #[cfg(not(target_os = "linux"))]
    return Vec::with_capacity(HOPS.min(usize::from(server.port())));
}

#[cfg(target_os = "linux")]
mod linux {
    use crate::nat::facts::Hop;
    use nix::cmsg_space;
    use nix::libc::{self, sock_extended_err, sockaddr_in};
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt::Ipv4RecvErr,
    };
    use std::io::IoSliceMut;
    use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    /// RFC 792: time exceeded.
    const TIME_EXCEEDED: u8 = 11;
    /// Tries, and the looks after each.
    const TRIES: usize = 3;
    const LOOKS: usize = 8;
    const PAUSE: Duration = Duration::from_millis(40);
    /// A STUN Binding request, should it arrive after all: twenty bytes, any transaction.
    const PROBE: &[u8; 20] = b"\x00\x01\x00\x00\x21\x12\xa4\x42p2pcall-hops";

    pub(super) async fn trace(server: SocketAddr, hops: usize) -> Vec<Hop> {
        let sockets: Vec<Option<UdpSocket>> = (1..=hops).map(|distance| open(distance as u32).ok()).collect();
        let mut found = vec![None; hops];
        for _ in 0..TRIES {
            for (socket, hop) in sockets.iter().zip(&found) {
                if let (Some(socket), None) = (socket, hop) {
                    let _ = socket.send_to(PROBE, server);
                }
            }
            for _ in 0..LOOKS {
                tokio::time::sleep(PAUSE).await;
                for (socket, hop) in sockets.iter().zip(&mut found) {
                    *hop = hop.or_else(|| socket.as_ref().and_then(said_by));
                }
                if found.iter().all(Option::is_some) {
                    return found;
                }
            }
        }
        found
    }

    fn open(distance: u32) -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        socket.set_ttl(distance)?;
        setsockopt(&socket, Ipv4RecvErr, &true)?;
        Ok(socket)
    }

    /// Who says that our datagram had passed enough routers.
    fn said_by(socket: &UdpSocket) -> Option<Ipv4Addr> {
        let mut glance = [0; 1];
        let mut room = [IoSliceMut::new(&mut glance)];
        let mut control = cmsg_space!((sock_extended_err, sockaddr_in));
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let said =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut room, Some(&mut control), flags).ok()?;
        said.cmsgs().ok()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4RecvErr(error, Some(router))
                if error.ee_origin == libc::SO_EE_ORIGIN_ICMP && error.ee_type == TIME_EXCEEDED =>
            {
                Some(Ipv4Addr::from(router.sin_addr.s_addr.to_ne_bytes()))
            }
            _ => None,
        })
    }
}
