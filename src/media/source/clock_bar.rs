//! The clock bar: a time stamp in the picture itself, that survives hard compression, scaling and a terminal.
//! PURE.
//!
//! ```text
//! +---+---+---+---+---+---+---+---+---+---+---+---+---+---+---+---+
//! |15 |14 |13 |12 |11 |10 | 9 | 8 | 7 | 6 | 5 | 4 | 3 | 2 | 1 | 0 |   the top fifteenth of the picture
//! +---+---+---+---+---+---+---+---+---+---+---+---+---+---+---+---+
//! |                        the rest of it                         |
//! ```
//! Sixteen cells of equal width across the whole top, most significant bit left; white (luma 235) is 1, black
//! (16) is 0. The bits are the Gray code of a clock's milliseconds modulo 65,536: neighbouring times differ in
//! one cell, so a picture blended of two neighbours reads as one of them. [`read`] samples the middle half of
//! each cell.

use std::time::Duration;

const BITS: usize = 16;
const WHITE: u8 = 235;
const BLACK: u8 = 16;
/// A cell whose mean luma is nearer than this to the middle says nothing.
const DOUBT: i32 = 24;

/// What the bar shows for a time: its milliseconds modulo 65,536.
pub fn value_of(clock: Duration) -> u16 {
    (clock.as_millis() & 0xffff) as u16
}

/// Rows that the bar takes of a picture of so many rows.
pub fn height(rows: usize) -> usize {
    (rows / 15).max(2).min(rows)
}

/// Draws the bar into a luma raster of `width` columns, rows without padding.
pub fn draw(luma: &mut [u8], width: usize, value: u16) {
    let gray = value ^ (value >> 1);
    let bar_rows = height(luma.len() / width.max(1));
    for row in luma.chunks_exact_mut(width.max(1)).take(bar_rows) {
        for cell in 0..BITS {
            let bit = (gray >> (BITS - 1 - cell)) & 1;
            if let Some(span) = row.get_mut(cell * width / BITS..(cell + 1) * width / BITS) {
                span.fill(if bit == 1 { WHITE } else { BLACK });
            }
        }
    }
}

/// Reads the bar from a luma raster of `width` columns and whatever height, rows without padding: the picture
/// alone, without anything around it. `None` when a cell is neither white nor black.
pub fn read(luma: &[u8], width: usize) -> Option<u16> {
    if width < BITS {
        return None;
    }
    let bar_rows = height(luma.len() / width);
    let (top, bottom) = (bar_rows / 4, (bar_rows - bar_rows / 4).max(bar_rows / 4 + 1));
    let mut gray = 0u16;
    for cell in 0..BITS {
        let (left, right) = (cell * width / BITS, (cell + 1) * width / BITS);
        let quarter = (right - left) / 4;
        let rows = luma.chunks_exact(width).take(bottom).skip(top);
        let middle = rows.filter_map(|row| row.get(left + quarter..right - quarter));
        let (sum, count) =
            middle.flatten().fold((0i32, 0i32), |(sum, count), &pixel| (sum + i32::from(pixel), count + 1));
        let doubt = sum.checked_div(count)? - i32::from(WHITE / 2 + BLACK / 2);
        if doubt.abs() < DOUBT {
            return None;
        }
        gray = (gray << 1) | u16::from(doubt > 0);
    }
    let mut value = gray;
    for shift in [8, 4, 2, 1] {
        value ^= value >> shift;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_drawn_is_read(value: u16, width in 16usize..700, rows in 2usize..60) {
            let mut luma = vec![90; width * rows];
            draw(&mut luma, width, value);
            prop_assert_eq!(read(&luma, width), Some(value));
        }

        #[test]
        fn any_raster_is_read_without_panic(luma in prop::collection::vec(any::<u8>(), 0..900), width in 0usize..200) {
            let _ = read(&luma, width);
        }
    }

    #[test]
    fn a_picture_without_a_bar_says_so() {
        assert_eq!(read(&vec![126; 640 * 360], 640), None);
    }
}
