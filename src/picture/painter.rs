//! One picture on the screen: where it is, how it is drawn, and what it may cost.
//!
//! Several pictures are several painters, each told of the others' rectangles as holes.

use std::time::Duration;

use ratatui::{
    buffer::{Buffer, CellDiffOption},
    layout::Rect,
};

use super::{
    PictureSource,
    ascii::Ascii,
    blocks::Blocks,
    braille::Braille,
    budget::Budget,
    cell::Fit,
    choose::{Look, Mode},
    half::Half,
    iterm::Iterm,
    kitty::{self, Kitty},
    octant::Octant,
    pixels::{Pixels, Protocol, View},
    place::place,
    quadrant::Quadrant,
    sample::{Sampler, Wanted},
    sextant::Sextant,
    sixel::Sixel,
    text::{Job, Text},
};

/// One picture, and what has to be known to show it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The picture.
    pub picture: PictureSource<'a>,
    /// Rectangles of the screen that others draw on: nothing is drawn there, and what stood there is
    /// forgotten.
    pub holes: &'a [Rect],
    /// The time since the last frame; any, for the first one.
    pub elapsed: Duration,
}

/// Keeps ratatui's diff away from `area`, which a painter draws on: to be called in every frame, before
/// anything else (a help pane, say) is drawn over it. Cells that are drawn over are drawn in full then, also
/// where they are blank.
pub fn reserve(buffer: &mut Buffer, area: Rect) {
    for at in area.intersection(buffer.area).positions() {
        if let Some(cell) = buffer.cell_mut(at) {
            cell.set_diff_option(CellDiffOption::Skip);
        }
    }
}

/// Shows pictures in a rectangle of the screen.
#[derive(Debug)]
pub struct Painter {
    look: Look,
    area: Rect,
    mirrored: bool,
    sampler: Sampler,
    budget: Budget,
    text: Text,
    pixels: Pixels,
}

impl Painter {
    /// A painter for the cells of `area`, of which nothing is known yet.
    pub fn new(look: Look, area: Rect) -> Self {
        Self {
            look,
            area,
            mirrored: false,
            sampler: Sampler::default(),
            budget: Budget::new(look.bytes_per_second),
            text: Text::new(area),
            pixels: Pixels::default(),
        }
    }

    /// Shows pictures as a mirror does: what people expect of their own.
    #[must_use]
    pub fn mirrored(mut self) -> Self {
        self.mirrored = true;
        self
    }

    /// The rectangle that was given.
    pub fn area(&self) -> Rect {
        self.area
    }

    /// Takes another rectangle. If it differs from the old one what stood on the screen is forgotten, and taken
    /// away by these bytes as far as [`remove`](Self::remove) says.
    pub fn resize(&mut self, area: Rect) -> Vec<u8> {
        if area == self.area {
            return Vec::new();
        }
        let removed = self.remove();
        self.area = area;
        self.invalidate();
        removed
    }

    /// The screen was cleared, or drawn over by somebody else.
    pub fn invalidate(&mut self) {
        self.text = Text::new(self.area);
        self.pixels.forget();
    }

    /// Somebody else drew over these cells, once.
    pub fn invalidate_rect(&mut self, rect: Rect) {
        self.text.invalidate(rect);
        self.pixels.forget();
    }

    /// The bytes that take away what would outlive the cells: images which the terminal keeps. Glyphs are left
    /// to whoever draws there next.
    pub fn remove(&mut self) -> Vec<u8> {
        self.invalidate();
        if self.look.mode == Mode::Kitty { kitty::remove(self.area) } else { Vec::new() }
    }

