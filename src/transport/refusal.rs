//! Who refuses our datagrams: ICMP "port unreachable" (RFC 1122 §3.2.2.1, RFC 4443 §3.1), as far as the system
//! tells. Linux does, address by address, once a socket asks for it; other systems tell an unconnected socket
//! nothing, or not whom it is about, and there nobody ever refuses. Knows nothing of what was sent.

#[cfg(target_os = "linux")]
pub(super) use linux::{listen, take};

#[cfg(target_os = "linux")]
mod linux {
    use nix::cmsg_space;
    use nix::libc::{self, sock_extended_err, sockaddr_in, sockaddr_in6};
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt::Ipv4RecvErr,
        sockopt::Ipv6RecvErr,
    };
    use std::io::IoSliceMut;
    use std::net::{SocketAddr, UdpSocket};
    use std::os::fd::AsRawFd;

    /// As much of the refused datagram as is looked at: nothing.
    const GLANCE: usize = 1;

    /// Asks the system to keep what is said of our datagrams. From now on an error of a send or a receive may be
    /// about an earlier datagram.
    ///
    /// # Errors
    /// What the system says.
    pub(in super::super) fn listen(socket: &UdpSocket, ipv4: bool) -> std::io::Result<()> {
        let asked = match ipv4 {
            true => setsockopt(socket, Ipv4RecvErr, &true),
            false => setsockopt(socket, Ipv6RecvErr, &true),
        };
        Ok(asked?)
    }

    /// The next address that refuses; `None` when nothing more was said. What was said otherwise is passed over.
    pub(in super::super) fn take(socket: &UdpSocket) -> Option<SocketAddr> {
        loop {
            let mut glance = [0; GLANCE];
            let mut room = [IoSliceMut::new(&mut glance)];
            // Each carries the error and the address of the machine that tells of it.
            let mut control =
                cmsg_space!((sock_extended_err, sockaddr_in), (sock_extended_err, sockaddr_in6));
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let said =
                recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut room, Some(&mut control), flags).ok()?;
            let refused = said.cmsgs().is_ok_and(|mut messages| messages.any(|message| is_refusal(&message)));
            if let Some(address) = said.address.filter(|_| refused).and_then(|to| address(&to)) {
                return Some(address);
            }
        }
    }

    fn is_refusal(message: &ControlMessageOwned) -> bool {
        match message {
            ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                // Not what this machine itself found wrong.
                let from_afar =
                    [libc::SO_EE_ORIGIN_ICMP, libc::SO_EE_ORIGIN_ICMP6].contains(&error.ee_origin);
                from_afar && error.ee_errno == libc::ECONNREFUSED as u32
            }
            _ => false,
        }
    }

    fn address(to: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = to.as_sockaddr_in().map(|v4| SocketAddr::new(v4.ip().into(), v4.port()));
        v4.or_else(|| to.as_sockaddr_in6().map(|v6| SocketAddr::new(v6.ip().into(), v6.port())))
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn listen(_: &std::net::UdpSocket, _: bool) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn take(_: &std::net::UdpSocket) -> Option<std::net::SocketAddr> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_closed_port_is_named_and_an_open_one_is_not() {
        for (loopback, ipv4) in [("127.0.0.1:0", true), ("[::1]:0", false)] {
            let Ok(socket) = UdpSocket::bind(loopback) else { continue };
            socket.set_nonblocking(true).unwrap();
            listen(&socket, ipv4).unwrap();
            let open = UdpSocket::bind(loopback).unwrap();
            let closed = UdpSocket::bind(loopback).unwrap().local_addr().unwrap();
            socket.send_to(b"x", open.local_addr().unwrap()).unwrap();
            assert_eq!(take(&socket), None);
            socket.send_to(b"x", closed).unwrap();
            // On the loopback interface the answer is there when the send returns.
            assert_eq!(take(&socket), Some(closed));
            assert_eq!(take(&socket), None);
        }
    }
}
