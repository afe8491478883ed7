//! Facts <-> bytes: the layout of the two codes, version 1 (`README.md` here has the same in words).
//!
//! Knows nothing of text, of keys but the reply's check, nor of what the facts are good for.
//!
//! ```text
//! OFFER  hdr(1) fingerprint(16|32) secret(16) expiry(2) network(2) addresses check(2)
//! REPLY  hdr(1) addresses check(2)
//! hdr    version:3 kind:2 full:1 open relay:1 wants video:1     (offer)
//!        version:3 kind:2 shown:2              wants video:1     (reply)
//! ```

mod items;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::expiry::Expiry;
use super::facts::{Fingerprint, Item, Offer, Reply, Secret};
use super::network::{NetworkSummary, Shown};

pub use items::addresses_len;

/// The one version there is.
pub const VERSION: u8 = 1;

/// Longest code, in bytes, that is written or read.
pub const MAX_BYTES: usize = 512;

/// Bytes of an offer without its addresses: the fixed fields and the check.
pub const fn offer_fixed_len(full: bool) -> usize {
    1 + if full { 32 } else { 16 } + 16 + 2 + 2 + CHECK_LEN
}

pub(super) const CHECK_LEN: usize = 2;
const CHECK_LABEL: &[u8] = b"p2pcall-ck";

const KIND_OFFER: u8 = 0;
const KIND_REPLY: u8 = 1;

const FULL: u8 = 0b100;
const OPEN_RELAY: u8 = 0b010;
const WANTS_VIDEO: u8 = 0b001;
/// Of a reply: what its maker's NAT shows to its peers.
const SHOWN_SHIFT: u8 = 1;

/// Why facts make no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A code without an address leads nowhere.
    #[error("no address to put into the code")]
    NoAddress,
    /// More than [`MAX_ITEMS`](super::facts::MAX_ITEMS).
    #[error("{0} addresses are more than a code can hold")]
    TooManyItems(usize),
    /// More than [`MAX_BYTES`].
    #[error("{0} bytes are more than a code can hold")]
    TooLong(usize),
    /// Port 0 is no port.
    #[error("port 0 in an address")]
    PortZero,
    /// A relay server without an open transport.
    #[error("a relay server with neither UDP, TCP nor TLS")]
    NoTransport,
}

/// Why bytes are no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end before the code does.
    #[error("{have} bytes of at least {need}")]
    Truncated {
        /// Bytes there are.
        have: usize,
        /// Bytes there must be at least.
        need: usize,
    },
    /// Not [`VERSION`].
    #[error("version {0}")]
    Version(u8),
    /// Neither offer nor reply, or not the one that was asked for.
    #[error("kind {0}")]
    Kind(u8),
    /// A field holds what version 1 does not allow.
    #[error("an impossible {0}")]
    Field(&'static str),
    /// The check does not agree with the first `len` bytes.
    #[error("the check bytes do not agree")]
    Check {
        /// Length of the code, with its check.
        len: usize,
    },
}

/// Reads forward through bytes that somebody else wrote.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let need = self.at + count;
        let short = DecodeError::Truncated { have: self.bytes.len(), need };
        let taken = self.bytes.get(self.at..need).ok_or(short)?;
        self.at = need;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// What has been read so far.
    fn before(&self) -> &'a [u8] {
        self.bytes.get(..self.at).unwrap_or_default()
    }
}

fn header(kind: u8, full: bool, open_relay: bool, wants_video: bool) -> u8 {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    VERSION << 5
        | kind << 3
        | flag(full, FULL)
        | flag(open_relay, OPEN_RELAY)
        | flag(wants_video, WANTS_VIDEO)
}

/// The version and the kind of a header; any byte has them.
fn expect_kind(header: u8, wanted: u8) -> Result<(), DecodeError> {
    let (version, kind) = (header >> 5, header >> 3 & 3);
    match (version, kind) {
        (VERSION, kind) if kind == wanted => Ok(()),
        (VERSION, kind) => Err(DecodeError::Kind(kind)),
        _ => Err(DecodeError::Version(version)),
    }
}

/// The two check bytes of an offer: the start of SHA-256("p2pcall-ck" || all before).
pub fn offer_check(before: &[u8]) -> [u8; CHECK_LEN] {
    let hash = Sha256::new().chain_update(CHECK_LABEL).chain_update(before).finalize();
    let [first, second, ..] = <[u8; 32]>::from(hash);
    [first, second]
}

/// Whether `bytes` end in the check of an offer, of whatever version.
pub fn offer_check_agrees(bytes: &[u8]) -> bool {
    bytes.split_last_chunk().is_some_and(|(before, check)| offer_check(before) == *check)
}

