//! Pictures made of pixels, for the terminals that take them: how many pixels, how often, and in which pieces,
//! so that nothing is drawn over the holes. How an image is written is in the file of each protocol.

use ratatui::layout::Rect;

use super::{
    CellSize, PictureSource,
    budget::Budget,
    color::Rgb,
    sample::{Grid, Sampler, Wanted},
};

/// Where a picture goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// The painter's rectangle.
    pub(super) area: Rect,
    /// The part of it that the picture fills.
    pub(super) placed: Rect,
    pub(super) holes: &'a [Rect],
    pub(super) cell: CellSize,
    pub(super) mirrored: bool,
}

/// An image, row by row.
#[derive(Debug)]
pub(super) struct Image<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: &'a [Rgb],
}

/// A piece of an image that is shown: these cells of the screen, and the pixels that belong to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) cells: Rect,
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// A way of sending images to a terminal.
pub(super) trait Protocol {
    /// Bytes a pixel takes; a first guess.
    const BYTES_PER_PIXEL: f64;

    /// How far its few colours make dithering necessary.
    const DITHER: i32;

    /// The size of an image for these cells with about `most` pixels.
    fn size(view: &View<'_>, most: f64) -> (usize, usize) {
        let full = full_size(view);
        let scale = (most / (full.0 * full.1)).sqrt().min(1.0);
        ((full.0 * scale).round().max(1.0) as usize, (full.1 * scale).round().max(1.0) as usize)
    }

    /// Writes an image; `turn` differs from that of the image before.
    fn write(out: &mut Vec<u8>, image: &Image<'_>, tiles: &[Tile], view: &View<'_>, turn: bool);
}

/// The pixels that the picture's cells have on the screen.
fn full_size(view: &View<'_>) -> (f64, f64) {
    let side = |cells: u16, pixels: u16| f64::from(cells.max(1)) * f64::from(pixels.max(1));
    (side(view.placed.width, view.cell.width), side(view.placed.height, view.cell.height))
}

/// What was sent last, and what it took.
#[derive(Debug, Default)]
pub(super) struct Pixels {
    sampler: Sampler,
    bytes_per_pixel: Option<f64>,
    turn: bool,
    size: Option<(usize, usize)>,
    sent: Vec<Rgb>,
    /// Something was sent since the last removal.
    pub(super) shown: bool,
    tiles: Vec<Tile>,
}

/// The budget should do for so many images a second.
const RATE: f64 = 15.0;

/// No more pixels than this: a video call's picture does not have more detail.
const MOST_PIXELS: f64 = 640.0 * 360.0;

/// And no fewer, however scarce the bytes: better seldom than not to be recognised.
const FEWEST_PIXELS: f64 = 96.0 * 54.0;

/// An image that differs from the last one by no more than this mean squared error is not worth sending.
const SAME: u64 = 3;

impl Pixels {
    /// What was sent is on the screen no longer.
    pub(super) fn forget(&mut self) {
        self.size = None;
        self.sent.clear();
    }

    /// The bytes that show the picture; none if it is the last one still, or if it has to wait.
    pub(super) fn paint<P: Protocol>(
        &mut self,
        picture: &PictureSource<'_>,
        view: &View<'_>,
        budget: &Budget,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let each = self.bytes_per_pixel.unwrap_or(P::BYTES_PER_PIXEL);
        if view.placed.is_empty() {
            return out;
        }
        let (width, height) = self.fitting_size::<P>(picture, view, budget.rate() / RATE / each);
        let wanted = Wanted {
            columns: width,
            rows: height,
            grid: Grid { across: 1, down: 1 },
            mirrored: view.mirrored,
            dither: P::DITHER,
        };
        let expected = (width * height) as f64 * each;
        if (budget.left() as f64) < expected.min(budget.depth() * 0.9) {
            return out;
        }
        let tiles = tiles(view, width, height);
        let pixels = self.sampler.sample(picture, wanted);
        if tiles == self.tiles && mean_error(pixels, &self.sent) <= SAME {
            return out;
        }
        self.turn = !self.turn;
        self.shown = true;
        P::write(&mut out, &Image { width, height, pixels }, &tiles, view, self.turn);
        self.sent.clear();
        self.sent.extend_from_slice(pixels);
        self.tiles = tiles;
        let shown: usize = self.tiles.iter().map(|tile| tile.width * tile.height).sum();
        let now = out.len() as f64 / shown.max(1) as f64;
        // Quick to learn that images are larger than thought, slow to trust that they got smaller.
        self.bytes_per_pixel = Some(now.max(0.8 * each + 0.2 * now));
        out
    }

