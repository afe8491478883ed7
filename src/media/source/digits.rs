//! Numbers drawn as large seven-segment digits into a luma raster. PURE.

/// ```text
///  0          bit n of a digit's pattern lights segment n
/// 5 1
///  6
/// 4 2
///  3
/// ```
const SEGMENTS: [u8; 10] = [0x3f, 0x06, 0x5b, 0x4f, 0x66, 0x6d, 0x7d, 0x07, 0x7f, 0x6f];

/// Where segment n lies in a cell of 4 by 7 units: left, top, width, height.
const BOXES: [[usize; 4]; 7] =
    [[0, 0, 4, 1], [3, 0, 1, 4], [3, 3, 1, 4], [0, 6, 4, 1], [0, 3, 1, 4], [0, 0, 1, 4], [0, 3, 4, 1]];

/// Units from one digit to the next.
const ADVANCE: usize = 5;

/// Columns that `digits` digits take at this size of a unit.
pub(super) fn width(digits: usize, unit: usize) -> usize {
    digits * ADVANCE * unit
}

/// Rows that a digit takes.
pub(super) fn height(unit: usize) -> usize {
    7 * unit
}

/// Draws the last `digits` digits of `number`, with leading zeros, its top left corner at `(left, top)`; what
/// does not fit the raster is cut off.
pub(super) fn draw(
    luma: &mut [u8],
    columns: usize,
    (left, top): (usize, usize),
    unit: usize,
    number: u64,
    digits: usize,
) {
    for place in 0..digits {
        let power = 10u64.saturating_pow((digits - 1 - place) as u32);
        let digit = (number / power % 10) as usize;
        let pattern = SEGMENTS.get(digit).copied().unwrap_or(0);
        let x = left + place * ADVANCE * unit;
        for (segment, [dx, dy, w, h]) in BOXES.into_iter().enumerate() {
            if (pattern >> segment) & 1 == 1 {
                fill(luma, columns, (x + dx * unit, top + dy * unit), (w * unit, h * unit), 235);
            }
        }
    }
}

/// Fills a box with one luma; what does not fit the raster is cut off.
pub(super) fn fill(
    luma: &mut [u8],
    columns: usize,
    (left, top): (usize, usize),
    (width, height): (usize, usize),
    value: u8,
) {
    let (from, to) = (left.min(columns), (left + width).min(columns));
    for row in luma.chunks_exact_mut(columns.max(1)).skip(top).take(height) {
        if let Some(span) = row.get_mut(from..to) {
            span.fill(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_drawn_as_a_person_reads_it() {
        let (columns, rows) = (width(3, 1), height(1));
        let mut luma = vec![0; columns * rows];
        draw(&mut luma, columns, (0, 0), 1, 1042, 3);
        let text: Vec<String> = luma
            .chunks(columns)
            .map(|row| row.iter().map(|&p| if p > 0 { '#' } else { '.' }).collect())
            .collect();
        assert_eq!(
            text,
            [
                "####.#..#.####.",
                "#..#.#..#....#.",
                "#..#.#..#....#.",
                "#..#.####.####.",
                "#..#....#.#....",
                "#..#....#.#....",
                "####....#.####.",
            ]
        );
    }
}
