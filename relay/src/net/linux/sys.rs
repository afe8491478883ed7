//! The system calls that the standard library does not have: recvmmsg, sendmmsg, UDP_GRO, UDP_SEGMENT and the
//! error queue. The only unsafe code of the relay.
//!
//! Every call builds its structures anew from plain slices, so no pointer outlives the call it was made for.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use libc::{c_int, c_void, cmsghdr, iovec, mmsghdr, msghdr, sockaddr_in, sockaddr_in6, socklen_t};

use super::queue::Datagram;
use crate::net::socket::plain;
use crate::stun::Icmp;

/// Datagrams received or sent by one call.
pub(super) const MESSAGES: usize = 64;
/// Datagrams that one send may be split into, and their bytes together: the kernel's own limits are 128 and 65,507.
const SEGMENTS: usize = 64;
const SEGMENTED: usize = 60_000;
/// Room for one control message, aligned as such.
pub(super) type Control = [u64; 8];

/// Room for an address of either family. IPv4 uses the head of it.
pub(super) type Name = sockaddr_in6;

pub(super) const fn empty_name() -> Name {
    // SAFETY: all its fields are integers, for which zero is a value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn to_name(address: SocketAddr) -> (Name, socklen_t) {
    let mut name = empty_name();
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: sockaddr_in is shorter than sockaddr_in6, aligned no more strictly, and made of integers.
            let short = unsafe { &mut *(&raw mut name).cast::<sockaddr_in>() };
            short.sin_family = libc::AF_INET as libc::sa_family_t;
            short.sin_port = v4.port().to_be();
            short.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            (name, size_of::<sockaddr_in>() as socklen_t)
        }
        SocketAddr::V6(v6) => {
            name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            name.sin6_port = v6.port().to_be();
            name.sin6_addr.s6_addr = v6.ip().octets();
            name.sin6_scope_id = v6.scope_id();
            (name, size_of::<sockaddr_in6>() as socklen_t)
        }
    }
}

fn from_name(name: &Name) -> Option<SocketAddr> {
    match c_int::from(name.sin6_family) {
        libc::AF_INET => {
            // SAFETY: as in `to_name`; the family says which of the two it is.
            let short = unsafe { &*(&raw const *name).cast::<sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(short.sin_addr.s_addr));
            Some(SocketAddr::from((ip, u16::from_be(short.sin_port))))
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(plain(SocketAddr::from((ip, u16::from_be(name.sin6_port)))))
        }
        _ => None,
    }
}

/// Receives as many datagrams as there are slots, one each, and tells of each where it came from, its length,
/// and the length of the datagrams that were joined in it, if they were. How many came.
pub(super) fn receive<'s>(
    socket: BorrowedFd<'_>,
    slots: impl Iterator<Item = (&'s mut [u8], &'s mut Name, &'s mut Control)>,
    mut tell: impl FnMut(Option<SocketAddr>, usize, Option<usize>),
) -> io::Result<usize> {
    let mut vectors = [const { MaybeUninit::<iovec>::uninit() }; MESSAGES];
    let mut headers = [const { MaybeUninit::<mmsghdr>::uninit() }; MESSAGES];
    let mut count = 0;
    for ((slot, name, control), (vector, header)) in slots.zip(vectors.iter_mut().zip(&mut headers)) {
        let vector = vector.write(iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() });
        let mut message = empty_message();
        message.msg_name = (&raw mut *name).cast();
        message.msg_namelen = size_of::<Name>() as socklen_t;
        message.msg_iov = &raw mut *vector;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of::<Control>();
        header.write(mmsghdr { msg_hdr: message, msg_len: 0 });
        count += 1;
    }
    let base = headers.as_mut_ptr().cast::<mmsghdr>();
    // SAFETY: the first `count` headers are initialised, and each points to a slot, a name and a control buffer
    // of its own, of the lengths it says, which are borrowed for longer than the call.
    let received =
        unsafe { libc::recvmmsg(socket.as_raw_fd(), base, count, libc::MSG_DONTWAIT, std::ptr::null_mut()) };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    for header in headers.iter().take(received) {
        // SAFETY: the first `received` of the `count` headers were initialised above, and the name that each
        // points to is initialised and still borrowed.
        let (header, name) = unsafe {
            let header = header.assume_init_ref();
            (header, &*header.msg_hdr.msg_name.cast::<Name>())
        };
        tell(from_name(name), header.msg_len as usize, joined_length(&header.msg_hdr));
    }
    Ok(received)
}