/// An offer's bytes; the same facts always give the same bytes.
pub fn encode_offer(offer: &Offer) -> Result<Vec<u8>, EncodeError> {
    let full = offer.fingerprint.is_full();
    let mut out = vec![header(KIND_OFFER, full, offer.open_relay, offer.wants_video)];
    out.extend_from_slice(offer.fingerprint.as_bytes());
    out.extend_from_slice(&offer.secret.0);
    out.extend_from_slice(&offer.expiry.to_bits().to_be_bytes());
    out.extend_from_slice(&offer.network.to_bits().to_be_bytes());
    items::encode(&offer.items, &mut out)?;
    let check = offer_check(&out);
    finish(out, check)
}

/// A reply's bytes. `check` is given all that comes before the check bytes and returns them
/// ([`CallKeys::reply_check`](super::keys::CallKeys::reply_check)).
pub fn encode_reply(
    reply: &Reply,
    check: impl FnOnce(&[u8]) -> [u8; CHECK_LEN],
) -> Result<Vec<u8>, EncodeError> {
    let mut out =
        vec![header(KIND_REPLY, false, false, reply.wants_video) | reply.shown.to_bits() << SHOWN_SHIFT];
    items::encode(&reply.items, &mut out)?;
    let check = check(&out);
    finish(out, check)
}

fn finish(mut out: Vec<u8>, check: [u8; CHECK_LEN]) -> Result<Vec<u8>, EncodeError> {
    out.extend_from_slice(&check);
    if out.len() > MAX_BYTES {
        return Err(EncodeError::TooLong(out.len()));
    }
    Ok(out)
}

/// The offer at the start of `bytes` and how many of them it is; what follows it is not looked at.
pub fn decode_offer(bytes: &[u8]) -> Result<(Offer, usize), DecodeError> {
    let mut reader = Reader::new(bytes);
    let header = reader.u8()?;
    expect_kind(header, KIND_OFFER)?;
    let fingerprint = match header & FULL {
        0 => Fingerprint::Half(reader.array()?),
        _ => Fingerprint::Full(reader.array()?),
    };
    let secret = Secret(reader.array()?);
    let expiry = Expiry::from_bits(reader.u16()?);
    let network = NetworkSummary::from_bits(reader.u16()?);
    let items = items::decode(&mut reader)?;
    let expected = offer_check(reader.before());
    let check: [u8; CHECK_LEN] = reader.array()?;
    if check != expected {
        return Err(DecodeError::Check { len: reader.at });
    }
    let (open_relay, wants_video) = (header & OPEN_RELAY != 0, header & WANTS_VIDEO != 0);
    Ok((Offer { fingerprint, secret, expiry, network, wants_video, open_relay, items }, reader.at))
}

/// The reply at the start of `bytes` and how many of them it is. Its check is not looked at: that takes the keys of
/// the call it belongs to.
pub fn decode_reply(bytes: &[u8]) -> Result<(Reply, usize), DecodeError> {
    let mut reader = Reader::new(bytes);
    let header = reader.u8()?;
    expect_kind(header, KIND_REPLY)?;
    let items: Vec<Item> = items::decode(&mut reader)?;
    reader.take(CHECK_LEN)?;
    let shown = Shown::of_bits(header >> SHOWN_SHIFT & 3);
    Ok((Reply { wants_video: header & WANTS_VIDEO != 0, shown, items }, reader.at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::code::testing::{any_offer, any_reply};

    proptest! {
        #[test]
        fn decoding_undoes_encoding(offer in any_offer(), tail in proptest::collection::vec(any::<u8>(), 0..9)) {
            let bytes = encode_offer(&offer).unwrap();
            let mut longer = bytes.clone();
            longer.extend(tail);
            prop_assert_eq!(decode_offer(&longer).unwrap(), (offer, bytes.len()));
        }

        #[test]
        fn decoding_a_reply_undoes_encoding(reply in any_reply()) {
            let bytes = encode_reply(&reply, |_| [1, 2]).unwrap();
            prop_assert_eq!(decode_reply(&bytes).unwrap(), (reply, bytes.len()));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), version in any::<bool>()) {
            if let (true, Some(first)) = (version, bytes.first_mut()) {
                *first = *first & 0x0F | 0x20;
            }
            let _ = decode_offer(&bytes);
            let _ = decode_reply(&bytes);
        }

        #[test]
        fn every_beginning_of_an_offer_is_truncated(offer in any_offer()) {
            let bytes = encode_offer(&offer).unwrap();
            for len in 0..bytes.len() {
                let result = decode_offer(&bytes[..len]);
                let Err(DecodeError::Truncated { have, need }) = result else {
                    panic!("{len} bytes: {result:?}");
                };
                prop_assert!(have == len && need > len);
            }
        }

        #[test]
        fn what_was_read_can_be_written_again(bytes in proptest::collection::vec(any::<u8>(), 3..80)) {
            let mut bytes = bytes;
            bytes[0] = bytes[0] & 0x07 | 0x28;
            if let Ok((reply, len)) = decode_reply(&bytes) {
                let again = encode_reply(&reply, |_| [0, 0]).unwrap();
                prop_assert!(again.len() <= len, "canonical is never longer");
                prop_assert_eq!(decode_reply(&again).unwrap().0, reply);
            }
        }
    }
}
