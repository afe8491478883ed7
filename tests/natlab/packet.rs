//! An IP packet as a router sees it: which flow it belongs to, and its addresses exchanged with all checksums kept
//! right. Pure. Fragments and IPv6 extension headers are not understood: nothing here sends any.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What stands above IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    /// RFC 768.
    Udp,
    /// RFC 9293.
    Tcp,
    /// An echo request or reply (RFC 792, RFC 4443); its identifier stands for the port of whoever asked, and 0
    /// for the port of whoever was asked.
    Echo,
}

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) protocol: Protocol,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
}

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Part of a flow.
    Flow(Flow),
    /// An ICMP error between these, about a packet of a flow that it quotes.
    Error { from: IpAddr, to: IpAddr, about: Flow },
}

/// Which of the two addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// An IP header and the beginning of what it carries.
#[derive(Debug, Clone, Copy)]
struct Header {
    start: usize,
    body: usize,
    flow: Flow,
}

/// A packet that was understood.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    bytes: Vec<u8>,
    body: usize,
    content: Content,
    /// The header that counts: the packet's own, or the one that an error quotes.
    header: Header,
}

const UDP: u8 = 17;
const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// RFC 792: destination unreachable, time exceeded, parameter problem.
const ERRORS_V4: [u8; 3] = [3, 11, 12];
/// RFC 4443: unreachable, too big, time exceeded, parameter problem.
const ERRORS_V6: [u8; 4] = [1, 2, 3, 4];
/// Before the packet that an error quotes.
const ERROR_HEADER: usize = 8;
/// SYN without ACK.
const OPENING: u8 = 0x02;
const SYN_AND_ACK: u8 = 0x12;

impl Packet {
    /// `None` for what a router of this laboratory drops.
    pub(crate) fn parse(bytes: Vec<u8>) -> Option<Self> {
        let ip = IpHeader::parse(&bytes, 0)?;
        let errors: &[u8] = match ip.protocol {
            ICMP => &ERRORS_V4,
            ICMPV6 => &ERRORS_V6,
            _ => &[],
        };
        let is_error = bytes.get(ip.body).is_some_and(|kind| errors.contains(kind));
        let header = if is_error {
            IpHeader::parse(&bytes, ip.body + ERROR_HEADER)?.flow(&bytes)?
        } else {
            ip.flow(&bytes)?
        };
        let content = if is_error {
            Content::Error { from: ip.source, to: ip.destination, about: header.flow }
        } else {
            Content::Flow(header.flow)
        };
        Some(Self { body: ip.body, content, header, bytes })
    }

