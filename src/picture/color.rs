//! Colours as terminals have them: 24 bits, 256, 16, or none at all; and how they are asked for.

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// How many colours there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorDepth {
    /// 24 bits.
    True,
    /// xterm's cube of 216 and its 24 greys.
    Indexed,
    /// The sixteen of ECMA-48 and aixterm, taken to look as xterm draws them.
    Ansi,
    /// None: light glyphs on dark ground, no colour sequence at all.
    Never,
}

/// Which of a cell's two colours is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    Fore,
    Back,
}

/// A colour that the terminal really has: how it looks, and its index where it goes by an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink {
    pub(super) rgb: Rgb,
    index: u8,
}

impl Ink {
    /// What uncoloured glyphs are taken to look like.
    pub(super) const LIGHT: Self = Self { rgb: [255; 3], index: 15 };
    /// What uncoloured ground is taken to look like.
    pub(super) const DARK: Self = Self { rgb: [0; 3], index: 0 };
}

/// The steps of xterm's colour cube.
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// xterm's own sixteen colours.
const ANSI: [Rgb; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

/// How colour `index` of a 256-colour terminal looks.
pub fn palette_color(index: u8) -> Rgb {
    let step = |value: u8| CUBE.get(usize::from(value % 6)).copied().unwrap_or_default();
    match index {
        0..16 => ANSI.get(usize::from(index)).copied().unwrap_or_default(),
        16..232 => [step((index - 16) / 36), step((index - 16) / 6), step(index - 16)],
        232.. => [8 + 10 * (index - 232); 3],
    }
}

impl ColorDepth {
    /// The nearest colour there is.
    #[inline]
    pub(super) fn ink(self, rgb: Rgb) -> Ink {
        let index = self.index(rgb);
        Ink { rgb: if self == Self::True { rgb } else { palette_color(index) }, index }
    }

    /// The index of the nearest colour; 0 where colours have none.
    pub(super) fn index(self, rgb: Rgb) -> u8 {
        match self {
            Self::True => 0,
            Self::Indexed => nearest_indexed(rgb),
            Self::Ansi => nearest(rgb, 0..16),
            Self::Never => Ink::LIGHT.index * u8::from(luma(rgb) >= 128),
        }
    }

    /// How far ordered dithering moves a sample at most: about half the distance of neighbouring colours.
    pub(super) fn dither(self) -> i32 {
        match self {
            Self::True => 0,
            Self::Indexed => 8,
            Self::Ansi => 20,
            Self::Never => 120,
        }
    }

    /// Bytes that a change of one colour usually takes: what is not worth so many need not be looked into.
    pub(super) fn usual_change(self) -> u32 {
        match self {
            Self::True => 3 + 15,
            Self::Indexed => 3 + 8,
            Self::Ansi => 3 + 2,
            Self::Never => u32::MAX / 2,
        }
    }

    /// Bytes of the SGR parameters that select `ink`.
    #[inline]
    pub(super) fn price(self, ink: Ink) -> u32 {
        match self {
            Self::True => 7 + ink.rgb.into_iter().map(digits).sum::<u32>(),
            Self::Indexed => 5 + digits(ink.index),
            // A bright ground takes three; that is not worth telling apart.
            Self::Ansi => 2,
            Self::Never => 0,
        }
    }

    /// Writes the SGR parameters that select `ink`.
    pub(super) fn select(self, out: &mut Vec<u8>, ink: Ink, ground: Ground) {
        let back = u8::from(ground == Ground::Back) * 10;
        match self {
            Self::True => {
                decimal(out, 38 + back);
                out.extend_from_slice(b";2");
                for part in ink.rgb {
                    out.push(b';');
                    decimal(out, part);
                }
            }
            Self::Indexed => {
                decimal(out, 38 + back);
                out.extend_from_slice(b";5;");
                decimal(out, ink.index);
            }
            Self::Ansi if ink.index < 8 => decimal(out, 30 + back + ink.index),
            Self::Ansi => decimal(out, 82 + back + ink.index),
            Self::Never => {}
        }
    }
}

/// Rec. 601 luma, full range.
pub(super) fn luma([red, green, blue]: Rgb) -> u8 {
    ((u32::from(red) * 77 + u32::from(green) * 150 + u32::from(blue) * 29) >> 8) as u8
}

/// Squared distance.
#[inline]
pub(super) fn distance([red, green, blue]: Rgb, [other_red, other_green, other_blue]: Rgb) -> u32 {
    // Written out: iterators over two arrays keep both in memory, three times as slow.
    let square = |one: u8, other: u8| u32::from(one.abs_diff(other)) * u32::from(one.abs_diff(other));
    square(red, other_red) + square(green, other_green) + square(blue, other_blue)
}

/// The nearest of the cube and the greys; the first sixteen are left out, every theme has its own.
fn nearest_indexed(rgb: Rgb) -> u8 {
    let [red, green, blue] = rgb.map(cube_step);
    let cube = 16 + 36 * red + 6 * green + blue;
    let mean = (rgb.into_iter().map(u32::from).sum::<u32>() / 3) as u8;
    let grey = 232 + (mean.saturating_sub(3) / 10).min(23);
    let off = |index| distance(palette_color(index), rgb);
    if off(grey) < off(cube) { grey } else { cube }
}

/// The nearest step of the cube: the bounds lie half way between its values.
fn cube_step(value: u8) -> u8 {
    match value {
        0..48 => 0,
        48..115 => 1,
        115.. => (value - 35) / 40,
    }
}

fn nearest(rgb: Rgb, indexes: std::ops::Range<u8>) -> u8 {
    indexes.min_by_key(|&index| distance(palette_color(index), rgb)).unwrap_or_default()
}

fn digits(value: u8) -> u32 {
    1 + u32::from(value >= 10) + u32::from(value >= 100)
}

/// Writes a number in decimal.
pub(super) fn decimal(out: &mut Vec<u8>, value: u8) {
    if value >= 100 {
        out.push(b'0' + value / 100);
    }
    if value >= 10 {
        out.push(b'0' + value / 10 % 10);
    }
    out.push(b'0' + value % 10);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_colour_is_asked_for_as_its_depth_asks() {
        let check = |depth: ColorDepth, rgb, ground, expect: &str| {
            let (mut out, ink) = (Vec::new(), depth.ink(rgb));
            depth.select(&mut out, ink, ground);
            assert_eq!(String::from_utf8(out).unwrap(), expect);
            assert_eq!(expect.len() as u32, depth.price(ink) + u32::from(expect.starts_with("10")));
        };
        check(ColorDepth::True, [1, 20, 255], Ground::Fore, "38;2;1;20;255");
        check(ColorDepth::True, [0, 0, 0], Ground::Back, "48;2;0;0;0");
        check(ColorDepth::Indexed, [255, 0, 0], Ground::Fore, "38;5;196");
        check(ColorDepth::Indexed, [118, 118, 118], Ground::Back, "48;5;243");
        check(ColorDepth::Ansi, [190, 10, 5], Ground::Fore, "31");
        check(ColorDepth::Ansi, [190, 10, 5], Ground::Back, "41");
        check(ColorDepth::Ansi, [250, 250, 250], Ground::Fore, "97");
        check(ColorDepth::Never, [250, 250, 250], Ground::Fore, "");
    }

    proptest! {
        #[test]
        fn an_indexed_colour_is_the_nearest_there_is(rgb: [u8; 3]) {
            let chosen = distance(ColorDepth::Indexed.ink(rgb).rgb, rgb);
            let best = (16..=255).map(|index| distance(palette_color(index), rgb)).min().unwrap();
            // The grey is chosen by the mean, which is exact up to the rounding of the mean.
            prop_assert!(chosen <= best + 60, "{chosen} where {best} is possible");
        }
    }
}
