//! Keys, MESSAGE-INTEGRITY (SHA-1, SHA-256) and FINGERPRINT arithmetic (RFC 8489 §9, §14.5-14.7).
//!
//! Knows bytes and keys only, not where in a message they stand.

use hmac::{Hmac, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

/// Which of the two integrity attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// MESSAGE-INTEGRITY: HMAC-SHA1, 20 bytes.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256: HMAC-SHA256, 32 bytes (a receiver takes 16 and more).
    Sha256,
}

/// How a long-term key is made of user, realm and password (RFC 8489 §18.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PasswordAlgorithm {
    /// Number 1.
    Md5,
    /// Number 2.
    Sha256,
}

impl PasswordAlgorithm {
    /// The value of PASSWORD-ALGORITHMS of a server that takes both, the better first.
    pub const LIST: &'static [u8] = &[0, 2, 0, 0, 0, 1, 0, 0];

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Self::Md5 => 1,
            Self::Sha256 => 2,
        }
    }

    pub(super) const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Md5),
            2 => Some(Self::Sha256),
            _ => None,
        }
    }
}

/// The key of both integrity attributes. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Box<[u8]>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// RFC 8489 §9.1.1: the password itself, as ICE uses it.
    pub fn short_term(password: &str) -> Self {
        Self(password.as_bytes().into())
    }

    /// RFC 8489 §18.5.1: the digest of `user:realm:password`. The strings are taken as they are: who wants
    /// OpaqueString (RFC 8265) applies it before.
    pub fn long_term(algorithm: PasswordAlgorithm, user: &str, realm: &str, password: &str) -> Self {
        fn digest<D: Digest>(parts: [&str; 5]) -> Box<[u8]> {
            let mut digest = D::new();
            for part in parts {
                digest.update(part);
            }
            digest.finalize().to_vec().into()
        }
        let parts = [user, ":", realm, ":", password];
        Self(match algorithm {
            PasswordAlgorithm::Md5 => digest::<Md5>(parts),
            PasswordAlgorithm::Sha256 => digest::<Sha256>(parts),
        })
    }

    /// A key of our own for another purpose, named by the parts: HMAC-SHA256 of them under the secret.
    pub(crate) fn derived(secret: &[u8], parts: &[&[u8]]) -> Self {
        Self(Self(secret.into()).sha256(parts).into())
    }

    /// HMAC-SHA1 over all parts.
    pub(crate) fn sha1(&self, parts: &[&[u8]]) -> [u8; 20] {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.0).expect("a key of any length");
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// HMAC-SHA256 over all parts.
    pub(crate) fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length");
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Compares two digests in a time that does not depend on where they differ.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b))) == 0
}

/// The value of FINGERPRINT over these bytes (RFC 8489 §14.7).
pub(super) fn fingerprint(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    let crc = bytes.fold(u32::MAX, |crc, byte| {
        let low = (crc as u8 ^ byte) as usize;
        #[expect(clippy::indexing_slicing, reason = "a byte is always below 256")]
        let step = CRC_TABLE[low];
        step ^ (crc >> 8)
    });
    !crc ^ 0x5354_554E
}

/// ISO 3309 CRC-32, reflected: what eight zero bits do to each low byte.
static CRC_TABLE: [u32; 256] = crc_table();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks the bounds")]
const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_the_standard_one() {
        assert_eq!(fingerprint(&[b"123456789"]) ^ 0x5354_554E, 0xCBF4_3926);
        assert_eq!(fingerprint(&[b"1234", b"56789"]), fingerprint(&[b"123456789"]));
    }

    #[test]
    fn equal_is_equality() {
        for (a, b) in [("", ""), ("ab", "ab"), ("ab", "ac"), ("ab", "abc")] {
            assert_eq!(equal(a.as_bytes(), b.as_bytes()), a == b, "{a} {b}");
        }
    }

    #[test]
    fn a_key_does_not_print_itself() {
        assert_eq!(format!("{:?}", Key::short_term("secret")), "Key(..)");
    }
}
