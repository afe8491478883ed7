//! NAT-PMP (RFC 6886), pure: requests and answers as bytes.

use super::MapError;
use std::net::Ipv4Addr;

/// RFC 6886 §3.2: a request for the outer address.
pub(super) const EXTERNAL: [u8; 2] = [0, 0];
/// RFC 6886 §3.3: the opcode that maps UDP.
const MAP_UDP: u8 = 1;
/// RFC 6886 §3.5: answers have the request's opcode and this bit.
const ANSWER: u8 = 0x80;

/// RFC 6886 §3.3: a mapping of our port; `external` is a wish, a lifetime of 0 ends it.
pub(super) fn map(internal: u16, external: u16, seconds: u32) -> [u8; 12] {
    let [i1, i0] = internal.to_be_bytes();
    let [e1, e0] = external.to_be_bytes();
    let [s3, s2, s1, s0] = seconds.to_be_bytes();
    [0, MAP_UDP, 0, 0, i1, i0, e1, e0, s3, s2, s1, s0]
}

/// The outer address; `None` if the bytes are no answer to that question.
pub(super) fn read_external(bytes: &[u8]) -> Option<Result<Ipv4Addr, MapError>> {
    let result = read_header(bytes, 0)?;
    let address = bytes.get(8..12).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    Some(result.and_then(|()| address.map(Ipv4Addr::from).ok_or(MapError::Nonsense)))
}

/// Outer port and lifetime of a mapping of this port; `None` if the bytes answer something else.
pub(super) fn read_map(bytes: &[u8], internal: u16) -> Option<Result<(u16, u32), MapError>> {
    if let Err(refused) = read_header(bytes, MAP_UDP)? {
        return Some(Err(refused));
    }
    let &[i1, i0, e1, e0, s3, s2, s1, s0] = bytes.get(8..16)? else { return None };
    let answer = (u16::from_be_bytes([e1, e0]), u32::from_be_bytes([s3, s2, s1, s0]));
    (u16::from_be_bytes([i1, i0]) == internal).then_some(Ok(answer))
}

/// Version, opcode and result code.
fn read_header(bytes: &[u8], opcode: u8) -> Option<Result<(), MapError>> {
    let &[version, op, high, low, ..] = bytes else { return None };
    // RFC 6886 §3.5: a gateway of another version says so with its own version in an otherwise similar answer.
    if op != opcode | ANSWER || version != 0 {
        return None;
    }
    Some(match u16::from_be_bytes([high, low]) {
        0 => Ok(()),
        code => Err(MapError::Refused(reason(code))),
    })
}

/// RFC 6886 §3.5.
fn reason(code: u16) -> String {
    match code {
        1 => "unsupported version".to_owned(),
        2 => "switched off in the router".to_owned(),
        3 => "the router has no network".to_owned(),
        4 => "the router is out of resources".to_owned(),
        5 => "unsupported opcode".to_owned(),
        other => format!("code {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mapping_is_read_back_and_anothers_is_not() {
        let answer = [0, 0x81, 0, 0, 0, 0, 0, 9, 0x13, 0x88, 0x17, 0x70, 0, 0, 0x0E, 0x10];
        assert_eq!(read_map(&answer, 5000), Some(Ok((6000, 3600))));
        assert_eq!(read_map(&answer, 5001), None);
        assert_eq!(map(5000, 0, 3600), [0, 1, 0, 0, 0x13, 0x88, 0, 0, 0, 0, 0x0E, 0x10]);
        let refused = [0, 0x81, 0, 2, 0, 0, 0, 9];
        assert!(matches!(read_map(&refused, 5000), Some(Err(MapError::Refused(why))) if why.contains("off")));
    }

    #[test]
    fn the_outer_address_is_read() {
        let answer = [0, 0x80, 0, 0, 0, 0, 0, 9, 203, 0, 113, 7];
        assert_eq!(read_external(&answer), Some(Ok(Ipv4Addr::new(203, 0, 113, 7))));
        assert_eq!(read_external(&answer[..9]), Some(Err(MapError::Nonsense)));
        assert_eq!(read_external(&[2, 0x80, 0, 1]), None);
    }

    proptest! {
        #[test]
        fn reading_anything_never_panics(bytes: Vec<u8>, port: u16) {
            let _ = (read_external(&bytes), read_map(&bytes, port));
        }
    }
}
