//! Reading a message without copying it (RFC 8489 §5, §14).
//!
//! [`Message::parse`] checks the whole structure once; after it nothing can fail but the meaning of values.

use super::attr::{self, Attribute};
use super::header::{Class, HEADER_LENGTH, MAGIC_COOKIE, Method, TransactionId, split_message_type};
use super::integrity::{Integrity, Key, equal, fingerprint};
use super::value::Value;

/// Why bytes are not a STUN message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Fewer bytes than the header says.
    #[error("cut off: {have} of {need} bytes")]
    Truncated {
        /// Bytes there are.
        have: usize,
        /// Bytes there should be.
        need: usize,
    },
    /// More bytes than the header says.
    #[error("{0} bytes after the end")]
    Trailing(usize),
    /// No magic cookie, top bits set, or a length that is not a multiple of four.
    #[error("not STUN")]
    NotStun,
    /// The attribute with this number reaches beyond the end.
    #[error("attribute {0:#06x} is longer than the message")]
    Overrun(u16),
}

/// Why a message is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// The attribute is not there.
    #[error("not protected")]
    Missing,
    /// It is there, but made with another key or for another message.
    #[error("wrong key")]
    Wrong,
}

/// An attribute as it stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawAttribute<'a> {
    /// Its number.
    pub code: u16,
    /// Its value, without padding.
    pub value: &'a [u8],
    /// Where it begins in the message.
    at: usize,
}

/// A STUN message whose structure has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    class: Class,
    method: Method,
    id: TransactionId,
}