fn empty_message() -> msghdr {
    // SAFETY: all its fields are integers and pointers, for which zero is a value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// The value of the UDP_GRO control message.
fn joined_length(message: &msghdr) -> Option<usize> {
    let value: c_int = control_value(message, |header| {
        header.cmsg_level == libc::SOL_UDP && header.cmsg_type == libc::UDP_GRO
    })?;
    usize::try_from(value).ok()
}

/// The value of the first control message that fits.
fn control_value<T: Copy>(message: &msghdr, fits: impl Fn(&cmsghdr) -> bool) -> Option<T> {
    // SAFETY: the kernel filled the control buffer of this message and set its length; the macros stay in it.
    // The value is read without assuming alignment, and only if the message is long enough to hold it.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(message);
        while let Some(header) = next.as_ref() {
            let long_enough = header.cmsg_len >= libc::CMSG_LEN(size_of::<T>() as u32) as usize;
            if fits(header) && long_enough {
                return Some(libc::CMSG_DATA(header).cast::<T>().read_unaligned());
            }
            next = libc::CMSG_NXTHDR(message, header);
        }
    }
    None
}

/// Sends datagrams, many a call, splitting in the kernel where several in a row are alike.
pub(super) struct Sender {
    /// Whether the kernel splits; false once it has refused.
    pub(super) splits: bool,
    vectors: Vec<iovec>,
    messages: Vec<Message>,
    names: Vec<Name>,
}

/// Some datagrams to one address, sent as one.
#[derive(Clone, Copy, Debug)]
struct Message {
    first: usize,
    datagrams: usize,
    vectors: (usize, usize),
    segment: usize,
    name_length: socklen_t,
}

impl Default for Sender {
    fn default() -> Self {
        Self { splits: true, vectors: Vec::new(), messages: Vec::new(), names: Vec::new() }
    }
}

static ZEROS: [u8; 4] = [0; 4];

