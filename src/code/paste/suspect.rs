//! Which character of a mistyped code is the wrong one: the only one whose change, or exchange with the next, makes
//! the code whole. Said to the person, never mended: 16 check bits are too few to trust a mended code.
//!
//! Knows nothing of codes but a question it may ask.

use std::ops::Range;

/// Beyond this many symbols nobody types, and searching takes too long.
const MAX_SYMBOLS: usize = 256;

/// The index of the one symbol in `range` that is probably wrong. `whole` says whether symbols make a code.
pub(super) fn suspect(
    symbols: &[u8],
    range: Range<usize>,
    mut whole: impl FnMut(&[u8]) -> bool,
) -> Option<usize> {
    if symbols.len() > MAX_SYMBOLS {
        return None;
    }
    let mut tried = symbols.to_vec();
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

fn changed_makes_whole(symbols: &mut [u8], index: usize, whole: &mut impl FnMut(&[u8]) -> bool) -> bool {
    let Some(original) = symbols.get(index).copied() else { return false };
    let mut hit = false;
    for other in (0..32).filter(|other| *other != original) {
        if let Some(symbol) = symbols.get_mut(index) {
            *symbol = other;
        }
        hit = hit || whole(symbols);
    }
    if let Some(symbol) = symbols.get_mut(index) {
        *symbol = original;
    }
    hit
}

fn swapped_makes_whole(symbols: &mut [u8], index: usize, whole: &mut impl FnMut(&[u8]) -> bool) -> bool {
    if index + 1 >= symbols.len() || symbols.get(index) == symbols.get(index + 1) {
        return false;
    }
    symbols.swap(index, index + 1);
    let hit = whole(symbols);
    symbols.swap(index, index + 1);
    hit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_change_that_helps_is_the_suspect() {
        let right = [1, 2, 3, 4, 5];
        for (wrong, expected) in
            [([1, 2, 9, 4, 5], Some(2)), ([1, 3, 2, 4, 5], Some(1)), ([9, 2, 3, 4, 9], None)]
        {
            assert_eq!(suspect(&wrong, 0..5, |symbols| symbols == right), expected, "{wrong:?}");
        }
    }

    #[test]
    fn of_several_that_help_none_is_suspected() {
        assert_eq!(suspect(&[1, 1], 0..2, |symbols| symbols.iter().sum::<u8>() == 5), None);
    }
}
