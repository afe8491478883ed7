//! Two colours in a cell: every mode whose glyphs divide a cell into a grid of small blocks. A shape is the
//! set of blocks in the foreground colour: bit 0 is the upper left one, then to the right, then down.
//!
//! Which glyph shows a set is in the file of each mode.

use std::marker::PhantomData;

use super::{
    cell::{Cell, Choice, Fit, Terms},
    color::{ColorDepth, Ink, Rgb, distance},
    sample::Grid,
};

/// The glyphs of a mode made of blocks.
pub(super) trait Glyphs {
    const GRID: Grid;

    /// The glyph with just these blocks set.
    fn glyph(shape: u8) -> char;
}

/// The mode that a set of block glyphs makes.
pub(super) struct Blocks<G>(PhantomData<G>);

impl<G: Glyphs> Blocks<G> {
    const FULL: u8 = (((1u16 << G::GRID.count()) - 1) & 0xff) as u8;

    fn offer(choice: &mut Choice, terms: &Terms, cell: Cell, error: u32) {
        choice.offer(terms, cell, G::glyph(cell.shape).len_utf8() as u32, error);
    }

    /// Only with the colours at hand: every block takes the nearer one.
    fn with_pen(choice: &mut Choice, samples: &[Rgb], terms: &Terms) {
        let (fore, back) = (terms.pen.fore, terms.pen.back);
        let (mut shape, mut error, mut on, mut off) = (0, 0, 0, 0);
        let (Some(fore_ink), Some(back_ink)) = (fore, back) else { return };
        for (bit, &sample) in samples.iter().enumerate() {
            let (to_fore, to_back) = (distance(sample, fore_ink.rgb), distance(sample, back_ink.rgb));
            shape |= u8::from(to_fore < to_back) << bit;
            error += to_fore.min(to_back);
            on += to_fore;
            off += to_back;
        }
        let cell = match shape {
            0 => Cell { shape, fore: None, back },
            full if full == Self::FULL => Cell { shape, fore, back: None },
            _ => Cell { shape, fore, back },
        };
        Self::offer(choice, terms, cell, error);
        // A space is two bytes shorter than any other glyph.
        Self::offer(choice, terms, Cell { shape: 0, fore: None, back }, off);
        Self::offer(choice, terms, Cell { shape: Self::FULL, fore, back: None }, on);
    }

    /// With one or two new colours.
    fn with_new(choice: &mut Choice, samples: &[Rgb], terms: &Terms) {
        let pen = terms.pen;
        let all = Group::of(samples, |_| true);
        let shape = split(samples, &all);
        let set = Group::of(samples, |bit| shape >> bit & 1 == 1);
        let rest = all.without(&set);
        let [new_set, new_rest] = [set, rest].map(|group| pen.depth.ink(group.mean()));
        let [set_error, rest_error] = [set.error(new_set), rest.error(new_rest)];
        let least = terms.travel + 1 + pen.depth.usual_change();
        if choice.cost <= (set_error + rest_error) as f32 + least as f32 * terms.price {
            return;
        }
        let flat = pen.depth.ink(all.mean());
        Self::offer(choice, terms, Cell { shape: 0, fore: None, back: Some(flat) }, all.error(flat));
        if shape == 0 || shape == Self::FULL {
            return;
        }
        let set_inks = Inks { new: (new_set, set_error), group: set };
        let rest_inks = Inks { new: (new_rest, rest_error), group: rest };
        for (shape, on, off) in [(shape, set_inks, rest_inks), (!shape & Self::FULL, rest_inks, set_inks)] {
            let backs = [Some(off.new), off.held(pen.back)];
            for (fore, fore_error) in [Some(on.new), on.held(pen.fore)].into_iter().flatten() {
                for (back, back_error) in backs.into_iter().flatten() {
                    let cell = Cell { shape, fore: Some(fore), back: Some(back) };
                    Self::offer(choice, terms, cell, fore_error + back_error);
                }
            }
        }
    }
}

/// Colours for a group of samples, each with its error.
#[derive(Clone, Copy)]
struct Inks {
    new: (Ink, u32),
    group: Group,
}

impl Inks {
    fn held(&self, ink: Option<Ink>) -> Option<(Ink, u32)> {
        ink.map(|ink| (ink, self.group.error(ink)))
    }
}

impl<G: Glyphs> Fit for Blocks<G> {
    const GRID: Grid = G::GRID;

    fn glyph(shape: u8) -> char {
        G::glyph(shape)
    }

    #[inline]
    fn error(cell: &Cell, samples: &[Rgb]) -> u32 {
        let [back, fore] = [cell.back, cell.fore].map(|ink| ink.unwrap_or(Ink::DARK).rgb);
        let shown = |bit: usize| if cell.shape >> bit & 1 == 1 { fore } else { back };
        samples.iter().enumerate().map(|(bit, &sample)| distance(sample, shown(bit))).sum()
    }

