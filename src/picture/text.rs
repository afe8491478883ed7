//! Pictures made of glyphs: remembers what stands in every cell, and writes only what pays.
//!
//! ```text
//! for every cell   what stands there ──error──> is it worth any bytes at all?  no: next cell
//!                                                       │ yes
//!                  glyphs × (colours at hand | new colours) ──> the best bargain ──> bytes
//! ```
//!
//! It compares pictures, not cells: noise changes the best glyph and colours of nearly every cell in every
//! frame, but hardly how good what stands there already looks.

use ratatui::layout::{Position, Rect};

use super::{
    cell::{Cell, Choice, Fit, Pen, Terms},
    color::{ColorDepth, Ground, Rgb, decimal},
};

/// What stands in a cell now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// Something else drew there, or nobody did.
    Unknown,
    /// A space without colours.
    Blank,
    /// And the error at which it was last found that nothing better pays: while the error is not much larger,
    /// there is no need to look again. It shrinks with time, so that a better fit is not missed for long.
    Glyph(Cell, u32),
}

/// The cells of one rectangle.
#[derive(Debug)]
pub(super) struct Text {
    area: Rect,
    shown: Vec<Shown>,
    draft: Vec<Shown>,
    /// The row to begin with: where bytes ran out the last time.
    first_row: u16,
}

/// One picture to be shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    /// Cell by cell, for the cells of `placed`.
    pub(super) samples: &'a [Rgb],
    pub(super) placed: Rect,
    /// Not to be drawn on.
    pub(super) holes: &'a [Rect],
    pub(super) depth: ColorDepth,
    /// What a byte is worth, see [`Budget::dearness`](super::budget::Budget::dearness).
    pub(super) dearness: f32,
    /// Bytes that must not be exceeded.
    pub(super) limit: usize,
}

/// The mean squared error, over the samples of a cell and the three colours, that a byte has to save. Found by
/// trying on a moving head with camera noise: a third of a decibel lost, a twelfth of the bytes.
const PRICE: f32 = 0.25;

/// A frame that does not fit its limit is tried again this many times, each time with bytes dearer by
/// [`DEARER`]; after that it is cut short.
const RETRIES: u32 = 3;
const DEARER: f32 = 6.0;

/// Begin a synchronized update, save the cursor, reset the attributes.
const BEGIN: &[u8] = b"\x1b[?2026h\x1b7\x1b[0m";
/// And the way back.
const END: &[u8] = b"\x1b8\x1b[0m\x1b[?2026l";

/// More bytes than any one cell takes, with the way to it.
const MOST_OF_A_CELL: usize = 64;

impl Text {
    pub(super) fn new(area: Rect) -> Self {
        let shown = vec![Shown::Unknown; usize::from(area.width) * usize::from(area.height)];
        Self { area, draft: shown.clone(), shown, first_row: 0 }
    }

    /// Something else drew over these cells.
    pub(super) fn invalidate(&mut self, rect: Rect) {
        for at in self.area.intersection(rect).positions() {
            if let Some(shown) = index(self.area, at).and_then(|index| self.shown.get_mut(index)) {
                *shown = Shown::Unknown;
            }
        }
    }

    /// The bytes that bring the screen closer to the picture; none if it is close enough.
    pub(super) fn paint<M: Fit>(&mut self, job: &Job<'_>) -> Vec<u8> {
        let mut job = *job;
        for retries_left in (0..=RETRIES).rev() {
            self.draft.clone_from(&self.shown);
            let mut writer = Writer::new(job.depth, job.limit);
            self.clear_bars(&job, &mut writer);
            let stopped = self.draw_cells::<M>(&job, &mut writer);
            if stopped.is_none() || retries_left == 0 {
                self.first_row = stopped.unwrap_or_default();
                std::mem::swap(&mut self.shown, &mut self.draft);
                return writer.finish();
            }
            job.dearness *= DEARER;
        }
        Vec::new()
    }

    /// Makes room for pixels, which lie beneath glyphs in some terminals: blanks every cell that is not blank
    /// yet, then writes `pixels`. Nothing if there is nothing to do.
    pub(super) fn underlay(&mut self, holes: &[Rect], limit: usize, pixels: &[u8]) -> Vec<u8> {
        let depth = ColorDepth::True;
        let job = Job { samples: &[], placed: Rect::ZERO, holes, depth, dearness: 1.0, limit };
        let mut writer = Writer::new(depth, limit);
        self.draft.clone_from(&self.shown);
        self.clear_bars(&job, &mut writer);
        std::mem::swap(&mut self.shown, &mut self.draft);
        writer.out.extend_from_slice(pixels);
        writer.finish()
    }

    /// Blanks what lies beside the picture, and forgets what lies under the holes.
    fn clear_bars(&mut self, job: &Job<'_>, writer: &mut Writer) {
        for (at, shown) in self.area.positions().zip(&mut self.draft) {
            if job.holes.iter().any(|hole| hole.contains(at)) {
                *shown = Shown::Unknown;
            } else if !job.placed.contains(at) && *shown != Shown::Blank && writer.has_room() {
                writer.go(at);
                writer.put(' ');
                *shown = Shown::Blank;
            }
        }
    }

