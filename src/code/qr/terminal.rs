//! A QR symbol in terminal cells: two modules a cell, one above the other, both colours always painted.
//!
//! Black on white whatever the theme: of symbols in a theme's own colours none could be read on one theme or another.
//! Knows no terminal: rows of modules for who draws cells, or a text with colours for who prints lines.

use super::{Qr, STANDARD_QUIET};

/// The least quiet zone that can still be read: without any, a symbol on a dark screen is lost.
pub const LEAST_QUIET: usize = 1;

/// Black on white from the colour cube (16 and 231), which themes leave alone, unlike the first sixteen colours.
const BLACK_ON_WHITE: &str = "\u{1b}[38;5;16;48;5;231m";
const RESET: &str = "\u{1b}[0m";

/// One cell: whether its upper and its lower half are dark.
pub type Halves = (bool, bool);

/// A symbol with its quiet zone, as cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrCells {
    rows: Vec<Vec<Halves>>,
}

impl QrCells {
    /// With `quiet` light modules on each side; below, one more where the number of modules is odd.
    pub fn new(qr: &Qr, quiet: usize) -> Self {
        let side = qr.size() + 2 * quiet;
        let row = |y: usize| {
            let cell = |x| (qr.is_dark_within(quiet, x, y), qr.is_dark_within(quiet, x, y + 1));
            (0..side).map(cell).collect()
        };
        Self { rows: (0..side).step_by(2).map(row).collect() }
    }

    /// With the widest quiet zone, up to the standard's, that fits into so many columns and rows; `None` where not
    /// even the least does: then the text alone must do.
    pub fn fitting(qr: &Qr, columns: usize, rows: usize) -> Option<Self> {
        (LEAST_QUIET..=STANDARD_QUIET).rev().find_map(|quiet| {
            let side = qr.size() + 2 * quiet;
            (side <= columns && side.div_ceil(2) <= rows).then(|| Self::new(qr, quiet))
        })
    }

    /// From top to bottom.
    pub fn rows(&self) -> &[Vec<Halves>] {
        &self.rows
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    /// Rows of the terminal.
    pub fn height(&self) -> usize {
        self.rows.len()
    }

    /// As lines to print, each with its colours and ending in a line feed.
    pub fn to_ansi(&self) -> String {
        let mut out = String::new();
        for row in &self.rows {
            out.push_str(BLACK_ON_WHITE);
            out.extend(row.iter().map(|halves| glyph(*halves)));
            out.push_str(RESET);
            out.push('\n');
        }
        out
    }
}

/// What stands for a cell in black ink on white.
pub fn glyph((upper, lower): Halves) -> char {
    match (upper, lower) {
        (false, false) => ' ',
        (true, false) => '▀',
        (false, true) => '▄',
        (true, true) => '█',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::qr::scan::{scan, testing::on_screen};
    use crate::code::testing::typical;

    fn qr(full: bool) -> Qr {
        Qr::new(&typical(full).text()).unwrap()
    }

    #[test]
    fn the_sizes_are_those_of_the_table() {
        for (text_len, quiet, (rows, columns)) in [
            (74, 4, (19, 37)),
            (74, 2, (17, 33)),
            (99, 4, (21, 41)),
            (99, 2, (19, 37)),
            (125, 4, (23, 45)),
            (125, 2, (21, 41)),
            (167, 4, (25, 49)),
            (167, 2, (23, 45)),
        ] {
            let qr = Qr::new(&"A".repeat(text_len)).unwrap();
            let cells = QrCells::new(&qr, quiet);
            assert_eq!(
                (cells.height(), cells.width()),
                (rows, columns),
                "{text_len} characters, quiet {quiet}"
            );
        }
    }

    #[test]
    fn the_symbol_fits_a_terminal_of_80x24_with_its_code_below() {
        let text = typical(false).text();
        let lines_of_code = text.len().div_ceil(80);
        let cells = QrCells::fitting(&qr(false), 80, 24 - lines_of_code).unwrap();
        assert_eq!((cells.width(), cells.height()), (41, 21), "with the standard's quiet zone");
    }

    #[test]
    fn the_quiet_zone_shrinks_before_the_symbol_goes() {
        let widths: Vec<Option<usize>> = [41, 40, 39, 37, 35, 34]
            .map(|columns| QrCells::fitting(&qr(false), columns, 99).map(|cells| cells.width()))
            .into();
        assert_eq!(widths, [Some(41), Some(39), Some(39), Some(37), Some(35), None]);
        assert!(QrCells::fitting(&qr(false), 80, 17).is_none());
        assert_eq!(QrCells::fitting(&qr(false), 80, 18).unwrap().height(), 18);
    }

    #[test]
    fn the_least_quiet_zone_is_enough_on_a_dark_and_on_a_light_screen() {
        for full in [false, true] {
            let text = typical(full).text();
            let cells = QrCells::new(&qr(full), LEAST_QUIET);
            for surrounding in [0, 30, 128, 255] {
                for cell in [(8, 16), (9, 20), (7, 15), (4, 8)] {
                    let picture = on_screen(&cells, cell, surrounding);
                    let read = scan(&picture.luma, picture.width, picture.height);
                    assert_eq!(read.as_deref(), Some(text.as_str()), "on {surrounding}, cells of {cell:?}");
                }
            }
        }
    }

    #[test]
    fn without_a_quiet_zone_a_symbol_on_a_dark_screen_is_lost() {
        let picture = on_screen(&QrCells::new(&qr(false), 0), (8, 16), 0);
        assert_eq!(scan(&picture.luma, picture.width, picture.height), None);
    }

    #[test]
    fn printed_lines_carry_both_colours_and_end_clean() {
        let ansi = QrCells::new(&qr(false), 2).to_ansi();
        assert_eq!(ansi.lines().count(), 19);
        for line in ansi.lines() {
            assert!(line.starts_with("\u{1b}[38;5;16;48;5;231m") && line.ends_with("\u{1b}[0m"), "{line:?}");
            assert_eq!(line.chars().filter(|c| " ▀▄█".contains(*c)).count(), 37);
        }
    }
}
