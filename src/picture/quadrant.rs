//! Quadrants: two by two blocks a cell, in nearly every font.

use super::{blocks::Glyphs, sample::Grid};

/// The glyphs.
pub(super) struct Quadrant;

impl Glyphs for Quadrant {
    const GRID: Grid = Grid { across: 2, down: 2 };

    fn glyph(shape: u8) -> char {
        let glyphs = [' ', '▘', '▝', '▀', '▖', '▌', '▞', '▛', '▗', '▚', '▐', '▜', '▄', '▙', '▟', '█'];
        glyphs.get(usize::from(shape & 15)).copied().unwrap_or(' ')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_count_from_the_upper_left() {
        assert_eq!([1, 2, 4, 8].map(Quadrant::glyph), ['▘', '▝', '▖', '▗']);
        assert_eq!([3, 12, 5, 10, 6, 9].map(Quadrant::glyph), ['▀', '▄', '▌', '▐', '▞', '▚']);
    }
}
