//! Octants (Unicode 16): two by four blocks a cell. Young glyphs that few terminals draw: for those who ask.

use super::{blocks::Glyphs, sample::Grid};

/// The glyphs.
pub(super) struct Octant;

impl Glyphs for Octant {
    const GRID: Grid = Grid { across: 2, down: 4 };

    /// U+1CD00 to U+1CDE5 are in the order of our shapes, without those that were there already.
    fn glyph(shape: u8) -> char {
        let older = OLDER.partition_point(|&(older, _)| older < shape);
        match OLDER.get(older) {
            Some(&(same, glyph)) if same == shape => glyph,
            _ => char::from_u32(0x1CD00 + u32::from(shape) - older as u32).unwrap_or(' '),
        }
    }
}

/// The shapes that Unicode had before, or named otherwise.
#[rustfmt::skip]
const OLDER: [(u8, char); 26] = [
    (0x00, ' '), (0x01, '\u{1CEA8}'), (0x02, '\u{1CEAB}'), (0x03, '\u{1FB82}'), (0x05, '▘'),
    (0x0a, '▝'), (0x0f, '▀'), (0x14, '\u{1FBE6}'), (0x28, '\u{1FBE7}'), (0x3f, '\u{1FB85}'),
    (0x40, '\u{1CEA3}'), (0x50, '▖'), (0x55, '▌'), (0x5a, '▞'), (0x5f, '▛'),
    (0x80, '\u{1CEA0}'), (0xa0, '▗'), (0xa5, '▚'), (0xaa, '▐'), (0xaf, '▜'),
    (0xc0, '▂'), (0xf0, '▄'), (0xf5, '▙'), (0xfa, '▟'), (0xfc, '▆'),
    (0xff, '█'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_has_its_own_glyph() {
        let glyphs: std::collections::BTreeSet<_> = (0..=255).map(Octant::glyph).collect();
        assert_eq!(glyphs.len(), 256);
        // BLOCK OCTANT-3, -23, -123, -4, -14 are the first; -2345678 is the last.
        let first = [0b100, 0b110, 0b111, 0b1000, 0b1001].map(Octant::glyph);
        assert_eq!(first, ['\u{1CD00}', '\u{1CD01}', '\u{1CD02}', '\u{1CD03}', '\u{1CD04}']);
        assert_eq!(Octant::glyph(0b1111_1110), '\u{1CDE5}');
    }

    #[test]
    fn the_older_glyphs_are_in_order() {
        assert!(OLDER.is_sorted_by(|one, next| one.0 < next.0));
    }
}