    pub(crate) fn content(&self) -> Content {
        self.content
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether it opens a TCP connection.
    pub(crate) fn opens(&self) -> bool {
        self.bytes.get(self.body + 13).is_some_and(|flags| flags & SYN_AND_ACK == OPENING)
    }

    /// What a TCP segment carries.
    pub(crate) fn segment(&self) -> &[u8] {
        let words = self.bytes.get(self.body + 12).map_or(0, |byte| usize::from(byte >> 4));
        self.bytes.get(self.body + words * 4..).unwrap_or_default()
    }

    /// Exchanges an address and its port: the packet's own, or, in an error, those of the quoted packet. IPv6 is
    /// never translated and stays as it is.
    pub(crate) fn set(&mut self, end: End, to: SocketAddr) {
        let IpAddr::V4(address) = to.ip() else { return };
        let Header { start, body, flow } = self.header;
        let (at, port_at, own) = match end {
            End::Source => (start + 12, body, flow.source),
            End::Destination => (start + 16, body + 2, flow.destination),
        };
        let checksum = match flow.protocol {
            Protocol::Udp => body + 6,
            Protocol::Tcp => body + 16,
            Protocol::Echo => body + 2,
        };
        let udp_without = flow.protocol == Protocol::Udp && self.word(checksum) == Some(0);
        let mut sums = vec![start + 10];
        if !udp_without && flow.protocol != Protocol::Echo {
            sums.push(checksum);
        }
        let octets = address.octets();
        self.replace(at, [octets[0], octets[1]], &sums);
        self.replace(at + 2, [octets[2], octets[3]], &sums);
        let sums: &[usize] = if udp_without { &[] } else { &[checksum] };
        match flow.protocol {
            Protocol::Echo if own.port() == 0 => {}
            Protocol::Echo => self.replace(body + 4, to.port().to_be_bytes(), sums),
            Protocol::Udp | Protocol::Tcp => self.replace(port_at, to.port().to_be_bytes(), sums),
        }
    }

    /// Exchanges an address of an error's own header, and makes the error's checksum right again.
    pub(crate) fn set_of_error(&mut self, end: End, address: IpAddr) {
        let IpAddr::V4(address) = address else { return };
        let at = if end == End::Source { 12 } else { 16 };
        let octets = address.octets();
        self.replace(at, [octets[0], octets[1]], &[10]);
        self.replace(at + 2, [octets[2], octets[3]], &[10]);
        let body = self.body;
        if let Some(field) = self.bytes.get_mut(body + 2..body + 4) {
            field.fill(0);
        }
        let sum = checksum(self.bytes.get(body..).unwrap_or_default());
        if let Some(field) = self.bytes.get_mut(body + 2..body + 4) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
    }

    fn word(&self, at: usize) -> Option<u16> {
        word(&self.bytes, at)
    }

    /// RFC 1624 §3, eqn. 3: HC' = ~(~HC + ~m + m'). A quoted packet may end before its checksum.
    fn replace(&mut self, at: usize, with: [u8; 2], sums: &[usize]) {
        let Some(old) = self.word(at) else { return };
        for &sum in sums {
            let Some(before) = self.word(sum) else { continue };
            let after = !folded(u32::from(!before) + u32::from(!old) + u32::from(u16::from_be_bytes(with)));
            // RFC 768: in UDP zero means that there is none.
            let is_udp = self.header.flow.protocol == Protocol::Udp && sum == self.header.body + 6;
            let after = if is_udp && after == 0 { 0xFFFF } else { after };
            if let Some(field) = self.bytes.get_mut(sum..sum + 2) {
                field.copy_from_slice(&after.to_be_bytes());
            }
        }
        if let Some(field) = self.bytes.get_mut(at..at + 2) {
            field.copy_from_slice(&with);
        }
    }
}

/// An IP header alone.
struct IpHeader {
    start: usize,
    body: usize,
    protocol: u8,
    source: IpAddr,
    destination: IpAddr,
}

impl IpHeader {
    fn parse(bytes: &[u8], start: usize) -> Option<Self> {
        let first = *bytes.get(start)?;
        match first >> 4 {
            4 => {
                let address = |at: usize| {
                    let octets: [u8; 4] = bytes.get(start + at..start + at + 4)?.try_into().ok()?;
                    Some(IpAddr::from(Ipv4Addr::from(octets)))
                };
                // More fragments, or an offset: part of a fragmented packet.
                if word(bytes, start + 6)? & 0x3FFF != 0 {
                    return None;
                }
                let body = start + usize::from(first & 0x0F) * 4;
                let protocol = *bytes.get(start + 9)?;
                Some(Self { start, body, protocol, source: address(12)?, destination: address(16)? })
            }
            6 => {
                let address = |at: usize| {
                    let octets: [u8; 16] = bytes.get(start + at..start + at + 16)?.try_into().ok()?;
                    Some(IpAddr::from(Ipv6Addr::from(octets)))
                };
                let protocol = *bytes.get(start + 6)?;
                Some(Self {
                    start,
                    body: start + 40,
                    protocol,
                    source: address(8)?,
                    destination: address(24)?,
                })
            }
            _ => None,
        }
    }

    /// With its ports.
    fn flow(&self, bytes: &[u8]) -> Option<Header> {
        let (protocol, from, to) = match self.protocol {
            UDP => (Protocol::Udp, word(bytes, self.body)?, word(bytes, self.body + 2)?),
            TCP => (Protocol::Tcp, word(bytes, self.body)?, word(bytes, self.body + 2)?),
            ICMP | ICMPV6 => {
                let identifier = word(bytes, self.body + 4)?;
                match (self.protocol, *bytes.get(self.body)?) {
                    (ICMP, 8) | (ICMPV6, 128) => (Protocol::Echo, identifier, 0),
                    (ICMP, 0) | (ICMPV6, 129) => (Protocol::Echo, 0, identifier),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let source = SocketAddr::new(self.source, from);
        let destination = SocketAddr::new(self.destination, to);
        Some(Header { start: self.start, body: self.body, flow: Flow { protocol, source, destination } })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let pair: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_be_bytes(pair))
}

fn folded(mut sum: u32) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

/// RFC 1071.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    !folded(words.fold(0, |sum, word| u32::from(folded(sum + word))))
}

/// Packets for tests, with right checksums.
#[cfg(test)]
pub(crate) mod made {
    use super::*;

    fn ipv4(protocol: u8, source: SocketAddr, destination: SocketAddr, body: &[u8]) -> Vec<u8> {
        let (IpAddr::V4(from), IpAddr::V4(to)) = (source.ip(), destination.ip()) else { panic!("IPv4") };
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0];
        packet[2..4].copy_from_slice(&(20 + body.len() as u16).to_be_bytes());
        packet.extend(from.octets());
        packet.extend(to.octets());
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(body);
        packet
    }

    /// With the pseudo-header (RFC 768).
    fn transport_sum(source: SocketAddr, destination: SocketAddr, protocol: u8, body: &[u8]) -> u16 {
        let (IpAddr::V4(from), IpAddr::V4(to)) = (source.ip(), destination.ip()) else { panic!("IPv4") };
        let mut all = [from.octets(), to.octets()].concat();
        all.extend([0, protocol]);
        all.extend((body.len() as u16).to_be_bytes());
        all.extend(body);
        checksum(&all)
    }

    pub(crate) fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
        let mut body = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
        body.extend((8 + payload.len() as u16).to_be_bytes());
        body.extend([0, 0]);
        body.extend(payload);
        let sum = transport_sum(source, destination, UDP, &body);
        body[6..8].copy_from_slice(&sum.to_be_bytes());
        ipv4(UDP, source, destination, &body)
    }

