//! Pictures of symbols, with the faults that pictures have.

use crate::code::qr::Qr;
use crate::code::qr::terminal::QrCells;

/// A grey picture.
#[derive(Debug, Clone)]
pub(crate) struct Shot {
    pub(crate) luma: Vec<u8>,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Shot {
    fn from_fn(width: usize, height: usize, pixel: impl Fn(f32, f32) -> f32) -> Self {
        let luma = (0..width * height)
            .map(|i| pixel((i % width) as f32, (i / width) as f32).clamp(0.0, 255.0) as u8)
            .collect();
        Self { luma, width, height }
    }

    fn at(&self, x: f32, y: f32) -> f32 {
        let inside = x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32;
        if inside { f32::from(self.luma[y as usize * self.width + x as usize]) } else { 90.0 }
    }

    /// A box blur, twice, each of 2 * radius + 1 pixels.
    pub(crate) fn blurred(self, radius: usize) -> Self {
        (0..2).fold(self, |shot, _| shot.blurred_once(radius as i32))
    }

    fn blurred_once(self, radius: i32) -> Self {
        let mean = |shot: &Self, x: f32, y: f32, (dx, dy): (f32, f32)| {
            let sum: f32 = (-radius..=radius)
                .map(|d| {
                    let at = |v: f32, d: f32, limit: usize| (v + d).clamp(0.0, limit as f32 - 1.0);
                    shot.at(at(x, d as f32 * dx, shot.width), at(y, d as f32 * dy, shot.height))
                })
                .sum();
            sum / (2 * radius + 1) as f32
        };
        let across = Self::from_fn(self.width, self.height, |x, y| mean(&self, x, y, (1.0, 0.0)));
        Self::from_fn(self.width, self.height, |x, y| mean(&across, x, y, (0.0, 1.0)))
    }

    /// A bright corner and a dark one, from 1 to `darkest`.
    pub(crate) fn unevenly_lit(self, darkest: f32) -> Self {
        let (w, h) = (self.width as f32, self.height as f32);
        Self::from_fn(self.width, self.height, |x, y| {
            self.at(x, y) * (1.0 - (1.0 - darkest) * (x / w + y / h) / 2.0)
        })
    }

    /// Black and white no further apart than `low` and `high`.
    pub(crate) fn with_contrast(self, low: f32, high: f32) -> Self {
        Self::from_fn(self.width, self.height, |x, y| low + self.at(x, y) / 255.0 * (high - low))
    }

    /// Each pixel off by up to `amount`, the same on every run.
    pub(crate) fn noisy(mut self, amount: i32) -> Self {
        let mut state = 1_u32;
        for pixel in &mut self.luma {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let off = (state >> 16) as i32 % (2 * amount + 1) - amount;
            *pixel = (i32::from(*pixel) + off).clamp(0, 255) as u8;
        }
        self
    }

    pub(crate) fn mirrored(self) -> Self {
        let last = self.width as f32 - 1.0;
        Self::from_fn(self.width, self.height, |x, y| self.at(last - x, y))
    }

    pub(crate) fn negative(self) -> Self {
        Self::from_fn(self.width, self.height, |x, y| 255.0 - self.at(x, y))
    }
}

/// How a camera sees a symbol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Pixels a module.
    pub(crate) module: f32,
    pub(crate) degrees: f32,
    /// How much further away one side is: 0 is face on.
    pub(crate) tilt: f32,
}

/// A symbol with its quiet zone of 4 on a grey wall, in the middle of a picture, four samples a pixel.
pub(crate) fn photo(qr: &Qr, view: View) -> Shot {
    let (sin, cos) = view.degrees.to_radians().sin_cos();
    let middle = qr.size() as f32 / 2.0;
    let (w, h) = (view.width as f32 / 2.0, view.height as f32 / 2.0);
    let sample = |x: f32, y: f32| {
        let (dx, dy) = ((x - w) / view.module, (y - h) / view.module);
        let (u, v) = (dx * cos + dy * sin, dy * cos - dx * sin);
        let depth = 1.0 - view.tilt * u / middle;
        let (u, v) = (u / depth + middle, v / depth + middle);
        let quiet = 4.0;
        let on_paper = |t: f32| t >= -quiet && t < qr.size() as f32 + quiet;
        match (on_paper(u) && on_paper(v), u >= 0.0 && v >= 0.0 && qr.is_dark(u as usize, v as usize)) {
            (false, _) => 90.0,
            (true, false) => 240.0,
            (true, true) => 15.0,
        }
    };
    Shot::from_fn(view.width, view.height, |x, y| {
        let offsets = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)];
        offsets.iter().map(|(dx, dy)| sample(x + dx, y + dy)).sum::<f32>() / 4.0
    })
}

/// A screenshot: cells of so many pixels, with a margin of two cells in the surrounding's grey.
pub(crate) fn on_screen(cells: &QrCells, (cell_w, cell_h): (usize, usize), surrounding: u8) -> Shot {
    let (width, height) = ((cells.width() + 4) * cell_w, (cells.height() + 4) * cell_h);
    Shot::from_fn(width, height, |x, y| {
        let (x, y) = (x as usize, y as usize);
        let row = (y / cell_h).checked_sub(2).and_then(|row| cells.rows().get(row));
        let cell = (x / cell_w).checked_sub(2).and_then(|column| row?.get(column));
        match cell {
            None => f32::from(surrounding),
            Some((upper, lower)) => {
                let dark = if y % cell_h < cell_h / 2 { *upper } else { *lower };
                if dark { 0.0 } else { 255.0 }
            }
        }
    })
}