    /// The bytes that show the picture, to be written in one go after everything else of the screen: wrapped in
    /// a synchronized update, the cursor left where it was, the attributes reset. Empty if what stands there is
    /// good enough, or if the budget is spent.
    pub fn paint(&mut self, frame: &Frame<'_>) -> Vec<u8> {
        self.budget.fill(frame.elapsed);
        let out = match self.look.mode {
            Mode::Half => self.paint_text::<Blocks<Half>>(frame),
            Mode::Quadrant => self.paint_text::<Blocks<Quadrant>>(frame),
            Mode::Sextant => self.paint_text::<Blocks<Sextant>>(frame),
            Mode::Octant => self.paint_text::<Blocks<Octant>>(frame),
            Mode::Braille => self.paint_text::<Blocks<Braille>>(frame),
            Mode::Ascii => self.paint_text::<Ascii>(frame),
            Mode::Kitty => self.paint_pixels::<Kitty>(frame),
            Mode::Sixel => self.paint_pixels::<Sixel>(frame),
            Mode::Iterm => self.paint_pixels::<Iterm>(frame),
        };
        self.budget.spend(out.len());
        out
    }

    fn paint_pixels<P: Protocol>(&mut self, frame: &Frame<'_>) -> Vec<u8> {
        let placed = place(frame.picture.size(), self.area, self.look.cell);
        let view = View {
            area: self.area,
            placed,
            holes: frame.holes,
            cell: self.look.cell,
            mirrored: self.mirrored,
        };
        let pixels = self.pixels.paint::<P>(&frame.picture, &view, &self.budget);
        self.text.underlay(frame.holes, self.budget.left(), &pixels)
    }

    fn paint_text<M: Fit>(&mut self, frame: &Frame<'_>) -> Vec<u8> {
        let placed = place(frame.picture.size(), self.area, self.look.cell);
        let depth = self.look.color;
        let wanted = Wanted {
            columns: usize::from(placed.width),
            rows: usize::from(placed.height),
            grid: M::GRID,
            mirrored: self.mirrored,
            dither: M::dither(depth),
        };
        let samples = self.sampler.sample(&frame.picture, wanted);
        self.text.paint::<M>(&Job {
            samples,
            placed,
            holes: frame.holes,
            depth,
            dearness: self.budget.dearness(),
            limit: self.budget.left(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::picture::{
        CellSize, ColorDepth,
        readback::Raster,
        testing::{Picture, Terminal},
    };

    const MODES: [Mode; 6] =
        [Mode::Half, Mode::Quadrant, Mode::Sextant, Mode::Octant, Mode::Braille, Mode::Ascii];
    const DEPTHS: [ColorDepth; 4] =
        [ColorDepth::True, ColorDepth::Indexed, ColorDepth::Ansi, ColorDepth::Never];
    const FRAME: Duration = Duration::from_millis(33);

    fn look(mode: Mode, color: ColorDepth) -> Look {
        Look { mode, color, cell: CellSize::default(), bytes_per_second: 1_500_000 }
    }

    fn paint(painter: &mut Painter, picture: &Picture, holes: &[Rect]) -> Vec<u8> {
        painter.paint(&Frame { picture: picture.source(), holes, elapsed: FRAME })
    }

    /// Mean PSNR and bytes a frame of a second of a talking head with noise, the first frame left out.
    fn talk(look: Look, area: Rect) -> (f64, usize) {
        let mut painter = Painter::new(look, area);
        let mut terminal = Terminal::new(area.right() + 5, area.bottom() + 5);
        let (mut psnr, mut bytes, mut frames) = (0.0, 0, 0);
        for frame in 0..12 {
            let picture = Picture::talking_head(frame as f32 / 30.0, 3.0);
            let out = paint(&mut painter, &picture, &[]);
            terminal.feed(&out);
            if frame > 0 {
                let meant = Raster::of_picture(area.width, area.height, &picture.source());
                psnr += terminal.raster(area).psnr(&meant);
                bytes += out.len();
                frames += 1;
            }
        }
        (psnr / f64::from(frames), bytes / frames as usize)
    }

    #[test]
    fn a_talking_head_is_seen_well_for_few_bytes() {
        for (mode, color) in MODES.into_iter().flat_map(|mode| DEPTHS.map(|depth| (mode, depth))) {
            let (psnr, bytes) = talk(look(mode, color), Rect::new(2, 1, 200, 56));
            println!("{mode:?} {color:?}: {psnr:.1} dB, {bytes} bytes");
        }
    }
}
