//! The addresses of a code: `base_port(2) item+`, each item in the shortest of its forms.
//!
//! ```text
//! item    tag(1) host [port(2)]                        host, srflx and relay: without a port, base_port
//! server  tag(1) host [port(2)] open(1) [tls(2)] [pin(8)]                     without a port, 3478
//! tag     type:2 form:3 explicit_port:1 more:1 reserved:1
//! open    udp:1 tcp:1 tls:2 doorbell:1 guest:1 pin:1 reserved:1
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{DecodeError, EncodeError, Reader};
use crate::code::facts::{AddressKind, DEFAULT_SERVER_PORT, DnsName, Host, Item, MAX_ITEMS, Server};

const TYPE_SERVER: u8 = 3;

const FORM_V4: u8 = 0;
const FORM_192_168: u8 = 1;
const FORM_10: u8 = 2;
const FORM_172_16: u8 = 3;
const FORM_V6: u8 = 4;
const FORM_V6_SAME_64: u8 = 5;
const FORM_NAME: u8 = 6;
const FORM_SAME_V4: u8 = 7;

const EXPLICIT_PORT: u8 = 0b100;
const MORE: u8 = 0b010;
const RESERVED: u8 = 0b001;

const OPEN_UDP: u8 = 0x80;
const OPEN_TCP: u8 = 0x40;
const OPEN_DOORBELL: u8 = 0x08;
const OPEN_GUEST: u8 = 0x04;
const OPEN_PIN: u8 = 0x02;
const OPEN_RESERVED: u8 = 0x01;

/// Ports of TURN over TLS that have a number of their own in a server item: RFC 8656's, and the one that firewalls
/// leave open.
const TLS_PORTS: [u16; 2] = [5349, 443];
const TLS_NONE: u8 = 0;
const TLS_EXPLICIT: u8 = 3;

/// How many bytes these items take in a code, base port included.
pub fn addresses_len(items: &[Item]) -> Result<usize, EncodeError> {
    let mut out = Vec::new();
    encode(items, &mut out)?;
    Ok(out.len())
}

pub(super) fn encode(items: &[Item], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match items.len() {
        0 => return Err(EncodeError::NoAddress),
        1..=MAX_ITEMS => {}
        count => return Err(EncodeError::TooManyItems(count)),
    }
    let base_port = commonest_port(items);
    out.extend_from_slice(&base_port.to_be_bytes());
    for (index, item) in items.iter().enumerate() {
        let (earlier, rest) = items.split_at(index);
        let more = if rest.len() > 1 { MORE } else { 0 };
        encode_item(item, earlier, base_port, more, out)?;
    }
    Ok(())
}

/// The port that most candidates have, of several the first; 0 where there are only servers.
fn commonest_port(items: &[Item]) -> u16 {
    let ports: Vec<u16> = items
        .iter()
        .filter_map(|item| match item {
            Item::Address { port, .. } => Some(*port),
            Item::Server(_) => None,
        })
        .collect();
    let count = |port: u16| ports.iter().filter(|other| **other == port).count();
    // max_by_key takes the last of equals, so from the back it takes the first.
    ports.iter().rev().copied().max_by_key(|port| count(*port)).unwrap_or(0)
}

fn encode_item(
    item: &Item,
    earlier: &[Item],
    base_port: u16,
    more: u8,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let (kind, port, default_port) = match item {
        Item::Address { kind, port, .. } => (type_of(*kind), *port, base_port),
        Item::Server(server) => (TYPE_SERVER, server.port, DEFAULT_SERVER_PORT),
    };
    if port == 0 {
        return Err(EncodeError::PortZero);
    }
    let (form, body) = shortest_form(item.host(), earlier);
    let explicit = if port == default_port { 0 } else { EXPLICIT_PORT };
    out.push(kind << 6 | form << 3 | explicit | more);
    out.extend_from_slice(&body);
    if explicit != 0 {
        out.extend_from_slice(&port.to_be_bytes());
    }
    match item {
        Item::Server(server) => encode_access(server, out),
        Item::Address { .. } => Ok(()),
    }
}