impl<'a> Message<'a> {
    /// Takes exactly one message; the bytes after it must have been cut off.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let have = bytes.len();
        let Some((&[t1, t0, l1, l0, c3, c2, c1, c0], rest)) = bytes.split_first_chunk() else {
            return Err(ParseError::Truncated { have, need: HEADER_LENGTH });
        };
        let length = usize::from(u16::from_be_bytes([l1, l0]));
        if t1 >= 0x40 || !length.is_multiple_of(4) || [c3, c2, c1, c0] != MAGIC_COOKIE.to_be_bytes() {
            return Err(ParseError::NotStun);
        }
        let need = HEADER_LENGTH + length;
        let Some((&id, _)) = rest.split_first_chunk() else {
            return Err(ParseError::Truncated { have, need });
        };
        match have {
            _ if have < need => return Err(ParseError::Truncated { have, need }),
            _ if have > need => return Err(ParseError::Trailing(have - need)),
            _ => {}
        }
        let (class, method) = split_message_type(u16::from_be_bytes([t1, t0]));
        let mut walk = Walk { bytes, at: HEADER_LENGTH };
        while walk.step()?.is_some() {}
        Ok(Self { bytes, class, method, id: TransactionId(id) })
    }

    /// Request, indication, success or error.
    pub fn class(&self) -> Class {
        self.class
    }

    /// What the message is about.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The transaction it belongs to.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// The whole message.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Everything that counts, in order. What follows MESSAGE-INTEGRITY (but for MESSAGE-INTEGRITY-SHA256 and
    /// FINGERPRINT) is left out, as are attributes after FINGERPRINT (RFC 8489 §14.5-14.7).
    pub fn attributes(&self) -> impl Iterator<Item = RawAttribute<'a>> + use<'a> {
        let mut walk = Walk { bytes: self.bytes, at: HEADER_LENGTH };
        let mut allowed = Allowed::Everything;
        std::iter::from_fn(move || {
            loop {
                let attribute = walk.step().ok().flatten()?;
                if allowed.admit(attribute.code) {
                    return Some(attribute);
                }
            }
        })
    }

    /// The value of the first such attribute; `None` if it is absent or malformed.
    pub fn get<V: Value>(&self, attribute: Attribute<V>) -> Option<V::Of<'a>> {
        V::read(self.find(attribute.code())?.value, &self.id)
    }

    /// Whether there is such an attribute, well-formed or not.
    pub fn contains<V: Value>(&self, attribute: Attribute<V>) -> bool {
        self.find(attribute.code()).is_some()
    }

    /// The values of all such attributes in order, without malformed ones.
    pub fn all<V: Value>(&self, attribute: Attribute<V>) -> impl Iterator<Item = V::Of<'a>> {
        let id = self.id;
        self.attributes()
            .filter(move |raw| raw.code == attribute.code())
            .filter_map(move |raw| V::read(raw.value, &id))
    }

    /// The comprehension-required attributes which the table of [`attr`] does not have: a request that holds
    /// one is answered with 420 and UNKNOWN-ATTRIBUTES (RFC 8489 §6.3.1).
    pub fn unknown_required(&self) -> impl Iterator<Item = u16> {
        let codes = self.attributes().map(|raw| raw.code);
        codes.filter(|&code| attr::is_required(code) && attr::name(code).is_none())
    }

    /// Whether the message was made with this key and is unchanged up to its integrity attribute.
    pub fn verify(&self, key: &Key, integrity: Integrity) -> Result<(), IntegrityError> {
        let code = match integrity {
            Integrity::Sha1 => attr::MESSAGE_INTEGRITY.code(),
            Integrity::Sha256 => attr::MESSAGE_INTEGRITY_SHA256.code(),
        };
        let found = self.find(code).ok_or(IntegrityError::Missing)?;
        let parts = self.before(&found).ok_or(IntegrityError::Wrong)?;
        let good = match integrity {
            Integrity::Sha1 => equal(&key.sha1(&parts.as_slices()), found.value),
            // RFC 8489 §14.6: it may be cut, but not below 16 bytes, to a multiple of four.
            Integrity::Sha256 => {
                let length = found.value.len();
                let whole = key.sha256(&parts.as_slices());
                length >= 16
                    && length.is_multiple_of(4)
                    && whole.get(..length).is_some_and(|mac| equal(mac, found.value))
            }
        };
        if good { Ok(()) } else { Err(IntegrityError::Wrong) }
    }

    /// Whether FINGERPRINT is right; `None` without one (RFC 8489 §14.7).
    pub fn verify_fingerprint(&self) -> Option<bool> {
        let found = self.find(attr::FINGERPRINT.code())?;
        let parts = self.before(&found)?;
        Some(fingerprint(&parts.as_slices()).to_be_bytes() == found.value)
    }

    fn find(&self, code: u16) -> Option<RawAttribute<'a>> {
        self.attributes().find(|raw| raw.code == code)
    }

    /// The message up to an attribute, with the length that reaches to the end of that attribute.
    fn before(&self, attribute: &RawAttribute<'_>) -> Option<Protected<'a>> {
        let end = attribute.at + 4 + attribute.value.len().next_multiple_of(4);
        let length = u16::try_from(end - HEADER_LENGTH).ok()?.to_be_bytes();
        Some(Protected { kind: self.bytes.get(..2)?, length, rest: self.bytes.get(4..attribute.at)? })
    }
}

/// What an integrity attribute covers.
struct Protected<'a> {
    kind: &'a [u8],
    length: [u8; 2],
    rest: &'a [u8],
}

impl Protected<'_> {
    fn as_slices(&self) -> [&[u8]; 3] {
        [self.kind, &self.length, self.rest]
    }
}

/// What may still come, given what was seen.
#[derive(Clone, Copy)]
enum Allowed {
    Everything,
    Sha256OrFingerprint,
    Fingerprint,
    Nothing,
}

