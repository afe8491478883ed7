//! Braille patterns: two by four dots a cell, for terminals without colours and fonts without blocks.

use super::{blocks::Glyphs, sample::Grid};

/// The glyphs.
pub(super) struct Braille;

impl Glyphs for Braille {
    const GRID: Grid = Grid { across: 2, down: 4 };

    /// The first six dots count down the columns, the lower two came later: dots 1 4, 2 5, 3 6, 7 8.
    fn glyph(shape: u8) -> char {
        let dots = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];
        let set = (0..8).zip(dots).filter(|(bit, _)| shape >> bit & 1 == 1).map(|(_, dot)| dot).sum::<u32>();
        if shape == 0 { ' ' } else { char::from_u32(0x2800 + set).unwrap_or(' ') }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_where_their_bits_are() {
        assert_eq!(
            [1, 2, 4, 8, 16, 32, 64, 128].map(Braille::glyph),
            ['⠁', '⠈', '⠂', '⠐', '⠄', '⠠', '⡀', '⢀']
        );
        assert_eq!([0, 255].map(Braille::glyph), [' ', '⣿']);
    }
}
