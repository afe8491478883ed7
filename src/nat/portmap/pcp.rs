//! PCP (RFC 6887), pure: the MAP request for a UDP port, and its answer.

use super::MapError;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

/// RFC 6887 §7.1: the version.
const VERSION: u8 = 2;
/// RFC 6887 §11: the opcode of MAP.
const MAP: u8 = 1;
/// RFC 6887 §7.2: the bit of an answer.
const ANSWER: u8 = 0x80;
/// The protocol number of UDP.
const UDP: u8 = 17;
/// RFC 6887 §7.1, §11.1: header and MAP together.
pub(super) const LENGTH: usize = 60;

/// What a MAP is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Map {
    /// Our address, as the gateway must see it.
    pub(super) client: Ipv4Addr,
    /// Whoever knows it owns the mapping.
    pub(super) nonce: [u8; 12],
    /// Our port.
    pub(super) internal: u16,
    /// A wish, 0.0.0.0:0 for any.
    pub(super) external: SocketAddrV4,
    /// 0 ends it.
    pub(super) seconds: u32,
}

/// RFC 6887 §7.1, §11.1.
pub(super) fn map(map: &Map) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LENGTH);
    bytes.extend([VERSION, MAP, 0, 0]);
    bytes.extend(map.seconds.to_be_bytes());
    bytes.extend(map.client.to_ipv6_mapped().octets());
    bytes.extend(map.nonce);
    bytes.extend([UDP, 0, 0, 0]);
    bytes.extend(map.internal.to_be_bytes());
    bytes.extend(map.external.port().to_be_bytes());
    bytes.extend(map.external.ip().to_ipv6_mapped().octets());
    bytes
}

/// Outer address and lifetime; `None` if the bytes answer something else.
pub(super) fn read(bytes: &[u8], asked: &Map) -> Option<Result<(SocketAddrV4, u32), MapError>> {
    let &[version, op, _, code, l3, l2, l1, l0, ..] = bytes else { return None };
    // RFC 6887 §9: a NAT-PMP gateway answers version 0 and "unsupported version".
    if version == 0 && bytes.len() < LENGTH {
        return Some(Err(MapError::Refused("the gateway speaks NAT-PMP only".to_owned())));
    }
    if version != VERSION || op != MAP | ANSWER {
        return None;
    }
    if code == 0 || bytes.len() >= LENGTH {
        let nonce = bytes.get(24..36)?;
        let &[i1, i0, e1, e0] = bytes.get(40..44)? else { return None };
        if nonce != asked.nonce || u16::from_be_bytes([i1, i0]) != asked.internal {
            return None;
        }
        if code == 0 {
            let ip = Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(44..60)?).ok()?);
            let Some(ip) = ip.to_ipv4_mapped() else { return Some(Err(MapError::Nonsense)) };
            let external = SocketAddrV4::new(ip, u16::from_be_bytes([e1, e0]));
            return Some(Ok((external, u32::from_be_bytes([l3, l2, l1, l0]))));
        }
    }
    Some(Err(MapError::Refused(reason(code))))
}

/// RFC 6887 §7.4.
fn reason(code: u8) -> String {
    match code {
        1 => "unsupported version".to_owned(),
        2 => "switched off in the router".to_owned(),
        4 => "unsupported opcode".to_owned(),
        7 => "the router's own network failed".to_owned(),
        8 => "the router is out of resources".to_owned(),
        10 => "the router has dealt out too many".to_owned(),
        12 => "another NAT lies between".to_owned(),
        other => format!("code {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked() -> Map {
        Map {
            client: Ipv4Addr::new(10, 0, 0, 2),
            nonce: [7; 12],
            internal: 5000,
            external: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
            seconds: 600,
        }
    }

    fn answer(code: u8) -> Vec<u8> {
        let external = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 7), 6000);
        let mut bytes = map(&Map { external, ..asked() });
        bytes[1] |= ANSWER;
        bytes[3] = code;
        bytes
    }

    #[test]
    fn a_mapping_is_read_back_and_anothers_is_not() {
        let (external, seconds) = read(&answer(0), &asked()).unwrap().unwrap();
        assert_eq!((external.to_string(), seconds), ("203.0.113.7:6000".to_owned(), 600));
        assert_eq!(read(&answer(0), &Map { nonce: [8; 12], ..asked() }), None);
        assert_eq!(read(&answer(0), &Map { internal: 1, ..asked() }), None);
        assert!(matches!(read(&answer(2), &asked()), Some(Err(MapError::Refused(_)))));
        assert!(matches!(read(&[0, 0x81, 0, 1, 0, 0, 0, 0], &asked()), Some(Err(MapError::Refused(_)))));
    }

    proptest! {
        #[test]
        fn reading_anything_never_panics(bytes: Vec<u8>, flip in 0usize..60, value: u8) {
            let _ = read(&bytes, &asked());
            let mut bytes = answer(0);
            bytes[flip] = value;
            let _ = read(&bytes, &asked());
            let _ = read(&bytes[..flip], &asked());
        }
    }
}