    /// Draws the cells of the picture. Returns the row at which the bytes ran out.
    fn draw_cells<M: Fit>(&mut self, job: &Job<'_>, writer: &mut Writer) -> Option<u16> {
        let price = PRICE * (3 * M::GRID.count()) as f32 * job.dearness;
        let (columns, rows) = (usize::from(job.placed.width), job.placed.height);
        let per_row = columns * M::GRID.count();
        for row in (0..rows).map(|row| (row + self.first_row) % rows) {
            let samples = job.samples.get(usize::from(row) * per_row..).unwrap_or_default();
            let start = Position { x: job.placed.x, y: job.placed.y + row };
            let shown =
                index(self.area, start).and_then(|first| self.draft.get_mut(first..)).unwrap_or_default();
            let holes = job.holes.iter().filter(|hole| (hole.top()..hole.bottom()).contains(&start.y));
            let holes: Vec<_> = holes.map(|hole| hole.left()..hole.right()).collect();
            let cells = samples.chunks_exact(M::GRID.count()).zip(shown).take(columns);
            for (x, (samples, shown)) in (start.x..).zip(cells) {
                if holes.iter().any(|hole| hole.contains(&x)) {
                    continue;
                }
                if !writer.has_room() {
                    return Some(row);
                }
                draw_cell::<M>(shown, samples, Position { x, y: start.y }, price, writer);
            }
        }
        None
    }
}

/// Draws a cell if that is worth its bytes.
fn draw_cell<M: Fit>(shown: &mut Shown, samples: &[Rgb], at: Position, price: f32, writer: &mut Writer) {
    let terms = Terms { pen: writer.pen, price, travel: writer.travel(at) };
    let mut choice = Choice::NONE;
    if let Shown::Glyph(cell, accepted) = shown {
        let error = M::error(cell, samples);
        // The least that could help: to go there and draw a glyph in the colours at hand.
        let spare = (terms.travel + 4) as f32 * price;
        if error as f32 <= *accepted as f32 + spare {
            *accepted -= *accepted / FORGET;
            return;
        }
        choice = Choice::stay(error);
        *accepted = error;
    }
    M::improve(&mut choice, samples, &terms);
    if let Some(cell) = choice.cell {
        writer.go(at);
        writer.select(&cell);
        writer.put(M::glyph(cell.shape));
        *shown = Shown::Glyph(cell, choice.error);
    }
}

/// What an accepted error loses of itself in each frame, as a divisor.
const FORGET: u32 = 16;

/// Where in `area`, counted row by row, a position is.
fn index(area: Rect, at: Position) -> Option<usize> {
    let (x, y) = (at.x.checked_sub(area.x)?, at.y.checked_sub(area.y)?);
    (x < area.width && y < area.height).then(|| usize::from(y) * usize::from(area.width) + usize::from(x))
}

/// Writes cells with as few bytes as it can, knowing where the cursor is and which colours are selected.
struct Writer {
    out: Vec<u8>,
    pen: Pen,
    cursor: Option<Position>,
    limit: usize,
}

impl Writer {
    fn new(depth: ColorDepth, limit: usize) -> Self {
        Self { out: BEGIN.to_vec(), pen: Pen::reset(depth), cursor: None, limit }
    }

    fn has_room(&self) -> bool {
        self.out.len() + END.len() + MOST_OF_A_CELL <= self.limit
    }

    /// About how many bytes it takes to get there.
    fn travel(&self, to: Position) -> u32 {
        if self.cursor == Some(to) { 0 } else { 4 }
    }

    fn go(&mut self, to: Position) {
        match self.cursor {
            Some(cursor) if cursor == to => return,
            Some(cursor) if cursor.y == to.y && cursor.x < to.x => {
                self.out.extend_from_slice(b"\x1b[");
                if to.x - cursor.x > 1 {
                    number(&mut self.out, to.x - cursor.x);
                }
                self.out.push(b'C');
            }
            _ => move_to(&mut self.out, to),
        }
        self.cursor = Some(to);
    }

    /// Selects the colours of a cell, as far as they are not selected already.
    fn select(&mut self, cell: &Cell) {
        let depth = self.pen.depth;
        let fore = cell.fore.filter(|_| cell.fore != self.pen.fore);
        let back = cell.back.filter(|_| cell.back != self.pen.back);
        if fore.is_none() && back.is_none() {
            return;
        }
        self.out.extend_from_slice(b"\x1b[");
        if let Some(ink) = fore {
            depth.select(&mut self.out, ink, Ground::Fore);
            self.pen.fore = fore;
        }
        if fore.is_some() && back.is_some() {
            self.out.push(b';');
        }
        if let Some(ink) = back {
            depth.select(&mut self.out, ink, Ground::Back);
            self.pen.back = back;
        }
        self.out.push(b'm');
    }

    fn put(&mut self, glyph: char) {
        self.out.extend_from_slice(glyph.encode_utf8(&mut [0; 4]).as_bytes());
        if let Some(cursor) = &mut self.cursor {
            cursor.x = cursor.x.saturating_add(1);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.out.len() == BEGIN.len() {
            return Vec::new();
        }
        self.out.extend_from_slice(END);
        self.out
    }
}

/// Moves the cursor, from wherever it is.
pub(super) fn move_to(out: &mut Vec<u8>, to: Position) {
    out.extend_from_slice(b"\x1b[");
    number(out, to.y.saturating_add(1));
    out.push(b';');
    number(out, to.x.saturating_add(1));
    out.push(b'H');
}

fn number(out: &mut Vec<u8>, value: u16) {
    match u8::try_from(value) {
        Ok(value) => decimal(out, value),
        Err(_) => out.extend_from_slice(value.to_string().as_bytes()),
    }
}
