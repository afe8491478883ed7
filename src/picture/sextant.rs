//! Sextants (Unicode 13): two by three blocks a cell. The best picture for its bytes where the terminal draws
//! these glyphs itself.

use super::{blocks::Glyphs, sample::Grid};

/// The glyphs.
pub(super) struct Sextant;

impl Glyphs for Sextant {
    const GRID: Grid = Grid { across: 2, down: 3 };

    /// U+1FB00 to U+1FB3B are in the order of our shapes, without the four that were there already.
    fn glyph(shape: u8) -> char {
        let skipped = match shape & 63 {
            0 => return ' ',
            21 => return '▌',
            42 => return '▐',
            63 => return '█',
            1..21 => 1,
            22..42 => 2,
            _ => 3,
        };
        char::from_u32(0x1FB00 + u32::from(shape & 63) - skipped).unwrap_or(' ')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_has_its_own_glyph() {
        assert_eq!([1, 2, 4, 8, 16, 32].map(Sextant::glyph), ['🬀', '🬁', '🬃', '🬇', '🬏', '🬞']);
        assert_eq!([0, 21, 42, 63, 62, 3].map(Sextant::glyph), [' ', '▌', '▐', '█', '🬻', '🬂']);
        let glyphs: std::collections::BTreeSet<_> = (0..64).map(Sextant::glyph).collect();
        assert_eq!(glyphs.len(), 64);
    }
}