fn type_of(kind: AddressKind) -> u8 {
    match kind {
        AddressKind::Host => 0,
        AddressKind::Srflx => 1,
        AddressKind::Relay => 2,
    }
}

fn shortest_form(host: &Host, earlier: &[Item]) -> (u8, Vec<u8>) {
    match host {
        Host::V4(ip) => {
            if let Some(index) = earlier.iter().position(|item| item.host() == host) {
                return (FORM_SAME_V4, vec![index as u8]);
            }
            match ip.octets() {
                [192, 168, x, y] => (FORM_192_168, vec![x, y]),
                [10, x, y, z] => (FORM_10, vec![x, y, z]),
                [172, x @ 16..=31, y, z] => (FORM_172_16, vec![x, y, z]),
                octets => (FORM_V4, octets.to_vec()),
            }
        }
        Host::V6(ip) => {
            let (prefix, rest) = halves(*ip);
            match last_v6(earlier).map(halves) {
                Some((last, _)) if last == prefix => (FORM_V6_SAME_64, rest.to_vec()),
                _ => (FORM_V6, ip.octets().to_vec()),
            }
        }
        Host::Name(name) => {
            let bytes = name.as_str().as_bytes();
            (FORM_NAME, [&[bytes.len() as u8], bytes].concat())
        }
    }
}

/// The /64 of an address, and the rest.
fn halves(ip: Ipv6Addr) -> ([u8; 8], [u8; 8]) {
    let bits = ip.to_bits();
    (((bits >> 64) as u64).to_be_bytes(), (bits as u64).to_be_bytes())
}

fn last_v6(earlier: &[Item]) -> Option<Ipv6Addr> {
    earlier.iter().rev().find_map(|item| match item.host() {
        Host::V6(ip) => Some(*ip),
        _ => None,
    })
}

