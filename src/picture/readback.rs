//! The way back: what a terminal shows, as pixels, to be compared with the picture that was meant. For tests
//! and benchmarks.
//!
//! It does not parse terminal output: whoever does tells it what stands in each cell.

use std::collections::HashMap;

use ratatui::layout::Rect;

use super::{
    ascii,
    blocks::Glyphs,
    braille::Braille,
    color::{Rgb, luma},
    half::Half,
    octant::Octant,
    quadrant::Quadrant,
    sample::{Grid, Sampler, Wanted},
    sextant::Sextant,
    source::PictureSource,
};

/// What stands in one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownCell {
    /// The character.
    pub glyph: char,
    /// Its colour.
    pub fore: Rgb,
    /// The colour of the ground.
    pub back: Rgb,
}

/// Pixels of a cell: every grid of blocks divides it evenly.
const CELL: Grid = Grid { across: 2, down: 12 };

/// The pixels of a rectangle of cells: two across and twelve down in each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    columns: u16,
    rows: u16,
    /// Cell by cell, in each row by row.
    pixels: Vec<Rgb>,
}

impl Raster {
    /// What is shown: `cell` is asked for the cell at each column and row. Braille is taken to fill its blocks,
    /// a glyph of the ASCII ramp to dim its colour, anything else to be ground.
    pub fn of_cells(columns: u16, rows: u16, cell: impl Fn(u16, u16) -> ShownCell) -> Self {
        let shapes = shapes();
        let mut pixels = Vec::with_capacity(usize::from(columns) * usize::from(rows) * CELL.count());
        for row in 0..rows {
            for column in 0..columns {
                let shown = cell(column, row);
                let place = |pixel: usize| (pixel % CELL.across, pixel / CELL.across);
                pixels.extend((0..CELL.count()).map(|pixel| color_at(&shapes, shown, place(pixel))));
            }
        }
        Self { columns, rows, pixels }
    }

    /// What should be shown: the picture itself, scaled to fill so many cells.
    pub fn of_picture(columns: u16, rows: u16, picture: &PictureSource<'_>) -> Self {
        let (across, down) = (usize::from(columns), usize::from(rows));
        let wanted = Wanted { columns: across, rows: down, grid: CELL, mirrored: false, dither: 0 };
        Self { columns, rows, pixels: Sampler::default().sample(picture, wanted).to_vec() }
    }

    /// A pixel, counted from the upper left; black outside.
    pub fn pixel(&self, x: usize, y: usize) -> Rgb {
        let (column, row) = (x / CELL.across, y / CELL.down);
        let cell = row * usize::from(self.columns) + column;
        let within = y % CELL.down * CELL.across + x % CELL.across;
        let inside = column < usize::from(self.columns);
        self.pixels.get(cell * CELL.count() + within).filter(|_| inside).copied().unwrap_or_default()
    }

    /// The mean luma (0 to 255) of some cells of the raster; 0 where it has none.
    pub fn mean_luma(&self, cells: Rect) -> f32 {
        let all = Rect::new(0, 0, self.columns, self.rows);
        let (mut sum, mut count) = (0.0, 0.0f32);
        for at in all.intersection(cells).positions() {
            let cell = usize::from(at.y) * usize::from(self.columns) + usize::from(at.x);
            for &pixel in self.pixels.iter().skip(cell * CELL.count()).take(CELL.count()) {
                sum += f32::from(luma(pixel));
                count += 1.0;
            }
        }
        sum / count.max(1.0)
    }

    /// Peak signal to noise ratio in dB over all three colours; infinite for equal rasters.
    pub fn psnr(&self, other: &Self) -> f64 {
        let pairs = self.pixels.iter().flatten().zip(other.pixels.iter().flatten());
        let error: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
        let mean = error as f64 / (self.pixels.len().max(1) * 3) as f64;
        10.0 * (255.0 * 255.0 / mean).log10()
    }
}

/// The blocks that each glyph sets.
fn shapes() -> HashMap<char, (Grid, u8)> {
    fn all<G: Glyphs>() -> impl Iterator<Item = (char, (Grid, u8))> {
        let last = ((1u16 << G::GRID.count()) - 1) as u8;
        (0..=last).map(|shape| (G::glyph(shape), (G::GRID, shape)))
    }
    all::<Braille>()
        .chain(all::<Octant>())
        .chain(all::<Sextant>())
        .chain(all::<Quadrant>())
        .chain(all::<Half>())
        .collect()
}

fn color_at(shapes: &HashMap<char, (Grid, u8)>, shown: ShownCell, (x, y): (usize, usize)) -> Rgb {
    match (shapes.get(&shown.glyph), ascii::shape_of(shown.glyph)) {
        (Some((grid, shape)), _) => {
            let bit = y * grid.down / CELL.down * grid.across + x * grid.across / CELL.across;
            if shape >> bit & 1 == 1 { shown.fore } else { shown.back }
        }
        (None, Some(shape)) => ascii::shown(shape, shown.fore),
        (None, None) => shown.back,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_light_the_blocks_they_show() {
        let check = |glyph, expect: f32| {
            let raster = Raster::of_cells(1, 1, |_, _| ShownCell { glyph, fore: [255; 3], back: [0; 3] });
            let luma = raster.mean_luma(Rect::new(0, 0, 1, 1));
            assert!((luma - expect * 255.0).abs() < 1.0, "{glyph}: {luma}");
        };
        check(' ', 0.0);
        check('█', 1.0);
        check('▀', 0.5);
        check('▙', 0.75);
        check('🬀', 1.0 / 6.0);
        check('⠇', 3.0 / 8.0);
        check('\u{1CD00}', 1.0 / 8.0);
        check('@', 1.0);
        check('.', 28.0 / 256.0);
    }
}
