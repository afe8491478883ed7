//! The ASCII ramp: one sample a cell, brighter glyphs for brighter places, coloured where there are colours.
//! For terminals whose encoding has nothing else. The ground is left alone: it is taken to be dark.

use super::{
    cell::{Cell, Choice, Fit, Terms},
    color::{ColorDepth, Ink, Rgb, distance},
    sample::Grid,
};

/// The mode. A shape is a place in [`RAMP`].
pub(super) struct Ascii;

/// Glyphs from dark to bright, with how much of the foreground colour a cell then shows, in 1/256, relative
/// to the brightest: measured ink in common fonts, stretched to the full range.
const RAMP: [(char, u32); 10] = [
    (' ', 0),
    ('.', 28),
    (':', 56),
    ('-', 75),
    ('=', 105),
    ('+', 125),
    ('*', 150),
    ('#', 190),
    ('%', 220),
    ('@', 256),
];

/// How a cell of this shape looks from afar.
pub(super) fn shown(shape: u8, ink: Rgb) -> Rgb {
    let light = RAMP.get(usize::from(shape)).map_or(0, |step| step.1);
    ink.map(|part| (u32::from(part) * light / 256) as u8)
}

/// The shape of a glyph of the ramp.
pub(super) fn shape_of(glyph: char) -> Option<u8> {
    RAMP.iter().position(|step| step.0 == glyph).map(|at| at as u8)
}

impl Ascii {
    fn offer_all(choice: &mut Choice, sample: Rgb, terms: &Terms, ink: Ink) {
        for shape in 0..RAMP.len() as u8 {
            let fore = (shape > 0).then_some(ink);
            choice.offer(terms, Cell { shape, fore, back: None }, 1, distance(sample, shown(shape, ink.rgb)));
        }
    }
}

impl Fit for Ascii {
    const GRID: Grid = Grid { across: 1, down: 1 };

    fn glyph(shape: u8) -> char {
        RAMP.get(usize::from(shape)).map_or(' ', |step| step.0)
    }

    /// The ramp has shades enough of its own.
    fn dither(_: ColorDepth) -> i32 {
        0
    }

    fn error(cell: &Cell, samples: &[Rgb]) -> u32 {
        let shown = shown(cell.shape, cell.fore.unwrap_or(Ink::DARK).rgb);
        samples.iter().map(|&sample| distance(sample, shown)).sum()
    }

    fn improve(choice: &mut Choice, samples: &[Rgb], terms: &Terms) {
        let Some(&sample) = samples.first() else { return };
        if let Some(ink) = terms.pen.fore {
            Self::offer_all(choice, sample, terms, ink);
        }
        let least = terms.travel + 1 + terms.pen.depth.usual_change();
        if terms.pen.depth == ColorDepth::Never || choice.cost <= least as f32 * terms.price {
            return;
        }
        // The glyph follows the brightness, so that the picture stays readable without its colours; the
        // colour makes up for what the glyph takes away.
        let bright = sample.into_iter().max().map_or(0, u32::from);
        let wanted = RAMP.partition_point(|step| step.1 < bright) as u8;
        for shape in [wanted.saturating_sub(1), wanted.min(RAMP.len() as u8 - 1)] {
            let light = RAMP.get(usize::from(shape)).map_or(0, |step| step.1).max(1);
            let ink = terms.pen.depth.ink(sample.map(|part| (u32::from(part) * 256 / light).min(255) as u8));
            let fore = (shape > 0).then_some(ink);
            choice.offer(terms, Cell { shape, fore, back: None }, 1, distance(sample, shown(shape, ink.rgb)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::cell::Pen;

    #[test]
    fn brighter_places_get_denser_glyphs() {
        let glyphs: String = (0..=8)
            .map(|step| {
                let level = (step * 32u32).min(255) as u8;
                let terms = Terms { pen: Pen::reset(ColorDepth::Never), price: 0.0, travel: 0 };
                let mut choice = Choice::NONE;
                Ascii::improve(&mut choice, &[[level; 3]], &terms);
                Ascii::glyph(choice.cell.unwrap().shape)
            })
            .collect();
        assert_eq!(glyphs, " .:=+*#%@");
    }

    #[test]
    fn a_colour_makes_up_for_the_glyph() {
        let terms = Terms { pen: Pen::reset(ColorDepth::True), price: 0.0, travel: 0 };
        let mut choice = Choice::NONE;
        Ascii::improve(&mut choice, &[[90, 60, 30]], &terms);
        let cell = choice.cell.unwrap();
        assert!(Ascii::error(&cell, &[[90, 60, 30]]) < 20, "{cell:?}");
    }
}