impl Sender {
    /// Sends all of these; how many were not taken.
    pub(super) fn send<'d>(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: &(impl Iterator<Item = Datagram<'d>> + Clone),
    ) -> usize {
        self.gather(datagrams.clone());
        let (mut base, mut at, mut dropped, mut again) = (0, 0, 0, false);
        while let Some(&message) = self.messages.get(at) {
            let error = match self.send_some(socket, at) {
                Ok(sent) => {
                    (at, again) = (at + sent.max(1), false);
                    continue;
                }
                Err(error) => error,
            };
            if error.kind() == io::ErrorKind::WouldBlock {
                return dropped
                    + self.messages.iter().skip(at).map(|message| message.datagrams).sum::<usize>();
            }
            if !again {
                // A socket reports an earlier ICMP error once, in place of sending.
                again = true;
            } else if message.datagrams > 1 && self.splits {
                // This kernel, or this device, does not split: the rest goes one by one.
                self.splits = false;
                base += message.first;
                (at, again) = (0, false);
                self.gather(datagrams.clone().skip(base));
            } else {
                dropped += message.datagrams;
                (at, again) = (at + 1, false);
            }
        }
        dropped
    }

    /// Lays out the messages: which datagrams go together, and where their bytes are.
    fn gather<'d>(&mut self, datagrams: impl Iterator<Item = Datagram<'d>>) {
        self.vectors.clear();
        self.messages.clear();
        self.names.clear();
        let (mut last_to, mut bytes, mut open) = (None, 0, false);
        for (at, datagram) in datagrams.enumerate() {
            let length = datagram.length();
            let joins = self.splits
                && open
                && last_to == Some(datagram.to)
                && bytes + length <= SEGMENTED
                && self
                    .messages
                    .last()
                    .is_some_and(|last| length <= last.segment && last.datagrams < SEGMENTS);
            if !joins {
                let (name, name_length) = to_name(datagram.to);
                self.names.push(name);
                let start = self.vectors.len();
                let message = Message {
                    first: at,
                    datagrams: 0,
                    vectors: (start, start),
                    segment: length,
                    name_length,
                };
                self.messages.push(message);
                (last_to, bytes) = (Some(datagram.to), 0);
            }
            let padding = ZEROS.get(..datagram.padding).unwrap_or_default();
            for part in [datagram.header, datagram.data, padding] {
                if !part.is_empty() {
                    self.vectors
                        .push(iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
                }
            }
            bytes += length;
            if let Some(message) = self.messages.last_mut() {
                message.datagrams += 1;
                message.vectors.1 = self.vectors.len();
                // A shorter one can only be the last.
                open = length == message.segment && length > 0;
            }
        }
    }

    /// One call, from this message on.
    fn send_some(&mut self, socket: BorrowedFd<'_>, at: usize) -> io::Result<usize> {
        let mut controls = [[0u64; 4]; MESSAGES];
        let mut headers = [const { MaybeUninit::<mmsghdr>::uninit() }; MESSAGES];
        let mut count = 0;
        let messages = self.messages.iter().zip(&mut self.names).skip(at);
        for (((message, name), control), header) in messages.zip(&mut controls).zip(&mut headers) {
            let vectors = self.vectors.get_mut(message.vectors.0..message.vectors.1).unwrap_or_default();
            let mut raw = empty_message();
            raw.msg_name = (&raw mut *name).cast();
            raw.msg_namelen = message.name_length;
            raw.msg_iov = vectors.as_mut_ptr();
            raw.msg_iovlen = vectors.len();
            if message.datagrams > 1 {
                split(&mut raw, control, message.segment as u16);
            }
            header.write(mmsghdr { msg_hdr: raw, msg_len: 0 });
            count += 1;
        }
        let base = headers.as_mut_ptr().cast::<mmsghdr>();
        // SAFETY: the first `count` headers are initialised; names, vectors and control buffers live during the
        // call, and so do the bytes the vectors point to: `send` holds the datagrams that borrow them. The
        // kernel only reads them, so that the vectors' pointers are mutable does not matter.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), base, count, libc::MSG_DONTWAIT) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Tells the kernel to split a message into datagrams of this length.
fn split(message: &mut msghdr, control: &mut [u64; 4], segment: u16) {
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE of two bytes is 24, the buffer has 32 and is aligned for a header; the macros point
    // into it because `msg_control` and `msg_controllen` say so.
    unsafe {
        message.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as u32) as usize;
        if let Some(header) = libc::CMSG_FIRSTHDR(message).as_mut() {
            header.cmsg_level = libc::SOL_UDP;
            header.cmsg_type = libc::UDP_SEGMENT;
            header.cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as usize;
            libc::CMSG_DATA(header).cast::<u16>().write_unaligned(segment);
        }
    }
}

fn set_option(socket: BorrowedFd<'_>, level: c_int, name: c_int, on: bool) -> io::Result<()> {
    let value = c_int::from(on);
    // SAFETY: the option's value is an int that lives during the call, and its length is said.
    let done = unsafe {
        let value = (&raw const value).cast::<c_void>();
        libc::setsockopt(socket.as_raw_fd(), level, name, value, size_of::<c_int>() as socklen_t)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the kernel join datagrams of one sender that come together. Kernels that cannot go on as before.
pub(super) fn join_packets(socket: &UdpSocket, on: bool) {
    let _ = set_option(socket.as_fd(), libc::SOL_UDP, libc::UDP_GRO, on);
}

/// Has ICMP errors put into the socket's error queue.
pub(super) fn report_errors(socket: &impl AsFd, v6: bool) -> io::Result<()> {
    let (level, name) =
        if v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) } else { (libc::IPPROTO_IP, libc::IP_RECVERR) };
    set_option(socket.as_fd(), level, name, true)
}

/// The next ICMP error of the queue: for which peer, and what it said.
pub(super) fn receive_error(socket: BorrowedFd<'_>) -> Option<(SocketAddr, Icmp)> {
    let mut name = empty_name();
    let mut control: [u64; 64] = [0; 64];
    let mut byte = 0u8;
    let mut vector = iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut message = empty_message();
    message.msg_name = (&raw mut name).cast();
    message.msg_namelen = size_of::<Name>() as socklen_t;
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: name, vector and control buffer have the lengths that the message says and live during the call.
    let received = unsafe {
        libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT)
    };
    if received < 0 {
        return None;
    }
    let report: libc::sock_extended_err = control_value(&message, |header| {
        let v4 = header.cmsg_level == libc::IPPROTO_IP && header.cmsg_type == libc::IP_RECVERR;
        v4 || (header.cmsg_level == libc::IPPROTO_IPV6 && header.cmsg_type == libc::IPV6_RECVERR)
    })?;
    let icmp = Icmp { kind: report.ee_type, code: report.ee_code, data: report.ee_info };
    Some((from_name(&name)?, icmp))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        (socket(), socket())
    }

    #[test]
    fn an_address_survives_the_kernels_form() {
        for text in ["192.0.2.1:7", "[2001:db8::1]:9"] {
            let address = text.parse().unwrap();
            assert_eq!(from_name(&to_name(address).0), Some(address));
        }
    }

    #[test]
    fn a_closed_port_is_reported_with_the_peer_it_was_for() {
        let (a, b) = pair();
        report_errors(&a, false).unwrap();
        let to = b.local_addr().unwrap();
        drop(b);
        a.send_to(b"x", to).unwrap();
        assert_eq!(receive_error(a.as_fd()), Some((to, Icmp { kind: 3, code: 3, data: 0 })));
        assert_eq!(receive_error(a.as_fd()), None);
    }
}