impl Allowed {
    fn admit(&mut self, code: u16) -> bool {
        let sha256 = attr::MESSAGE_INTEGRITY_SHA256.code();
        let fingerprint = attr::FINGERPRINT.code();
        let admitted = match self {
            Self::Everything => true,
            Self::Sha256OrFingerprint => code == sha256 || code == fingerprint,
            Self::Fingerprint => code == fingerprint,
            Self::Nothing => false,
        };
        if admitted {
            *self = match code {
                code if code == attr::MESSAGE_INTEGRITY.code() => Self::Sha256OrFingerprint,
                code if code == sha256 => Self::Fingerprint,
                code if code == fingerprint => Self::Nothing,
                _ => *self,
            };
        }
        admitted
    }
}

/// Walks over attributes by their lengths.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn step(&mut self) -> Result<Option<RawAttribute<'a>>, ParseError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some((&[c1, c0, l1, l0], rest)) = rest.split_first_chunk() else { return Ok(None) };
        let code = u16::from_be_bytes([c1, c0]);
        let length = usize::from(u16::from_be_bytes([l1, l0]));
        let padded = length.next_multiple_of(4);
        let value =
            rest.get(..padded).and_then(|padded| padded.get(..length)).ok_or(ParseError::Overrun(code))?;
        let at = self.at;
        self.at += 4 + padded;
        Ok(Some(RawAttribute { code, value, at }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stun::{Builder, Seal};

    const ID: TransactionId = TransactionId([9; 12]);

    fn request<'b>(buffer: &'b mut [u8], seal: Seal<'_>) -> &'b [u8] {
        let builder = Builder::new(buffer, Class::Request, Method::ALLOCATE, ID);
        builder.put(attr::LIFETIME, 600).put(attr::USERNAME, "alice").finish(seal).unwrap()
    }

    #[test]
    fn what_is_not_one_message_is_refused() {
        let mut buffer = [0; 64];
        let good = request(&mut buffer, Seal::NONE).to_vec();
        let check = |change: fn(&mut Vec<u8>), expect: ParseError| {
            let mut bytes = good.clone();
            change(&mut bytes);
            assert_eq!(Message::parse(&bytes).unwrap_err(), expect);
        };
        check(|b| b.truncate(7), ParseError::Truncated { have: 7, need: 20 });
        check(|b| b.truncate(19), ParseError::Truncated { have: 19, need: 40 });
        check(|b| b.truncate(39), ParseError::Truncated { have: 39, need: 40 });
        check(|b| b.push(0), ParseError::Trailing(1));
        check(|b| b[0] |= 0x40, ParseError::NotStun);
        check(|b| b[3] -= 1, ParseError::NotStun);
        check(|b| b[4] ^= 1, ParseError::NotStun);
        check(|b| b[31] = 9, ParseError::Overrun(attr::USERNAME.code()));
        check(
            |b| b[2..4].copy_from_slice(&[0xFF, 0xFC]),
            ParseError::Truncated { have: 40, need: 20 + 0xFFFC },
        );
    }

    #[test]
    fn the_longest_length_does_not_wrap() {
        let mut bytes = vec![0; HEADER_LENGTH + 0xFFFC];
        bytes[2..4].copy_from_slice(&[0xFF, 0xFC]);
        bytes[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        bytes[20..24].copy_from_slice(&[0x00, 0x13, 0xFF, 0xF8]);
        assert_eq!(Message::parse(&bytes).unwrap().get(attr::DATA).map(<[u8]>::len), Some(0xFFF8));
        bytes[23] = 0xFC;
        assert_eq!(Message::parse(&bytes).unwrap_err(), ParseError::Overrun(0x0013));
    }

    #[test]
    fn the_first_of_two_wins_and_what_follows_the_integrity_is_ignored() {
        let key = Key::short_term("password");
        let mut buffer = [0; 128];
        let builder = Builder::new(&mut buffer, Class::Request, Method::REFRESH, ID);
        let signed =
            builder.put(attr::LIFETIME, 1).put(attr::LIFETIME, 2).finish(Seal::signed(&key)).unwrap();
        let mut bytes = signed.to_vec();
        bytes.extend([0x7F, 0x00, 0x00, 0x00, 0x00, 0x18, 0x00, 0x01, 0x80, 0x00, 0x00, 0x00]);
        bytes[3] += 12;
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.get(attr::LIFETIME), Some(1));
        assert_eq!(message.all(attr::LIFETIME).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(message.get(attr::EVEN_PORT), None);
        assert_eq!(message.unknown_required().count(), 0);
        assert_eq!(message.verify(&key, Integrity::Sha1), Ok(()));
    }

    #[test]
    fn a_required_attribute_unknown_here_is_reported() {
        let mut bytes = request(&mut [0; 64], Seal::NONE).to_vec();
        bytes[28..30].copy_from_slice(&[0x7F, 0x01]);
        let unknown: Vec<_> = Message::parse(&bytes).unwrap().unknown_required().collect();
        assert_eq!(unknown, [0x7F01]);
    }

    #[test]
    fn integrity_and_fingerprint_tell_every_flipped_bit() {
        let key = Key::short_term("password");
        for (seal, integrity) in [
            (Seal::signed(&key).with_fingerprint(), Integrity::Sha1),
            (Seal::signed_sha256(&key).with_fingerprint(), Integrity::Sha256),
        ] {
            let bytes = request(&mut [0; 256], seal).to_vec();
            let good = Message::parse(&bytes).unwrap();
            assert_eq!((good.verify(&key, integrity), good.verify_fingerprint()), (Ok(()), Some(true)));
            assert_eq!(good.verify(&Key::short_term("passwore"), integrity), Err(IntegrityError::Wrong));
            for bit in 0..8 * (bytes.len() - 8) {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let Ok(message) = Message::parse(&bytes) else { continue };
                assert_ne!(message.verify(&key, integrity), Ok(()), "bit {bit}");
                assert_ne!(message.verify_fingerprint(), Some(true), "bit {bit}");
            }
        }
    }

    #[test]
    fn an_unprotected_message_says_so() {
        let mut buffer = [0; 64];
        let message = Message::parse(request(&mut buffer, Seal::NONE)).unwrap();
        assert_eq!(message.verify(&Key::short_term("x"), Integrity::Sha1), Err(IntegrityError::Missing));
        assert_eq!(message.verify_fingerprint(), None);
    }

    fn read_everything(message: &Message<'_>) {
        let key = Key::short_term("k");
        let _ = message.attributes().count() + message.unknown_required().count();
        let _ = (message.verify(&key, Integrity::Sha1), message.verify(&key, Integrity::Sha256));
        let _ = (
            message.verify_fingerprint(),
            message.get(attr::XOR_PEER_ADDRESS),
            message.get(attr::ERROR_CODE),
        );
        let _ = (message.get(attr::UNKNOWN_ATTRIBUTES), message.get(attr::ICMP), message.get(attr::USERNAME));
        let _ = (message.get(attr::ADDRESS_ERROR_CODE), message.get(attr::PASSWORD_ALGORITHM));
    }

    proptest! {
        #[test]
        fn reading_anything_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(message) = Message::parse(&bytes) {
                read_everything(&message);
            }
        }

        #[test]
        fn reading_nearly_a_message_never_panics(
            attributes in proptest::collection::vec((0u16..0x30, 0usize..24, any::<u8>()), 0..8),
            flips in proptest::collection::vec((0usize..300, any::<u8>()), 0..4),
        ) {
            let mut bytes = vec![0, 3, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
            for (code, length, fill) in attributes {
                bytes.extend(code.to_be_bytes());
                bytes.extend((length as u16).to_be_bytes());
                bytes.extend(vec![fill; length.next_multiple_of(4)]);
            }
            let length = (bytes.len() - HEADER_LENGTH) as u16;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            for (at, flip) in flips {
                let at = at % bytes.len();
                bytes[at] ^= flip;
            }
            if let Ok(message) = Message::parse(&bytes) {
                read_everything(&message);
            }
        }
    }
}
