//! Half blocks: two square pixels a cell, in every font. The mode to fall back to.

use super::{blocks::Glyphs, sample::Grid};

/// The glyphs.
pub(super) struct Half;

impl Glyphs for Half {
    const GRID: Grid = Grid { across: 1, down: 2 };

    fn glyph(shape: u8) -> char {
        match shape & 3 {
            0 => ' ',
            1 => '▀',
            2 => '▄',
            _ => '█',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_block_is_the_first() {
        assert_eq!((0..4).map(Half::glyph).collect::<String>(), " ▀▄█");
    }
}
