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
        let kept = self.look.mode == Mode::Kitty && std::mem::take(&mut self.pixels.shown);
        if kept { kitty::remove(self.area) } else { Vec::new() }
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
    use ratatui::layout::Position;

    use super::*;
    use crate::picture::{
        CellSize, ColorDepth,
        readback::Raster,
        testing::{Picture, Terminal},
    };

    const TEXT: [Mode; 6] =
        [Mode::Half, Mode::Quadrant, Mode::Sextant, Mode::Octant, Mode::Braille, Mode::Ascii];
    const ALL: [Mode; 9] = [
        Mode::Half,
        Mode::Quadrant,
        Mode::Sextant,
        Mode::Octant,
        Mode::Braille,
        Mode::Ascii,
        Mode::Kitty,
        Mode::Sixel,
        Mode::Iterm,
    ];
    const DEPTHS: [ColorDepth; 4] =
        [ColorDepth::True, ColorDepth::Indexed, ColorDepth::Ansi, ColorDepth::Never];
    const FRAME: Duration = Duration::from_millis(33);

    /// Cells in which a picture of 16:9 fills 64 × 20.
    const CELL: CellSize = CellSize { width: 10, height: 18 };
    const AREA: Rect = Rect { x: 3, y: 1, width: 64, height: 20 };

    fn look(mode: Mode, color: ColorDepth) -> Look {
        Look { mode, color, cell: CELL, bytes_per_second: 1_500_000 }
    }

    fn head(frame: u16, noise: f32) -> Picture {
        Picture::talking_head(320, f32::from(frame) / 30.0, noise)
    }

    fn paint(painter: &mut Painter, picture: &Picture, holes: &[Rect]) -> Vec<u8> {
        painter.paint(&Frame { picture: picture.source(), holes, elapsed: FRAME })
    }

    /// A screen on which one picture was painted by a new painter.
    fn painted_once(look: Look, area: Rect, picture: &Picture) -> Terminal {
        let mut terminal = Terminal::new(area.right() + 2, area.bottom() + 2);
        terminal.feed(&paint(&mut Painter::new(look, area), picture, &[]));
        terminal
    }

    fn meant(area: Rect, picture: &Picture) -> Raster {
        Raster::of_picture(area.width, area.height, &picture.source())
    }

    #[test]
    fn a_picture_is_seen_as_well_as_its_mode_and_colours_allow() {
        let picture = head(3, 2.0);
        for (mode, least) in TEXT.into_iter().zip([26.5, 28.0, 31.5, 29.4, 29.4, 24.0]) {
            let terminal = painted_once(look(mode, ColorDepth::True), AREA, &picture);
            let psnr = terminal.raster(AREA).psnr(&meant(AREA, &picture));
            assert!(psnr > least, "{mode:?}: {psnr:.1} dB");
        }
        for (color, least) in DEPTHS.into_iter().zip([26.5, 24.0, 15.5, 6.0]) {
            let terminal = painted_once(look(Mode::Half, color), AREA, &picture);
            let psnr = terminal.raster(AREA).psnr(&meant(AREA, &picture));
            assert!(psnr > least, "{color:?}: {psnr:.1} dB");
        }
    }

    #[test]
    fn uncoloured_pictures_are_as_bright_as_they_should_be() {
        for mode in [Mode::Half, Mode::Braille, Mode::Ascii] {
            for level in [60, 126, 190] {
                let picture = Picture::new(64, 36, |_, _| [level, 128, 128]);
                let terminal = painted_once(look(mode, ColorDepth::Never), AREA, &picture);
                let whole = Rect { x: 0, y: 0, ..AREA };
                let [shown, should] =
                    [terminal.raster(AREA), meant(AREA, &picture)].map(|it| it.mean_luma(whole));
                assert!((shown - should).abs() < 20.0, "{mode:?}: {shown} instead of {should}");
            }
        }
    }

    #[test]
    fn after_many_frames_the_screen_is_as_good_as_a_new_one() {
        for mode in [Mode::Half, Mode::Sextant, Mode::Ascii] {
            let mut painter = Painter::new(look(mode, ColorDepth::True), AREA);
            let mut terminal = Terminal::new(80, 30);
            let mut bytes = Vec::new();
            for frame in 0..8 {
                let out = paint(&mut painter, &head(frame, 2.0), &[]);
                bytes.push(out.len());
                terminal.feed(&out);
            }
            let last = head(7, 2.0);
            let fresh = painted_once(look(mode, ColorDepth::True), AREA, &last);
            let [kept, new] = [terminal, fresh].map(|it| it.raster(AREA).psnr(&meant(AREA, &last)));
            assert!(kept > new - 0.4, "{mode:?}: {kept:.2} dB, {new:.2} dB when drawn anew");
            let mean = bytes[1..].iter().sum::<usize>() / 7;
            assert!(mean * 3 < bytes[0], "{mode:?}: {mean} bytes a frame after {}", bytes[0]);
        }
    }

    #[test]
    fn noise_alone_costs_next_to_nothing() {
        for mode in [Mode::Half, Mode::Sextant] {
            let mut painter = Painter::new(look(mode, ColorDepth::True), AREA);
            let still = |seed: u16| Picture::talking_head(320, 1.0 + f32::from(seed) / 1e5, 2.0);
            let first = paint(&mut painter, &still(0), &[]).len();
            let later = (1..5).map(|seed| paint(&mut painter, &still(seed), &[]).len()).max().unwrap();
            assert!(later * 10 < first, "{mode:?}: {later} bytes after {first}");
        }
    }

    #[test]
    fn a_still_picture_is_painted_once() {
        let picture = head(0, 0.0);
        for mode in ALL {
            let mut painter = Painter::new(look(mode, ColorDepth::True), AREA);
            assert!(!paint(&mut painter, &picture, &[]).is_empty(), "{mode:?}");
            let last = (0..40).map(|_| paint(&mut painter, &picture, &[]).len()).last();
            assert_eq!(last, Some(0), "{mode:?}");
            painter.invalidate();
            assert!(!paint(&mut painter, &picture, &[]).is_empty(), "{mode:?}");
        }
    }

    #[test]
    fn the_cursor_and_the_attributes_are_left_as_they_were() {
        for mode in ALL {
            let mut terminal = Terminal::new(80, 30);
            terminal.feed(b"\x1b[5;7H");
            let out = paint(&mut Painter::new(look(mode, ColorDepth::True), AREA), &head(0, 1.0), &[]);
            assert!(out.starts_with(b"\x1b[?2026h") && out.ends_with(b"\x1b[0m\x1b[?2026l"), "{mode:?}");
            terminal.feed(&out);
            assert_eq!(terminal.screen().cursor_position(), (4, 6), "{mode:?}");
            assert_eq!(terminal.screen().fgcolor(), vt100::Color::Default, "{mode:?}");
            assert_eq!(terminal.screen().bgcolor(), vt100::Color::Default, "{mode:?}");
        }
    }

    #[test]
    fn what_comes_out_from_under_a_hole_is_painted() {
        let (picture, hole) = (head(0, 0.0), Rect::new(20, 5, 15, 6));
        for mode in TEXT {
            let mut painter = Painter::new(look(mode, ColorDepth::True), AREA);
            let mut terminal = Terminal::new(80, 30);
            for holes in [&[hole][..], &[]] {
                terminal.feed(&paint(&mut painter, &picture, holes));
            }
            // Once more after somebody scribbled on it and said so.
            terminal.feed(b"\x1b[8;25Hscribble");
            painter.invalidate_rect(Rect::new(24, 7, 8, 1));
            terminal.feed(&paint(&mut painter, &picture, &[]));
            let psnr = terminal.raster(AREA).psnr(&meant(AREA, &picture));
            let new = painted_once(look(mode, ColorDepth::True), AREA, &picture).raster(AREA);
            assert!(psnr > new.psnr(&meant(AREA, &picture)) - 0.3, "{mode:?}: {psnr}");
        }
    }

    #[test]
    fn a_mirrored_picture_is_the_mirror_image() {
        let picture = Picture::new(64, 36, |x, _| [if x < 32 { 235 } else { 16 }, 128, 128]);
        let mut terminal = Terminal::new(80, 30);
        terminal.feed(&paint(
            &mut Painter::new(look(Mode::Half, ColorDepth::True), AREA).mirrored(),
            &picture,
            &[],
        ));
        let raster = terminal.raster(AREA);
        assert!(raster.mean_luma(Rect::new(0, 0, 30, 20)) < 5.0);
        assert!(raster.mean_luma(Rect::new(34, 0, 30, 20)) > 250.0);
    }

    #[test]
    fn the_bars_beside_a_picture_are_blanked() {
        let upright = Picture::new(36, 64, |_, _| [180, 128, 128]);
        for mode in ALL {
            let mut terminal = Terminal::new(80, 30);
            terminal.feed("#".repeat(80 * 30).as_bytes());
            let mut painter = Painter::new(look(mode, ColorDepth::True), AREA);
            terminal.feed(&paint(&mut painter, &upright, &[]));
            for x in [AREA.x, AREA.right() - 1] {
                assert_eq!(terminal.screen().cell(AREA.y, x).unwrap().contents().trim(), "", "{mode:?}");
            }
        }
    }

    #[test]
    fn a_slow_line_is_not_overrun() {
        for (mode, rate) in
            [(Mode::Half, 30_000), (Mode::Sextant, 60_000), (Mode::Kitty, 120_000), (Mode::Sixel, 120_000)]
        {
            let mut painter =
                Painter::new(Look { bytes_per_second: rate, ..look(mode, ColorDepth::True) }, AREA);
            let frames: Vec<_> =
                (0..15).map(|frame| paint(&mut painter, &head(frame, 2.0), &[]).len()).collect();
            // What may be saved up beforehand, and half a second. How large an image gets is not known before
            // it is written: it may be one too many, and the next one waits longer for that.
            let image = if TEXT.contains(&mode) { None } else { frames.iter().max() };
            let limit = rate as usize * 3 / 4 + image.copied().unwrap_or_default();
            let sent: usize = frames.iter().sum();
            assert!(sent <= limit && sent > limit / 3, "{mode:?}: {sent} of {limit}");
        }
    }

    #[test]
    fn even_a_very_slow_line_shows_the_whole_picture_in_the_end() {
        let rate = 8_000;
        let mut painter =
            Painter::new(Look { bytes_per_second: rate, ..look(Mode::Half, ColorDepth::True) }, AREA);
        let (mut terminal, picture) = (Terminal::new(80, 30), head(0, 0.0));
        for _ in 0..40 {
            terminal.feed(&paint(&mut painter, &picture, &[]));
        }
        let psnr = terminal.raster(AREA).psnr(&meant(AREA, &picture));
        assert!(psnr > 20.0, "{psnr}");
    }

    #[test]
    fn only_images_that_the_terminal_keeps_have_to_be_removed() {
        for mode in ALL {
            let mut painter = Painter::new(look(mode, ColorDepth::True), AREA);
            assert!(painter.remove().is_empty(), "{mode:?}");
            paint(&mut painter, &head(0, 0.0), &[]);
            assert_eq!(painter.resize(Rect::ZERO).is_empty(), mode != Mode::Kitty, "{mode:?}");
            assert!(painter.remove().is_empty(), "{mode:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn nothing_outside_the_area_or_in_a_hole_is_ever_written(
            mode in prop::sample::select(&ALL[..]),
            color in prop::sample::select(&DEPTHS[..]),
            size in prop_oneof![
                Just((1, 1)), Just((2, 2)), Just((3000, 2)), Just((2, 999)), (1..70usize, 1..70usize)
            ],
            area in (0..20u16, 0..9u16, 1..40u16, 1..20u16),
            holes in prop::collection::vec((0..30u16, 0..20u16, 0..30u16, 0..20u16), 0..3),
            mirrored: bool,
        ) {
            let rect = |(x, y, width, height)| Rect { x, y, width, height };
            let (area, holes): (_, Vec<_>) = (rect(area), holes.into_iter().map(rect).collect());
            let mut terminal = Terminal::new(64, 32);
            terminal.feed("x".repeat(64 * 32).as_bytes());
            let mut painter = Painter::new(look(mode, color), area);
            if mirrored {
                painter = painter.mirrored();
            }
            for frame in 0..2 {
                let picture = Picture::new(size.0, size.1, |x, y| [x * 7 + y * 3, x + frame * 50, y].map(|part| part as u8));
                terminal.feed(&paint(&mut painter, &picture, &holes));
            }
            for Position { x, y } in Rect::new(0, 0, 64, 32).positions() {
                let ours = area.contains((x, y).into()) && !holes.iter().any(|hole| hole.contains((x, y).into()));
                let untouched = terminal.screen().cell(y, x).is_some_and(|cell| cell.contents() == "x");
                prop_assert!(ours != untouched, "{mode:?}: {x} {y}");
            }
        }
    }

    #[test]
    fn the_largest_and_the_smallest_rectangles_are_painted() {
        for mode in ALL {
            for (width, height) in [(1, 1), (300, 1), (1, 100), (300, 100)] {
                let picture = Picture::new(33, 17, |x, y| [(x * 6) as u8, (y * 9) as u8, 90]);
                let mut painter = Painter::new(look(mode, ColorDepth::True), Rect::new(0, 0, width, height));
                assert!(!paint(&mut painter, &picture, &[]).is_empty(), "{mode:?} {width} {height}");
            }
            let nothing =
                paint(&mut Painter::new(look(mode, ColorDepth::True), Rect::ZERO), &head(0, 0.0), &[]);
            assert!(nothing.is_empty(), "{mode:?}");
        }
    }
}
