//! A grey picture, smaller or larger or in two colours.

/// Grey pixels, row by row.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    luma: Vec<u8>,
    width: usize,
    height: usize,
}

/// Dark and light pixels.
#[derive(Debug, Clone)]
pub(super) struct Bitmap {
    dark: Vec<bool>,
    width: usize,
    height: usize,
}

/// Smaller pictures hold no symbol.
const LEAST_SIDE: usize = 21;

/// The neighbourhood that a pixel is compared with is this part of the picture's long side: wider than a finder
/// pattern, narrower than a shadow.
const NEIGHBOURHOOD: usize = 8;

/// A pixel is dark when it is darker than this many hundredths of its neighbourhood's mean, which keeps the noise of
/// an even surface light.
const DARK_BELOW: u64 = 95;

/// Near neighbours: a blur that takes dots away is about as wide as they are.
const SHARPEN_RADIUS: usize = 5;

/// How much further, in distances from the mean.
const SHARPEN: i64 = 3;

impl Picture {
    pub(super) fn new(luma: &[u8], width: usize, height: usize) -> Option<Self> {
        let fits = width.min(height) >= LEAST_SIDE && width.checked_mul(height) == Some(luma.len());
        fits.then(|| Self { luma: luma.to_vec(), width, height })
    }

    pub(super) fn long_side(&self) -> usize {
        self.width.max(self.height)
    }

    /// A pixel; beyond the edge, the one at the edge.
    fn at(&self, x: usize, y: usize) -> u16 {
        let (x, y) = (x.min(self.width - 1), y.min(self.height - 1));
        u16::from(self.luma.get(y * self.width + x).copied().unwrap_or(0))
    }

    /// Each pixel the mean of four.
    pub(super) fn halved(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mean = |x: usize, y: usize| {
            (self.at(x, y) + self.at(x + 1, y) + self.at(x, y + 1) + self.at(x + 1, y + 1)) / 4
        };
        Self::from_fn(width, height, |x, y| mean(2 * x, 2 * y) as u8)
    }

    /// Four pixels for each, with those between the old ones their mean.
    pub(super) fn doubled(&self) -> Self {
        Self::from_fn(self.width * 2, self.height * 2, |x, y| {
            let (x0, y0) = (x / 2, y / 2);
            let (x1, y1) = (x0 + x % 2, y0 + y % 2);
            ((self.at(x0, y0) + self.at(x1, y0) + self.at(x0, y1) + self.at(x1, y1)) / 4) as u8
        })
    }

    fn from_fn(width: usize, height: usize, pixel: impl Fn(usize, usize) -> u8) -> Self {
        let mut luma = Vec::with_capacity(width * height);
        for y in 0..height {
            luma.extend((0..width).map(|x| pixel(x, y)));
        }
        Self { luma, width, height }
    }

    /// Each pixel further from the mean of its near neighbours: dots that a blur all but took come back.
    pub(super) fn sharpened(&self) -> Self {
        let sums = Sums::of(self);
        Self::from_fn(self.width, self.height, |x, y| {
            let (sum, area) = sums.around(self, x, y, SHARPEN_RADIUS);
            let (pixel, mean) = (i64::from(self.at(x, y)), (sum / area) as i64);
            (pixel + SHARPEN * (pixel - mean)).clamp(0, 255) as u8
        })
    }

    /// Each pixel compared with the mean of its neighbourhood.
    pub(super) fn thresholded(&self) -> Bitmap {
        let sums = Sums::of(self);
        let radius = (self.long_side() / NEIGHBOURHOOD / 2).max(4);
        let mut dark = Vec::with_capacity(self.luma.len());
        for (y, row) in self.luma.chunks_exact(self.width).enumerate() {
            for (x, pixel) in row.iter().enumerate() {
                let (sum, area) = sums.around(self, x, y, radius);
                dark.push(u64::from(*pixel) * area * 100 < sum * DARK_BELOW);
            }
        }
        Bitmap { dark, width: self.width, height: self.height }
    }
}

/// Sums of all pixels above and left of each point, so that any rectangle's sum takes four look-ups.
struct Sums {
    sums: Vec<u64>,
    stride: usize,
}

impl Sums {
    fn of(picture: &Picture) -> Self {
        let stride = picture.width + 1;
        let mut sums = vec![0; stride];
        sums.reserve(stride * picture.height);
        for row in picture.luma.chunks_exact(picture.width) {
            let above = sums.len() - stride;
            let mut in_row = 0;
            sums.push(0);
            for (x, pixel) in row.iter().enumerate() {
                in_row += u64::from(*pixel);
                let total = sums.get(above + x + 1).copied().unwrap_or(0) + in_row;
                sums.push(total);
            }
        }
        Self { sums, stride }
    }

    /// Of the pixels no further than `radius` from one, and how many they are.
    fn around(&self, picture: &Picture, x: usize, y: usize, radius: usize) -> (u64, u64) {
        let (left, right) = (x.saturating_sub(radius), (x + radius + 1).min(picture.width));
        let (top, bottom) = (y.saturating_sub(radius), (y + radius + 1).min(picture.height));
        let at = |x: usize, y: usize| self.sums.get(y * self.stride + x).copied().unwrap_or(0);
        let sum = (at(right, bottom) + at(left, top)).saturating_sub(at(left, bottom) + at(right, top));
        (sum, ((bottom - top) * (right - left)) as u64)
    }
}

impl Bitmap {
    pub(super) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Whether a pixel is dark; none beyond the edges is.
    pub(super) fn is_dark(&self, x: usize, y: usize) -> bool {
        x < self.width && self.dark.get(y * self.width + x).copied().unwrap_or(false)
    }

    pub(super) fn negative(mut self) -> Self {
        for pixel in &mut self.dark {
            *pixel = !*pixel;
        }
        self
    }
}
