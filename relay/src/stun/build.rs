//! Writing a message into a caller's buffer.
//!
//! Integrity and fingerprint are no attributes one can `put`: [`Builder::finish`] appends them, so they are
//! always last and always right.

use super::attr::{self, Attribute};
use super::header::{Class, HEADER_LENGTH, MAGIC_COOKIE, Method, TransactionId, message_type};
use super::integrity::{Integrity, Key, fingerprint};
use super::value::{Value, Writer};

/// The caller's buffer, or the 65,535 bytes of the length field, were too small for the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message does not fit")]
pub struct BufferFull;

/// How a message is protected.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'k> {
    integrity: Option<(&'k Key, Integrity)>,
    fingerprint: bool,
}

impl<'k> Seal<'k> {
    /// Not at all.
    pub const NONE: Self = Seal { integrity: None, fingerprint: false };

    /// By MESSAGE-INTEGRITY.
    pub const fn signed(key: &'k Key) -> Self {
        Self::with(key, Integrity::Sha1)
    }

    /// By MESSAGE-INTEGRITY-SHA256.
    pub const fn signed_sha256(key: &'k Key) -> Self {
        Self::with(key, Integrity::Sha256)
    }

    /// By the given one.
    pub const fn with(key: &'k Key, integrity: Integrity) -> Self {
        Seal { integrity: Some((key, integrity)), fingerprint: false }
    }

    /// And FINGERPRINT, which ICE asks for (RFC 8445 §7.1).
    #[must_use]
    pub const fn with_fingerprint(self) -> Self {
        Seal { fingerprint: true, ..self }
    }
}

/// A message in the making. A buffer too small is reported once, by [`Builder::finish`].
#[derive(Debug)]
pub struct Builder<'b> {
    out: Writer<'b>,
    id: TransactionId,
}

impl<'b> Builder<'b> {
    /// Begins a message at the start of `buffer`.
    pub fn new(buffer: &'b mut [u8], class: Class, method: Method, id: TransactionId) -> Self {
        let mut out = Writer { buffer, length: 0, full: false };
        out.bytes(&message_type(class, method).to_be_bytes());
        out.bytes(&[0, 0]);
        out.bytes(&MAGIC_COOKIE.to_be_bytes());
        out.bytes(&id.0);
        Self { out, id }
    }

    /// Appends an attribute.
    #[must_use]
    pub fn put<V: Value>(self, attribute: Attribute<V>, value: V::Of<'_>) -> Self {
        let id = self.id;
        self.append(attribute.code(), |out| V::write(value, &id, out))
    }

    /// Appends an attribute if there is a value.
    #[must_use]
    pub fn put_some<V: Value>(self, attribute: Attribute<V>, value: Option<V::Of<'_>>) -> Self {
        match value {
            Some(value) => self.put(attribute, value),
            None => self,
        }
    }

