//! Bytes <-> text: Crockford's base32, and the letters and digits of whatever somebody pasted.
//!
//! Knows nothing of what the bytes mean.

/// What an offer's text begins with.
pub const PREFIX: &str = "P2P";

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Letters in a group of a reply.
const GROUP: usize = 4;

/// How many symbols this many bytes take.
pub const fn symbols_for(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// How many bytes fit into this many symbols.
pub const fn bytes_in(symbols: usize) -> usize {
    symbols * 5 / 8
}

/// Unpadded base32 in upper case; spare bits are zero.
pub fn to_base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(symbols_for(bytes.len()));
    let (mut buffer, mut bits) = (0_u16, 0);
    let mut push = |five: u16| out.extend(ALPHABET.get(usize::from(five & 31)).map(|byte| char::from(*byte)));
    for byte in bytes {
        buffer = buffer << 8 | u16::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(buffer >> bits);
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        push(buffer << (5 - bits));
    }
    out
}

/// An offer as people see it: one word.
pub fn offer_text(bytes: &[u8]) -> String {
    format!("{PREFIX}{}", to_base32(bytes))
}

/// A reply as people see it: groups of four.
pub fn reply_text(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (index, symbol) in to_base32(bytes).chars().enumerate() {
        if index > 0 && index % GROUP == 0 {
            out.push('-');
        }
        out.push(symbol);
    }
    out
}

/// One letter or digit of a pasted text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Letter {
    /// In upper case.
    pub upper: u8,
    /// It was typed in lower case.
    pub lower: bool,
    /// Something else, or nothing, stood before it.
    pub first: bool,
}

impl Letter {
    /// What it counts as, 0 to 31; O is read as 0, I and L as 1. U stands for nothing.
    pub(super) fn value(self) -> Option<u8> {
        symbol_value(self.upper)
    }
}

fn symbol_value(upper: u8) -> Option<u8> {
    let meant = match upper {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    ALPHABET.iter().position(|symbol| *symbol == meant).map(|value| value as u8)
}

/// The ASCII letters and digits of a text; everything else only separates.
pub(super) fn letters(text: &str) -> Vec<Letter> {
    let mut first = true;
    let mut out = Vec::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(Letter { upper: byte.to_ascii_uppercase(), lower: byte.is_ascii_lowercase(), first });
            first = false;
        } else {
            first = true;
        }
    }
    out
}

/// The values of letters, up to the first that has none, and at most `max`.
pub(super) fn values(letters: &[Letter], max: usize) -> Vec<u8> {
    letters.iter().take(max).map_while(|letter| letter.value()).collect()
}

/// The whole bytes in base32 values. What is left over, up to seven bits, is dropped.
pub(super) fn to_bytes(values: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes_in(values.len()));
    let (mut buffer, mut bits) = (0_u16, 0);
    for value in values {
        buffer = buffer << 5 | u16::from(*value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits) as u8);
            buffer &= (1 << bits) - 1;
        }
    }
    out
}

/// Whether the bits that the last symbol of `len` bytes has too many are zero.
pub(super) fn spare_bits_are_zero(values: &[u8], len: usize) -> bool {
    let count = symbols_for(len);
    let spare = count * 5 - len * 8;
    count
        .checked_sub(1)
        .and_then(|last| values.get(last))
        .is_some_and(|value| value & ((1 << spare) - 1) == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<u8> {
        to_bytes(&values(&letters(text), usize::MAX))
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let text = to_base32(&bytes);
            prop_assert_eq!(text.len(), symbols_for(bytes.len()));
            prop_assert_eq!(read(&text), bytes.clone());
            prop_assert!(bytes.is_empty() || spare_bits_are_zero(&values(&letters(&text), usize::MAX), bytes.len()));
            prop_assert_eq!(read(&reply_text(&bytes).to_lowercase()), bytes);
        }
    }

    #[test]
    fn letters_that_look_alike_are_read_alike() {
        assert_eq!(read("oO0iIlL1"), read("00011111"));
        assert_eq!(values(&letters("12u4"), 9), [1, 2], "U stands for nothing");
    }

    #[test]
    fn a_reply_stands_in_groups_of_four() {
        assert_eq!(
            reply_text(&[0x28, 0x75, 0x51, 0x40, 0xC6, 0x69, 0xA4, 0xBD, 0xDC, 0xEE]),
            "51TN-2G66-D6JB-VQ7E"
        );
        assert_eq!(reply_text(&[0, 0, 0]), "0000-0");
    }

    #[test]
    fn spare_bits_count() {
        assert!(spare_bits_are_zero(&[0, 0b11100], 1));
        assert!(!spare_bits_are_zero(&[0, 0b00001], 1));
        assert!(!spare_bits_are_zero(&[], 1));
    }
}