    fn improve(choice: &mut Choice, samples: &[Rgb], terms: &Terms) {
        Self::with_pen(choice, samples, terms);
        let least = terms.travel + 1 + terms.pen.depth.usual_change();
        if terms.pen.depth != ColorDepth::Never && choice.cost > least as f32 * terms.price {
            Self::with_new(choice, samples, terms);
        }
    }
}

/// Some samples of a cell, as much as is needed to tell how well any one colour stands for them.
#[derive(Clone, Copy)]
struct Group {
    count: i32,
    sum: [i32; 3],
    squares: i32,
}

impl Group {
    #[inline]
    fn of(samples: &[Rgb], member: impl Fn(usize) -> bool) -> Self {
        let (mut count, mut sum, mut squares) = (0, [0; 3], 0);
        for (bit, &sample) in samples.iter().enumerate() {
            if member(bit) {
                let [red, green, blue] = sample.map(i32::from);
                sum = [sum[0] + red, sum[1] + green, sum[2] + blue];
                squares += red * red + green * green + blue * blue;
                count += 1;
            }
        }
        Self { count, sum, squares }
    }

    fn without(&self, part: &Self) -> Self {
        let [red, green, blue] = self.sum;
        let [part_red, part_green, part_blue] = part.sum;
        Self {
            count: self.count - part.count,
            sum: [red - part_red, green - part_green, blue - part_blue],
            squares: self.squares - part.squares,
        }
    }

    fn mean(&self) -> Rgb {
        let count = self.count.max(1);
        self.sum.map(|sum| ((sum + count / 2) / count) as u8)
    }

    /// Σ|s − c|² = Σ|s|² − 2c·Σs + n|c|².
    #[inline]
    fn error(&self, ink: Ink) -> u32 {
        let [red, green, blue] = ink.rgb.map(i32::from);
        let [sum_red, sum_green, sum_blue] = self.sum;
        let part = |color: i32, sum: i32| color * (self.count * color - 2 * sum);
        (self.squares + part(red, sum_red) + part(green, sum_green) + part(blue, sum_blue)) as u32
    }
}

/// Divides the samples in two: by the plane through the mean and across the way to the sample farthest from
/// it. That is a first step towards the principal axis, and close enough to the best division.
fn split(samples: &[Rgb], all: &Group) -> u8 {
    let mean = all.mean();
    let Some(&far) = samples.iter().max_by_key(|&&sample| distance(sample, mean)) else { return 0 };
    let [[far_red, far_green, far_blue], [red, green, blue]] = [far, mean].map(|rgb| rgb.map(i32::from));
    let axis = [far_red - red, far_green - green, far_blue - blue];
    let along = |[red, green, blue]: [i32; 3]| red * axis[0] + green * axis[1] + blue * axis[2];
    let middle = along(all.sum);
    let side = |sample: Rgb| u8::from(along(sample.map(i32::from)) * all.count > middle);
    samples.iter().enumerate().fold(0, |shape, (bit, &sample)| shape | side(sample) << bit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_group_knows_the_error_of_any_colour(samples in prop::collection::vec(any::<Rgb>(), 1..=8), rgb: Rgb) {
            let direct: u32 = samples.iter().map(|&sample| distance(sample, rgb)).sum();
            prop_assert_eq!(Group::of(&samples, |_| true).error(ColorDepth::True.ink(rgb)), direct);
        }

        #[test]
        fn a_division_is_never_worse_than_none(samples in prop::collection::vec(any::<Rgb>(), 6)) {
            let chosen = error(&samples, split(&samples, &Group::of(&samples, |_| true)));
            // The mean of each side is rounded.
            prop_assert!(chosen <= error(&samples, 0) + 6, "{chosen}");
        }
    }

    /// The error that is left when each side has its own mean.
    fn error(samples: &[Rgb], shape: u8) -> u32 {
        let sides = [0, 1].map(|side| Group::of(samples, |bit| shape >> bit & 1 == side));
        sides.iter().map(|group| group.error(ColorDepth::True.ink(group.mean()))).sum()
    }

    #[test]
    fn a_division_is_on_the_whole_not_far_from_the_best() {
        let mut state = 1u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let (mut gained, mut possible) = (0u64, 0u64);
        for _ in 0..1_000 {
            let samples: Vec<Rgb> = (0..6).map(|_| [byte(), byte(), byte()]).collect();
            let whole = error(&samples, 0);
            let best = (0..32).map(|shape| error(&samples, shape)).min().unwrap();
            let chosen = error(&samples, split(&samples, &Group::of(&samples, |_| true)));
            gained += u64::from(whole.saturating_sub(chosen));
            possible += u64::from(whole - best);
        }
        assert!(gained * 100 >= possible * 80, "{gained} of {possible}");
    }
}