    /// Appends integrity and fingerprint as asked and returns the message.
    pub fn finish(mut self, seal: Seal<'_>) -> Result<&'b mut [u8], BufferFull> {
        if let Some((key, integrity)) = seal.integrity {
            self = match integrity {
                Integrity::Sha1 => {
                    let mac = key.sha1(&[self.up_to_an_attribute_of(20)]);
                    self.append(attr::MESSAGE_INTEGRITY.code(), |out| out.bytes(&mac))
                }
                Integrity::Sha256 => {
                    let mac = key.sha256(&[self.up_to_an_attribute_of(32)]);
                    self.append(attr::MESSAGE_INTEGRITY_SHA256.code(), |out| out.bytes(&mac))
                }
            };
        }
        if seal.fingerprint {
            let crc = fingerprint(&[self.up_to_an_attribute_of(4)]);
            self = self.append(attr::FINGERPRINT.code(), |out| out.bytes(&crc.to_be_bytes()));
        }
        let length = self.out.length;
        self.set_length(length);
        if self.out.full {
            return Err(BufferFull);
        }
        self.out.buffer.get_mut(..length).ok_or(BufferFull)
    }

    fn append(mut self, code: u16, write: impl FnOnce(&mut Writer<'_>)) -> Self {
        let start = self.out.length;
        self.out.bytes(&code.to_be_bytes());
        self.out.bytes(&[0, 0]);
        write(&mut self.out);
        let value = self.out.length.saturating_sub(start + 4);
        match (u16::try_from(value), self.out.buffer.get_mut(start + 2..start + 4)) {
            (Ok(length), Some(field)) => field.copy_from_slice(&length.to_be_bytes()),
            _ => self.out.full = true,
        }
        self.out.pad();
        self
    }

    /// The message so far, its length counting one more attribute of `value` bytes (RFC 8489 §14.5).
    fn up_to_an_attribute_of(&mut self, value: usize) -> &[u8] {
        let length = self.out.length;
        self.set_length(length + 4 + value);
        self.out.buffer.get(..length).unwrap_or_default()
    }

    fn set_length(&mut self, total: usize) {
        match (u16::try_from(total.saturating_sub(HEADER_LENGTH)), self.out.buffer.get_mut(2..4)) {
            (Ok(length), Some(field)) => field.copy_from_slice(&length.to_be_bytes()),
            _ => self.out.full = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::stun::{AddressFamily, ErrorCode, Icmp, Message, PasswordAlgorithm};

    const ID: TransactionId = TransactionId([0xA5; 12]);

    fn start(buffer: &mut [u8]) -> Builder<'_> {
        Builder::new(buffer, Class::Success, Method::ALLOCATE, ID)
    }

    #[test]
    fn padding_is_zero_though_the_buffer_was_not() {
        let mut buffer = [0xFF; 64];
        let bytes = start(&mut buffer).put(attr::REALM, "p").finish(Seal::NONE).unwrap();
        assert_eq!(bytes[20..], [0x00, 0x14, 0x00, 0x01, b'p', 0, 0, 0]);
    }

    #[test]
    fn a_buffer_too_small_by_one_is_reported() {
        let key = Key::short_term("k");
        let write = |buffer: &mut [u8]| {
            let seal = Seal::signed(&key).with_fingerprint();
            start(buffer).put(attr::LIFETIME, 5).finish(seal).map(|bytes| bytes.len())
        };
        assert_eq!(write(&mut [0; 60]), Ok(60));
        for length in 0..60 {
            assert_eq!(write(&mut vec![0; length]), Err(BufferFull), "{length}");
        }
    }

    #[test]
    fn a_message_beyond_its_length_field_is_reported() {
        let mut buffer = vec![0; 200_000];
        let longest = vec![0; 0xFFF8];
        assert!(start(&mut buffer).put(attr::DATA, &longest).finish(Seal::NONE).is_ok());
        let too_long = vec![0; 0xFFFD];
        assert_eq!(start(&mut buffer).put(attr::DATA, &too_long).finish(Seal::NONE), Err(BufferFull));
        let never = vec![0; 0x1_0000];
        assert_eq!(start(&mut buffer).put(attr::DATA, &never).finish(Seal::NONE), Err(BufferFull));
    }

    #[test]
    fn every_shape_is_read_as_it_was_written() {
        let error = ErrorCode { code: 437, reason: "Mismatch" };
        let icmp = Icmp { kind: 3, code: 4, data: 1400 };
        let mut buffer = [0; 512];
        let bytes = start(&mut buffer)
            .put(attr::ERROR_CODE, error)
            .put(attr::ADDRESS_ERROR_CODE, (AddressFamily::V6, error))
            .put(attr::UNKNOWN_ATTRIBUTES, &[[0x7F, 1], [0x7F, 2], [0x7F, 3]])
            .put(attr::ICMP, icmp)
            .put(attr::EVEN_PORT, attr::RESERVE_NEXT)
            .put(attr::REQUESTED_TRANSPORT, attr::UDP)
            .put(attr::REQUESTED_ADDRESS_FAMILY, AddressFamily::Other(9))
            .put(attr::CHANNEL_NUMBER, 0x4001)
            .put(attr::DONT_FRAGMENT, ())
            .put(attr::ICE_CONTROLLING, u64::MAX - 1)
            .put(attr::PASSWORD_ALGORITHM, PasswordAlgorithm::Sha256)
            .put_some(attr::DOORBELL, None)
            .put_some(attr::GUEST, Some(&[1, 2, 3]))
            .finish(Seal::NONE)
            .unwrap();
        let message = Message::parse(bytes).unwrap();
        assert_eq!((message.class(), message.method(), message.id()), (Class::Success, Method::ALLOCATE, ID));
        assert_eq!(message.get(attr::ERROR_CODE), Some(error));
        assert_eq!(message.get(attr::ADDRESS_ERROR_CODE), Some((AddressFamily::V6, error)));
        assert_eq!(message.get(attr::UNKNOWN_ATTRIBUTES), Some(&[[0x7F, 1], [0x7F, 2], [0x7F, 3]][..]));
        assert_eq!(message.get(attr::ICMP), Some(icmp));
        assert_eq!(message.get(attr::EVEN_PORT), Some(0x80));
        assert_eq!(message.get(attr::REQUESTED_TRANSPORT), Some(17));
        assert_eq!(message.get(attr::REQUESTED_ADDRESS_FAMILY), Some(AddressFamily::Other(9)));
        assert_eq!(message.get(attr::CHANNEL_NUMBER), Some(0x4001));
        assert_eq!(message.get(attr::DONT_FRAGMENT), Some(()));
        assert_eq!(message.get(attr::ICE_CONTROLLING), Some(u64::MAX - 1));
        assert_eq!(message.get(attr::PASSWORD_ALGORITHM), Some(PasswordAlgorithm::Sha256));
        assert_eq!(message.get(attr::DOORBELL), None);
        assert_eq!(message.get(attr::GUEST), Some(&[1, 2, 3][..]));
        assert_eq!(message.unknown_required().count(), 0);
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(
            method in 0u16..0x1000, id: [u8; 12], user in "\\PC{0,40}", data: Vec<u8>, lifetime: u32,
            plain: SocketAddr, xored: SocketAddr, sha256: bool, with_fingerprint: bool,
        ) {
            let flat = |address: SocketAddr| SocketAddr::new(address.ip(), address.port());
            let key = Key::long_term(PasswordAlgorithm::Md5, &user, "realm", "pass");
            let integrity = if sha256 { Integrity::Sha256 } else { Integrity::Sha1 };
            let seal = Seal::with(&key, integrity);
            let seal = if with_fingerprint { seal.with_fingerprint() } else { seal };
            let mut buffer = [0xEE; 1024];
            let bytes = Builder::new(&mut buffer, Class::Request, Method::new(method), TransactionId(id))
                .put(attr::USERNAME, &user)
                .put(attr::DATA, &data)
                .put(attr::LIFETIME, lifetime)
                .put(attr::OTHER_ADDRESS, plain)
                .put(attr::XOR_PEER_ADDRESS, xored)
                .finish(seal).unwrap();
            let message = Message::parse(bytes).unwrap();
            prop_assert_eq!((message.method().bits(), message.id().0), (method, id));
            prop_assert_eq!(message.get(attr::USERNAME), Some(user.as_str()));
            prop_assert_eq!(message.get(attr::DATA), Some(data.as_slice()));
            prop_assert_eq!(message.get(attr::LIFETIME), Some(lifetime));
            prop_assert_eq!(message.get(attr::OTHER_ADDRESS), Some(flat(plain)));
            prop_assert_eq!(message.get(attr::XOR_PEER_ADDRESS), Some(flat(xored)));
            prop_assert_eq!(message.verify(&key, integrity), Ok(()));
            prop_assert_eq!(message.verify_fingerprint(), with_fingerprint.then_some(true));
        }
    }
}
