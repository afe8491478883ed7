//! What a cell can show, what drawing it costs, and the bargain between the two.
//!
//! It does not know which shapes there are: that is the business of the modes, one file each.

use super::{
    color::{ColorDepth, Ink, Rgb},
    sample::Grid,
};

/// A cell's content. A colour that its shape does not show is `None` and costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// A mode's own number for a glyph.
    pub(super) shape: u8,
    pub(super) fore: Option<Ink>,
    pub(super) back: Option<Ink>,
}

/// The colours the terminal would draw with now; `None` is the terminal's default, or not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pen {
    pub(super) depth: ColorDepth,
    pub(super) fore: Option<Ink>,
    pub(super) back: Option<Ink>,
}

impl Pen {
    /// After a reset of all attributes. Without colours the default pair is the only one, and always held.
    pub(super) fn reset(depth: ColorDepth) -> Self {
        let known = depth == ColorDepth::Never;
        Self { depth, fore: known.then_some(Ink::LIGHT), back: known.then_some(Ink::DARK) }
    }

    /// Bytes it takes to change to a cell's colours.
    #[inline]
    fn change(&self, cell: &Cell) -> u32 {
        let price = |wanted: Option<Ink>, held: Option<Ink>| match wanted {
            Some(ink) if held != wanted => self.depth.price(ink),
            _ => 0,
        };
        match (price(cell.fore, self.fore), price(cell.back, self.back)) {
            (0, 0) => 0,
            (0, one) | (one, 0) => 3 + one,
            (fore, back) => 4 + fore + back,
        }
    }
}

/// One way of drawing: what it gets wrong against what it costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// `None` leaves the cell as it stands.
    pub(super) cell: Option<Cell>,
    /// Summed squared error over the samples.
    pub(super) error: u32,
    /// The error plus bytes times the price of a byte.
    pub(super) cost: f32,
}

/// The terms on which cells are drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) pen: Pen,
    /// Squared error that one byte has to save.
    pub(super) price: f32,
    /// Bytes it takes to get the cursor to this cell.
    pub(super) travel: u32,
}

impl Choice {
    /// Leaving a cell as it is.
    pub(super) fn stay(error: u32) -> Self {
        Self { cell: None, error, cost: error as f32 }
    }

    /// Nothing usable stands there: anything is better.
    pub(super) const NONE: Self = Self { cell: None, error: u32::MAX, cost: f32::INFINITY };

    /// Takes `cell` if that is the better bargain.
    #[inline]
    pub(super) fn offer(&mut self, terms: &Terms, cell: Cell, glyph: u32, error: u32) {
        let bytes = terms.travel + glyph + terms.pen.change(&cell);
        let cost = error as f32 + bytes as f32 * terms.price;
        if cost < self.cost {
            *self = Self { cell: Some(cell), error, cost };
        }
    }
}

/// A way of making pictures out of glyphs.
pub(super) trait Fit {
    /// How many samples a cell has.
    const GRID: Grid;

    /// The glyph of a shape.
    fn glyph(shape: u8) -> char;

    /// The amplitude of the dithering that makes up for missing colours.
    fn dither(depth: ColorDepth) -> i32 {
        depth.dither()
    }

    /// The squared error, over all samples, of showing `cell` where `samples` are wanted.
    fn error(cell: &Cell, samples: &[Rgb]) -> u32;

    /// Improves on `choice` where that is worth the bytes.
    fn improve(choice: &mut Choice, samples: &[Rgb], terms: &Terms);
}
