//! What a terminal shows, and the time that the clock bar in its picture tells.

use p2pcall::media::source::clock_bar;
use p2pcall::picture::readback::{Raster, ShownCell};
use p2pcall::picture::{CellSize, Rgb, palette_color, place};
use ratatui::layout::Rect;
use std::time::Duration;

/// The end of a frame (mode 2026, synchronized output).
const FRAME_END: &[u8] = b"\x1b[?2026l";
/// The call's picture, and the rows below it that are not the picture's.
const PICTURE: (u32, u32) = (640, 360);
const STATUS_ROWS: u16 = 2;
/// Rows of cells that hold the whole bar, and a raster's pixels in a cell.
const BAR_ROWS: u16 = 2;
const CELL: (usize, usize) = (2, 12);
/// Nothing that is shown is older: a bar that says so was read wrongly.
const OLDEST: u16 = 2_000;

/// A parsed terminal.
pub(crate) struct Shown {
    parser: vt100::Parser,
    /// Where the friend's picture is.
    picture: Rect,
    /// The last bytes that came.
    tail: Vec<u8>,
    last: Option<u16>,
}

/// What a look at the bar gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reading {
    /// A new picture of this age, ms.
    Age(f64),
    /// The picture of the last look.
    Same,
    /// A time that cannot be: in the future, long ago, or before that of the last look.
    Wrong,
    /// No time.
    Unreadable,
}

impl Shown {
    /// An empty terminal of so many columns and rows.
    pub(crate) fn new((columns, rows): (u16, u16)) -> Self {
        let area = Rect::new(0, 0, columns, rows.saturating_sub(STATUS_ROWS));
        Self {
            parser: vt100::Parser::new(rows, columns, 0),
            picture: place(PICTURE, area, CellSize::default()),
            tail: Vec::new(),
            last: None,
        }
    }

    /// Bytes arrive. Whether they end a frame.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> bool {
        self.parser.process(bytes);
        self.tail.extend_from_slice(bytes);
        self.tail.drain(..self.tail.len().saturating_sub(FRAME_END.len()));
        self.tail == FRAME_END
    }

    /// Reads the bar, at this time of the machine's clock.
    pub(crate) fn read(&mut self, now: Duration) -> Reading {
        let (width, height) =
            (usize::from(self.picture.width) * CELL.0, usize::from(self.picture.height) * CELL.1);
        let raster = Raster::of_cells(self.picture.width, BAR_ROWS, |column, row| self.cell(column, row));
        let luma: Vec<u8> =
            (0..width * height).map(|at| gray(raster.pixel(at % width, at / width))).collect();
        let Some(value) = clock_bar::read(&luma, width) else { return Reading::Unreadable };
        let age = clock_bar::value_of(now).wrapping_sub(value);
        let before = self.last.replace(value);
        match before {
            _ if age > OLDEST => Reading::Wrong,
            Some(before) if before == value => Reading::Same,
            Some(before) if value.wrapping_sub(before) > u16::MAX / 2 => Reading::Wrong,
            _ => Reading::Age(f64::from(age)),
        }
    }

    /// The screen's text, for whoever has to find out what is wrong.
    pub(crate) fn text(&self) -> String {
        self.parser.screen().contents()
    }

    fn cell(&self, column: u16, row: u16) -> ShownCell {
        let blank = ShownCell { glyph: ' ', fore: [255; 3], back: [0; 3] };
        let cell = self.parser.screen().cell(self.picture.y + row, self.picture.x + column);
        cell.map_or(blank, |cell| ShownCell {
            glyph: cell.contents().chars().next().unwrap_or(' '),
            fore: rgb(cell.fgcolor(), blank.fore),
            back: rgb(cell.bgcolor(), blank.back),
        })
    }
}

fn gray([red, green, blue]: Rgb) -> u8 {
    ((u16::from(red) + u16::from(green) + u16::from(blue)) / 3) as u8
}

fn rgb(color: vt100::Color, default: Rgb) -> Rgb {
    match color {
        vt100::Color::Default => default,
        vt100::Color::Idx(index) => palette_color(index),
        vt100::Color::Rgb(red, green, blue) => [red, green, blue],
    }
}
