//! Which character of a mistyped code is the wrong one: the only one whose change, or exchange with the next, makes
//! the code whole. Said to the person, never mended: 16 check bits are too few to trust a mended code.
//!
//! Knows nothing of codes but a question it may ask. Works on the bytes, where a symbol is five bits: a question costs
//! little more than its answer.

use std::ops::Range;

/// Beyond this many bytes nobody types, and searching takes too long.
const MAX_BYTES: usize = 160;

/// The index of the one symbol in `range` that is probably wrong. `whole` says whether bytes make a code.
pub(super) fn suspect(
    bytes: &[u8],
    range: Range<usize>,
    mut whole: impl FnMut(&[u8]) -> bool,
) -> Option<usize> {
    if bytes.len() > MAX_BYTES {
        return None;
    }
    let mut tried = bytes.to_vec();
    let mut found = None;
    for index in range {
        if changed_makes_whole(&mut tried, index, &mut whole)
            || swapped_makes_whole(&mut tried, index, &mut whole)
        {
            match found {
                None => found = Some(index),
                Some(_) => return None,
            }
        }
    }
    found
}

fn changed_makes_whole(bytes: &mut [u8], index: usize, whole: &mut impl FnMut(&[u8]) -> bool) -> bool {
    (1..32).any(|change| {
        flip(bytes, index, change);
        let hit = whole(bytes);
        flip(bytes, index, change);
        hit
    })
}

fn swapped_makes_whole(bytes: &mut [u8], index: usize, whole: &mut impl FnMut(&[u8]) -> bool) -> bool {
    let change = symbol(bytes, index) ^ symbol(bytes, index + 1);
    if change == 0 {
        return false;
    }
    flip(bytes, index, change);
    flip(bytes, index + 1, change);
    let hit = whole(bytes);
    flip(bytes, index, change);
    flip(bytes, index + 1, change);
    hit
}

/// Where a symbol begins: its first byte, and how far its five bits stand from the end of that and the next.
fn place(index: usize) -> (usize, usize) {
    (index * 5 / 8, 11 - index * 5 % 8)
}

/// Changes those bits of a symbol that are set in `change`. Bits after the last byte are nothing to change.
fn flip(bytes: &mut [u8], index: usize, change: u8) {
    let (first, shift) = place(index);
    let [high, low] = (u16::from(change) << shift).to_be_bytes();
    if let Some(byte) = bytes.get_mut(first) {
        *byte ^= high;
    }
    if let Some(byte) = bytes.get_mut(first + 1) {
        *byte ^= low;
    }
}

fn symbol(bytes: &[u8], index: usize) -> u8 {
    let (first, shift) = place(index);
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    (u16::from_be_bytes([at(first), at(first + 1)]) >> shift) as u8 & 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::text::to_bytes;

    #[test]
    fn the_only_change_that_helps_is_the_suspect() {
        let right = to_bytes(&[1, 2, 3, 4, 5, 6, 7, 8]);
        for (wrong, expected) in [
            ([1, 2, 31, 4, 5, 6, 7, 8], Some(2)),
            ([1, 3, 2, 4, 5, 6, 7, 8], Some(1)),
            ([1, 2, 3, 4, 5, 6, 7, 9], Some(7)),
            ([9, 2, 3, 4, 9, 6, 7, 8], None),
        ] {
            assert_eq!(suspect(&to_bytes(&wrong), 0..8, |bytes| bytes == right), expected, "{wrong:?}");
        }
    }

    #[test]
    fn of_several_that_help_none_is_suspected() {
        assert_eq!(suspect(&[0, 0], 0..3, |bytes| bytes.iter().any(|byte| *byte != 0)), None);
    }
}