    /// The size of the last image as long as it is not far off: images should not breathe.
    fn fitting_size<P: Protocol>(
        &mut self,
        picture: &PictureSource<'_>,
        view: &View<'_>,
        affordable: f64,
    ) -> (usize, usize) {
        let (width, height) = picture.size();
        let source = f64::from(width) * f64::from(height);
        let most = affordable.min(source.max(FEWEST_PIXELS)).clamp(FEWEST_PIXELS, MOST_PIXELS);
        let size = match self.size {
            Some(size) if (0.7..1.5).contains(&(most / (size.0 * size.1) as f64)) => size,
            _ => P::size(view, most),
        };
        self.size = Some(size);
        size
    }
}

/// Mean squared error over all colours; enormous for different sizes.
fn mean_error(one: &[Rgb], other: &[Rgb]) -> u64 {
    if one.len() != other.len() || one.is_empty() {
        return u64::MAX;
    }
    let pairs = one.iter().flatten().zip(other.iter().flatten());
    pairs.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>() / (3 * one.len() as u64)
}

/// The picture's cells without the holes, as rectangles, with the pixels of an image that lie in them.
fn tiles(view: &View<'_>, width: usize, height: usize) -> Vec<Tile> {
    let mut rects = vec![view.placed];
    for &hole in view.holes {
        rects = rects.into_iter().flat_map(|rect| without(rect, hole)).collect();
    }
    let scale = |at: u16, pixels: usize, cells: u16| usize::from(at) * pixels / usize::from(cells.max(1));
    let tile = |cells: Rect| {
        let (left, top) = (cells.x - view.placed.x, cells.y - view.placed.y);
        let across = |at: u16| scale(at, width, view.placed.width);
        let down = |at: u16| scale(at, height, view.placed.height);
        let (x, y) = (across(left), down(top));
        Tile { cells, x, y, width: across(left + cells.width) - x, height: down(top + cells.height) - y }
    };
    rects.into_iter().map(tile).filter(|tile| tile.width > 0 && tile.height > 0).collect()
}

/// What is left of a rectangle: above, below, left and right of the hole.
fn without(rect: Rect, hole: Rect) -> Vec<Rect> {
    let cut = rect.intersection(hole);
    if cut.is_empty() {
        return vec![rect];
    }
    let above = Rect { height: cut.y - rect.y, ..rect };
    let below = Rect { y: cut.bottom(), height: rect.bottom() - cut.bottom(), ..rect };
    let left = Rect { width: cut.x - rect.x, x: rect.x, ..cut };
    let right = Rect { x: cut.right(), width: rect.right() - cut.right(), ..cut };
    [above, below, left, right].into_iter().filter(|rect| !rect.is_empty()).collect()
}

/// The pixels of a tile, row by row.
pub(super) fn crop<'a>(image: &'a Image<'_>, tile: &Tile) -> impl Iterator<Item = &'a [Rgb]> {
    let (x, width) = (tile.x, tile.width);
    let rows = image.pixels.chunks_exact(image.width.max(1)).skip(tile.y).take(tile.height);
    rows.map(move |row| row.get(x..x + width).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hole_in_the_middle_leaves_four_pieces() {
        let pieces = without(Rect::new(0, 0, 10, 10), Rect::new(4, 5, 2, 3));
        let expect =
            [Rect::new(0, 0, 10, 5), Rect::new(0, 8, 10, 2), Rect::new(0, 5, 4, 3), Rect::new(6, 5, 4, 3)];
        assert_eq!(pieces, expect);
        assert_eq!(without(Rect::new(0, 0, 10, 10), Rect::new(0, 0, 10, 10)), []);
    }

    proptest! {
        #[test]
        fn pieces_cover_all_but_the_holes_and_nothing_twice(
            holes in prop::collection::vec((0..12u16, 0..12u16, 0..9u16, 0..9u16), 0..4),
        ) {
            let placed = Rect::new(2, 1, 9, 8);
            let holes: Vec<_> = holes.into_iter().map(|(x, y, width, height)| Rect { x, y, width, height }).collect();
            let view = View { area: placed, placed, holes: &holes, cell: CellSize::default(), mirrored: false };
            let tiles = tiles(&view, 9 * 8, 8 * 16);
            for at in Rect::new(0, 0, 20, 20).positions() {
                let covered = tiles.iter().filter(|tile| tile.cells.contains(at)).count();
                let visible = placed.contains(at) && !holes.iter().any(|hole| hole.contains(at));
                prop_assert_eq!(covered, usize::from(visible), "{}", at);
            }
            for tile in tiles {
                let (columns, rows) = (usize::from(tile.cells.width), usize::from(tile.cells.height));
                prop_assert_eq!((tile.width, tile.height), (8 * columns, 16 * rows));
            }
        }
    }
}