    pub(crate) fn tcp(source: SocketAddr, destination: SocketAddr, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut body = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
        body.extend([0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, flags, 1, 0, 0, 0, 0, 0]);
        body.extend(payload);
        let sum = transport_sum(source, destination, TCP, &body);
        body[16..18].copy_from_slice(&sum.to_be_bytes());
        ipv4(TCP, source, destination, &body)
    }

    pub(crate) fn echo(kind: u8, source: IpAddr, destination: IpAddr, identifier: u16) -> Vec<u8> {
        let mut body = vec![kind, 0, 0, 0];
        body.extend(identifier.to_be_bytes());
        body.extend([0, 1, 1, 2, 3]);
        let sum = checksum(&body);
        body[2..4].copy_from_slice(&sum.to_be_bytes());
        ipv4(ICMP, SocketAddr::new(source, 0), SocketAddr::new(destination, 0), &body)
    }

    /// "Port unreachable" about the beginning of a packet.
    pub(crate) fn unreachable(from: IpAddr, to: IpAddr, about: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3, 0, 0, 0, 0, 0, 0];
        body.extend(&about[..28]);
        let sum = checksum(&body);
        body[2..4].copy_from_slice(&sum.to_be_bytes());
        ipv4(ICMP, SocketAddr::new(from, 0), SocketAddr::new(to, 0), &body)
    }

    pub(crate) fn udp6(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
        let (IpAddr::V6(from), IpAddr::V6(to)) = (source.ip(), destination.ip()) else { panic!("IPv6") };
        let mut packet = vec![0x60, 0, 0, 0, 0, 8, UDP, 64];
        packet.extend(from.octets());
        packet.extend(to.octets());
        packet.extend(source.port().to_be_bytes());
        packet.extend(destination.port().to_be_bytes());
        packet.extend([0, 8, 0, 0]);
        packet
    }

    /// Panics where a checksum is wrong; those of quoted packets too.
    pub(crate) fn assert_sums(packet: &[u8]) {
        let header = IpHeader::parse(packet, 0).expect("IP");
        assert_eq!(checksum(&packet[..header.body]), 0, "of the IP header");
        let body = &packet[header.body..];
        match header.protocol {
            ICMP => assert_eq!(checksum(body), 0, "of ICMP"),
            protocol => {
                let (source, destination) =
                    (SocketAddr::new(header.source, 0), SocketAddr::new(header.destination, 0));
                assert_eq!(transport_sum(source, destination, protocol, body), 0, "of the transport");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_exchanged_and_every_checksum_stays_right() {
        let (alice, bob) = (socket("192.168.1.2:4000"), socket("203.0.113.9:65535"));
        let new = socket("198.51.100.8:61001");
        let packets = [
            made::udp(alice, bob, b"odd"),
            made::tcp(alice, bob, OPENING, b""),
            made::tcp(alice, bob, 0x18, b"even"),
            made::echo(8, alice.ip(), bob.ip(), alice.port()),
        ];
        for bytes in packets {
            made::assert_sums(&bytes);
            let mut packet = Packet::parse(bytes).unwrap();
            let Content::Flow(flow) = packet.content() else { panic!("a flow") };
            assert_eq!(flow.source, alice);
            packet.set(End::Source, new);
            let bytes = packet.into_bytes();
            made::assert_sums(&bytes);
            let Some(Content::Flow(after)) = Packet::parse(bytes).map(|packet| packet.content()) else {
                panic!("a flow")
            };
            assert_eq!(after, Flow { source: new, ..flow });
        }
    }

    #[test]
    fn an_error_and_the_packet_it_quotes_are_both_translated() {
        let (outside, peer) = (socket("198.51.100.8:61001"), socket("203.0.113.9:3478"));
        let inside = socket("192.168.1.2:4000");
        let quoted = made::udp(outside, peer, b"");
        let mut packet = Packet::parse(made::unreachable(peer.ip(), outside.ip(), &quoted)).unwrap();
        let Content::Error { about, .. } = packet.content() else { panic!("an error") };
        assert_eq!((about.source, about.destination), (outside, peer));
        packet.set(End::Source, inside);
        packet.set_of_error(End::Destination, inside.ip());
        let bytes = packet.into_bytes();
        made::assert_sums(&bytes);
        made::assert_sums(&bytes[28..]);
        let Some(Content::Error { to, about, .. }) = Packet::parse(bytes).map(|packet| packet.content())
        else {
            panic!("an error")
        };
        assert_eq!((to, about.source), (inside.ip(), inside));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = made::tcp(socket("192.168.1.2:4000"), socket("203.0.113.9:80"), OPENING, b"hello");
        for length in 0..whole.len() {
            if let Some(mut packet) = Packet::parse(whole[..length].to_vec()) {
                packet.set(End::Destination, socket("10.0.0.1:1"));
                packet.set_of_error(End::Source, socket("10.0.0.1:1").ip());
                let _ = (packet.opens(), packet.segment().len());
            }
        }
    }
}
