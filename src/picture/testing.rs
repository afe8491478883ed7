//! A head that talks in front of a camera that is not very good, and a terminal to show it in. Shared by tests
//! and by the benchmark, which includes this file.

use ratatui::layout::Rect;

use super::{
    PictureSource, Plane, Rgb, palette_color,
    readback::{Raster, ShownCell},
};

/// An I420 picture that owns its samples.
pub(super) struct Picture {
    width: usize,
    height: usize,
    planes: [Vec<u8>; 3],
}

impl Picture {
    /// Pixels from a function of x and y to Y, U and V; chroma is taken at every second one.
    pub(super) fn new(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Self {
        let plane = |index: usize, step: usize| {
            let rows = (0..height).step_by(step);
            rows.flat_map(|y| (0..width).step_by(step).map(move |x| (x, y)))
                .map(|(x, y)| pixel(x, y).get(index).copied().unwrap_or_default())
                .collect()
        };
        Self { width, height, planes: [plane(0, 1), plane(1, 2), plane(2, 2)] }
    }

    /// A frame of the talking head, 16:9: `time` in seconds, `noise` as the standard deviation of the luma's noise. A
    /// quarter of it is in the chroma, which cameras and codecs smooth. The bookshelf and the lamp stand still, the
    /// head does not.
    pub(super) fn talking_head(width: usize, time: f32, noise: f32) -> Self {
        let scale = 640.0 / width as f32;
        let pixel = |x: usize, y: usize| head_or_room(x as f32 * scale, y as f32 * scale, time);
        let mut picture = Self::new(width, width * 9 / 16, pixel);
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ u64::from(time.to_bits()));
        for (plane, strength) in picture.planes.iter_mut().zip([noise, noise / 4.0, noise / 4.0]) {
            for sample in plane {
                *sample = (f32::from(*sample) + strength * random.bell()).round().clamp(0.0, 255.0) as u8;
            }
        }
        picture
    }

    /// The view of it.
    pub(super) fn source(&self) -> PictureSource<'_> {
        let [y, u, v] = &self.planes;
        let plane = |samples, stride| Plane { samples, stride };
        let half = self.width.div_ceil(2);
        PictureSource::new(
            self.width as u32,
            self.height as u32,
            [plane(y, self.width), plane(u, half), plane(v, half)],
        )
        .expect("the planes have the picture's size")
    }
}

fn head_or_room(x: f32, y: f32, time: f32) -> [u8; 3] {
    let (sway, nod) = (24.0 * (time * 1.1).sin(), 6.0 * (time * 1.9).cos());
    let (dx, dy) = (x - 320.0 - sway, y - 165.0 - nod);
    let inside =
        |cx: f32, cy: f32, rx: f32, ry: f32| ((dx - cx) / rx).powi(2) + ((dy - cy) / ry).powi(2) < 1.0;
    let mouth = 4.0 + 9.0 * (time * 11.0).sin().abs();
    let shade = 24.0 * dx / 80.0;
    if inside(0.0, 52.0, 26.0, mouth) {
        [52, 118, 160]
    } else if inside(-30.0, -18.0, 12.0, 7.0) || inside(30.0, -18.0, 12.0, 7.0) {
        [if inside(-30.0, -18.0, 5.0, 6.0) || inside(30.0, -18.0, 5.0, 6.0) { 40 } else { 205 }, 128, 128]
    } else if inside(0.0, -75.0, 84.0, 48.0) {
        // Hair, with strands.
        [(52.0 + 14.0 * (dx * 0.9).sin()) as u8, 124, 134]
    } else if inside(0.0, 0.0, 80.0, 108.0) {
        [(158.0 - shade) as u8, 110, 152]
    } else if dy > 105.0 && ((dx + 0.7 * sway) / (150.0 + dy * 0.4)).abs() < 1.0 {
        // A checked shirt, which sways less than the head.
        let (column, row) =
            (((dx + 0.7 * sway) / 14.0).floor() as i32, ((dy + 0.7 * nod) / 14.0).floor() as i32);
        [if (column + row) & 1 == 0 { 92 } else { 118 }, 148, 112]
    } else {
        room(x, y)
    }
}

fn room(x: f32, y: f32) -> [u8; 3] {
    let lamp = 60.0 * (-((x - 560.0).powi(2) + (y - 60.0).powi(2)) / 9000.0).exp();
    if y % 90.0 < 6.0 {
        return [70, 120, 138]; // a board of the shelf
    }
    // Books: each some ten pixels wide, of its own colour and height.
    let book = (x / 11.0).floor();
    let kind = ((book * 12.9898 + (y / 90.0).floor() * 78.233).sin() * 43758.547).fract().abs();
    if x > 420.0 || y % 90.0 < 20.0 + 30.0 * kind {
        return [(96.0 + y * 0.08 + lamp) as u8, 126, 130]; // the wall
    }
    let spine = if x % 11.0 < 1.5 { -25.0 } else { 0.0 };
    [(70.0 + 70.0 * kind + spine) as u8, (112.0 + 40.0 * kind) as u8, (150.0 - 44.0 * kind) as u8]
}

/// A small generator of pseudo-random numbers: the same noise in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Mean 0, standard deviation 1, near enough to a normal distribution.
    fn bell(&mut self) -> f32 {
        let sum: u64 = self.next().to_le_bytes().map(u64::from).iter().sum();
        (sum as f32 - 1020.0) / 209.0
    }
}

/// A terminal that can be looked at.
pub(super) struct Terminal(vt100::Parser);

impl Terminal {
    /// An empty screen.
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        Self(vt100::Parser::new(rows, columns, 0))
    }

    /// Bytes arrive.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.0.process(bytes);
    }

    /// The parsed screen.
    pub(super) fn screen(&self) -> &vt100::Screen {
        self.0.screen()
    }

    /// What a rectangle shows.
    pub(super) fn raster(&self, area: Rect) -> Raster {
        Raster::of_cells(area.width, area.height, |column, row| {
            let Some(cell) = self.screen().cell(area.y + row, area.x + column) else {
                return ShownCell { glyph: ' ', fore: [255; 3], back: [0; 3] };
            };
            ShownCell {
                glyph: cell.contents().chars().next().unwrap_or(' '),
                fore: color(cell.fgcolor(), [255; 3]),
                back: color(cell.bgcolor(), [0; 3]),
            }
        })
    }
}

fn color(color: vt100::Color, default: Rgb) -> Rgb {
    match color {
        vt100::Color::Default => default,
        vt100::Color::Idx(index) => palette_color(index),
        vt100::Color::Rgb(red, green, blue) => [red, green, blue],
    }
}