fn encode_access(server: &Server, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if !server.udp && !server.tcp && server.tls.is_none() {
        return Err(EncodeError::NoTransport);
    }
    if server.tls == Some(0) {
        return Err(EncodeError::PortZero);
    }
    let tls = match server.tls {
        None => TLS_NONE,
        Some(port) => {
            TLS_PORTS.iter().position(|known| *known == port).map_or(TLS_EXPLICIT, |index| index as u8 + 1)
        }
    };
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.push(
        flag(server.udp, OPEN_UDP)
            | flag(server.tcp, OPEN_TCP)
            | tls << 4
            | flag(server.doorbell, OPEN_DOORBELL)
            | flag(server.guest, OPEN_GUEST)
            | flag(server.pin.is_some(), OPEN_PIN),
    );
    if let (TLS_EXPLICIT, Some(port)) = (tls, server.tls) {
        out.extend_from_slice(&port.to_be_bytes());
    }
    out.extend_from_slice(server.pin.as_ref().map_or(&[], |pin| pin.as_slice()));
    Ok(())
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Vec<Item>, DecodeError> {
    let base_port = reader.u16()?;
    let mut items = Vec::new();
    loop {
        if items.len() == MAX_ITEMS {
            return Err(DecodeError::Field("number of addresses"));
        }
        let tag = reader.u8()?;
        if tag & RESERVED != 0 {
            return Err(DecodeError::Field("address tag"));
        }
        let item = decode_item(tag, &items, base_port, reader)?;
        items.push(item);
        if tag & MORE == 0 {
            return Ok(items);
        }
    }
}

fn decode_item(
    tag: u8,
    earlier: &[Item],
    base_port: u16,
    reader: &mut Reader<'_>,
) -> Result<Item, DecodeError> {
    let kind = match tag >> 6 {
        0 => Some(AddressKind::Host),
        1 => Some(AddressKind::Srflx),
        2 => Some(AddressKind::Relay),
        _ => None,
    };
    let host = decode_host(tag >> 3 & 7, earlier, reader)?;
    let port = match (tag & EXPLICIT_PORT, kind) {
        (0, Some(_)) => base_port,
        (0, None) => DEFAULT_SERVER_PORT,
        _ => reader.u16()?,
    };
    if port == 0 {
        return Err(DecodeError::Field("port"));
    }
    match kind {
        Some(kind) => Ok(Item::Address { kind, host, port }),
        None => decode_access(host, port, reader).map(Item::Server),
    }
}

fn decode_host(form: u8, earlier: &[Item], reader: &mut Reader<'_>) -> Result<Host, DecodeError> {
    let v4 = |octets: [u8; 4]| Ok(Host::V4(Ipv4Addr::from(octets)));
    match form {
        FORM_V4 => v4(reader.array()?),
        FORM_192_168 => {
            let [x, y] = reader.array()?;
            v4([192, 168, x, y])
        }
        FORM_10 => {
            let [x, y, z] = reader.array()?;
            v4([10, x, y, z])
        }
        FORM_172_16 => match reader.array()? {
            [x @ 16..=31, y, z] => v4([172, x, y, z]),
            _ => Err(DecodeError::Field("private address")),
        },
        FORM_V6 => Ok(Host::V6(Ipv6Addr::from(reader.array::<16>()?))),
        FORM_V6_SAME_64 => {
            let rest: [u8; 8] = reader.array()?;
            let (prefix, _) = halves(last_v6(earlier).ok_or(DecodeError::Field("reference"))?);
            let bits = u128::from(u64::from_be_bytes(prefix)) << 64 | u128::from(u64::from_be_bytes(rest));
            Ok(Host::V6(Ipv6Addr::from_bits(bits)))
        }
        FORM_NAME => decode_name(reader).map(Host::Name),
        FORM_SAME_V4 => match earlier.get(usize::from(reader.u8()?)).map(Item::host) {
            Some(host @ Host::V4(_)) => Ok(host.clone()),
            _ => Err(DecodeError::Field("reference")),
        },
        _ => Err(DecodeError::Field("address form")),
    }
}

fn decode_name(reader: &mut Reader<'_>) -> Result<DnsName, DecodeError> {
    let len = usize::from(reader.u8()?);
    let bytes = reader.take(len)?;
    let name = str::from_utf8(bytes).ok().filter(|_| bytes.iter().copied().all(DnsName::allows));
    name.and_then(DnsName::new).ok_or(DecodeError::Field("name"))
}

fn decode_access(host: Host, port: u16, reader: &mut Reader<'_>) -> Result<Server, DecodeError> {
    let open = reader.u8()?;
    if open & OPEN_RESERVED != 0 {
        return Err(DecodeError::Field("relay server"));
    }
    let tls = match open >> 4 & 3 {
        TLS_NONE => None,
        TLS_EXPLICIT => Some(reader.u16()?),
        known => TLS_PORTS.get(usize::from(known) - 1).copied(),
    };
    let pin = if open & OPEN_PIN == 0 { None } else { Some(reader.array()?) };
    let (udp, tcp) = (open & OPEN_UDP != 0, open & OPEN_TCP != 0);
    if tls == Some(0) || !(udp || tcp || tls.is_some()) {
        return Err(DecodeError::Field("relay server"));
    }
    let (doorbell, guest) = (open & OPEN_DOORBELL != 0, open & OPEN_GUEST != 0);
    Ok(Server { host, port, udp, tcp, tls, doorbell, guest, pin })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(addr: &str) -> Item {
        Item::address(AddressKind::Host, addr.parse().unwrap())
    }

    fn server(host: &str, tls: Option<u16>) -> Item {
        let host = host.parse().map_or_else(|_| Host::Name(DnsName::new(host).unwrap()), Host::V4);
        Item::Server(Server {
            host,
            port: DEFAULT_SERVER_PORT,
            udp: true,
            tcp: true,
            tls,
            doorbell: true,
            guest: true,
            pin: None,
        })
    }

    #[track_caller]
    fn check(items: &[Item], expected: &[u8]) {
        let mut bytes = Vec::new();
        encode(items, &mut bytes).unwrap();
        assert_eq!(bytes, expected);
        assert_eq!(decode(&mut Reader::new(&bytes)).unwrap(), items);
    }

    #[test]
    fn each_address_takes_its_shortest_form() {
        check(&[host("8.9.10.11:258")], &[1, 2, 0x00, 8, 9, 10, 11]);
        check(&[host("192.168.3.4:258")], &[1, 2, 0x08, 3, 4]);
        check(&[host("10.2.3.4:258")], &[1, 2, 0x10, 2, 3, 4]);
        check(&[host("172.31.3.4:258")], &[1, 2, 0x18, 31, 3, 4]);
        check(&[host("172.32.3.4:258")], &[1, 2, 0x00, 172, 32, 3, 4]);
        check(
            &[host("[2001:db8::1]:258"), host("[2001:db8::2]:258")],
            &[
                1, 2, 0x22, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x28, 0, 0, 0, 0, 0, 0,
                0, 2,
            ],
        );
    }

    #[test]
    fn the_commonest_port_is_written_once_and_the_first_of_equals_wins() {
        check(
            &[host("8.9.10.11:5"), host("8.9.10.12:6"), host("8.9.10.13:6")],
            &[0, 6, 0x06, 8, 9, 10, 11, 0, 5, 0x02, 8, 9, 10, 12, 0x00, 8, 9, 10, 13],
        );
        check(&[host("8.9.10.11:5"), host("8.9.10.11:6")], &[0, 5, 0x02, 8, 9, 10, 11, 0x3C, 0, 0, 6]);
    }

    #[test]
    fn a_relay_server_beside_its_own_relayed_address_takes_three_bytes() {
        let relay = Item::address(AddressKind::Relay, "8.9.10.11:50000".parse().unwrap());
        check(
            &[relay, server("8.9.10.11", Some(5349))],
            &[0xC3, 0x50, 0x82, 8, 9, 10, 11, 0xF8, 0, 0b1101_1100],
        );
    }

    #[test]
    fn a_relay_server_with_a_name_and_ports_of_its_own() {
        let mut item = server("a.example", Some(8443));
        if let Item::Server(server) = &mut item {
            (server.port, server.udp, server.pin) = (80, false, Some([9; 8]));
        }
        let expected =
            [&[0, 0, 0xF4, 9], b"a.example".as_slice(), &[0, 80, 0b0111_1110, 0x20, 0xFB], &[9; 8]];
        check(&[item], &expected.concat());
    }

    #[test]
    fn what_cannot_be_said_is_not_written() {
        let mut out = Vec::new();
        assert_eq!(encode(&[], &mut out), Err(EncodeError::NoAddress));
        assert_eq!(encode(&vec![host("8.9.10.11:5"); 17], &mut out), Err(EncodeError::TooManyItems(17)));
        assert_eq!(encode(&[host("8.9.10.11:0")], &mut out), Err(EncodeError::PortZero));
        let mut closed = server("8.9.10.11", None);
        if let Item::Server(server) = &mut closed {
            (server.udp, server.tcp) = (false, false);
        }
        assert_eq!(encode(&[closed], &mut out), Err(EncodeError::NoTransport));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (bytes, what) in [
            (&[0, 5, 0x01, 8, 9, 10, 11][..], "address tag"),
            (&[0, 0, 0x00, 8, 9, 10, 11], "port"),
            (&[0, 5, 0x18, 32, 3, 4], "private address"),
            (&[0, 5, 0x28, 0, 0, 0, 0, 0, 0, 0, 2], "reference"),
            (&[0, 5, 0x38, 0], "reference"),
            (&[0, 5, 0x30, 2, b'a', 0x1B], "name"),
            (&[0, 5, 0x30, 1, b'A'], "name"),
            (&[0, 5, 0x30, 0], "name"),
            (&[0, 5, 0xC0, 8, 9, 10, 11, 0x81], "relay server"),
            (&[0, 5, 0xC0, 8, 9, 10, 11, 0x0C], "relay server"),
            (&[0, 5, 0xC0, 8, 9, 10, 11, 0x30, 0, 0], "relay server"),
        ] {
            assert_eq!(decode(&mut Reader::new(bytes)), Err(DecodeError::Field(what)), "{bytes:?}");
        }
        let endless = [&[0, 5][..], &[0x02, 8, 9, 10, 11].repeat(17)].concat();
        assert_eq!(decode(&mut Reader::new(&endless)), Err(DecodeError::Field("number of addresses")));
    }
}
