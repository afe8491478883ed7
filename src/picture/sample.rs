//! From an I420 picture to the colours of every cell: scaled by area, converted to RGB, dithered where
//! colours are few, and laid out so that the samples of one cell stand together.
//!
//! It knows nothing of glyphs: a cell is a grid of so many samples.

use super::{PictureSource, color::Rgb};

/// How one cell is divided into samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) across: usize,
    pub(super) down: usize,
}

impl Grid {
    pub(super) const fn count(self) -> usize {
        self.across * self.down
    }
}

/// What is wanted of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) grid: Grid,
    pub(super) mirrored: bool,
    /// The amplitude of ordered dithering; 0 for none.
    pub(super) dither: i32,
}

/// Scales pictures; keeps its tables and buffers from one picture to the next.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    plan: Option<Plan>,
    sums: Vec<i16>,
    planes: [Vec<u8>; 3],
    line: Vec<Rgb>,
    cells: Vec<Rgb>,
}

#[derive(Debug)]
struct Plan {
    picture: (u32, u32),
    wanted: Wanted,
    /// For luma, then for chroma: across and down.
    axes: [[Axis; 2]; 2],
}

impl Sampler {
    /// The samples of `wanted.columns` × `wanted.rows` cells, cell by cell and within a cell row by row.
    pub(super) fn sample(&mut self, picture: &PictureSource<'_>, wanted: Wanted) -> &[Rgb] {
        if self.plan.as_ref().is_none_or(|plan| plan.picture != picture.size() || plan.wanted != wanted) {
            self.plan = Some(Plan::new(picture, wanted));
        }
        let Wanted { columns, rows, grid, dither, .. } = wanted;
        let Some(plan) = self.plan.as_ref().filter(|_| columns > 0 && rows > 0) else { return &[] };
        self.cells.resize(columns * rows * grid.count(), [0; 3]);
        let [[luma_across, luma_down], [chroma_across, chroma_down]] = &plan.axes;
        let lines = luma_down.taps().zip(chroma_down.taps()).enumerate();
        for (y, (luma_taps, chroma_taps)) in lines {
            for (plane, samples) in self.planes.iter_mut().enumerate() {
                let (across, taps) =
                    if plane == 0 { (luma_across, luma_taps) } else { (chroma_across, chroma_taps) };
                add_rows(picture, plane, taps, &mut self.sums);
                across.gather(&self.sums, samples);
            }
            convert(&self.planes, &mut self.line);
            if dither != 0 {
                move_samples(&mut self.line, y, dither);
            }
            let cells =
                self.cells.chunks_exact_mut(columns * grid.count()).nth(y / grid.down).unwrap_or_default();
            let first = y % grid.down * grid.across;
            for (cell, piece) in cells.chunks_exact_mut(grid.count()).zip(self.line.chunks_exact(grid.across))
            {
                if let Some(place) = cell.get_mut(first..first + grid.across) {
                    place.copy_from_slice(piece);
                }
            }
        }
        &self.cells
    }
}

impl Plan {
    fn new(picture: &PictureSource<'_>, wanted: Wanted) -> Self {
        let (across, down) = (wanted.columns * wanted.grid.across, wanted.rows * wanted.grid.down);
        let axes = [0, 1].map(|plane| {
            let (width, height) = picture.plane_size(plane);
            [Axis::new(width, across, wanted.mirrored), Axis::new(height, down, false)]
        });
        Self { picture: picture.size(), wanted, axes }
    }
}

/// For every sample of one direction the source positions that make it, with weights that add up to
/// [`WHOLE`].
#[derive(Debug, Default)]
struct Axis {
    weights: Vec<i16>,
    reaches: Vec<Reach>,
    /// The same weights, `LANES` for each sample, padded with zeros: empty if some sample has more, or if
    /// positions are left out.
    padded: Vec<[i16; LANES]>,
}

/// Enough for all but strong scaling down, and few enough to be summed at once.
const LANES: usize = 8;

/// The source positions behind one sample: so many from the first one on, each `step` after the last.
#[derive(Clone, Copy, Debug)]
struct Reach {
    first: usize,
    step: usize,
    count: usize,
}

/// A weight of one. A column of sums then still fits a signed sixteen bits, 128 × 255, as the processor's
/// multiplication of pairs wants it.
const WHOLE: usize = 128;

/// The square of [`WHOLE`] as a shift.
const SHIFT: u32 = 14;

/// More source samples than this are not looked at for one sample; they are picked evenly.
const MOST_TAPS: usize = 16;

impl Axis {
    fn new(source: usize, samples: usize, reversed: bool) -> Self {
        let mut axis = Self::default();
        for index in 0..samples {
            let index = if reversed { samples - 1 - index } else { index };
            let scale = if source > samples { area } else { linear };
            let reach = scale(source, samples, index, &mut axis.weights);
            axis.reaches.push(reach);
        }
        let pad = |(reach, weights): (Reach, &[i16])| {
            let mut padded = [0; LANES];
            padded.get_mut(..weights.len())?.copy_from_slice(weights);
            (reach.step == 1).then_some(padded)
        };
        axis.padded = axis.taps().map(pad).collect::<Option<_>>().unwrap_or_default();
        axis
    }

    /// For every sample the source positions and their weights.
    fn taps(&self) -> impl Iterator<Item = (Reach, &[i16])> {
        let mut rest = self.weights.as_slice();
        self.reaches.iter().map(move |reach| {
            let (weights, after) = rest.split_at_checked(reach.count).unwrap_or((rest, &[]));
            rest = after;
            (*reach, weights)
        })
    }

    /// One line of samples out of a line of sums, which is padded with [`LANES`] zeros.
    fn gather(&self, sums: &[i16], samples: &mut Vec<u8>) {
        samples.resize(self.reaches.len(), 0);
        if self.padded.is_empty() {
            for (sample, (reach, weights)) in samples.iter_mut().zip(self.taps()) {
                let sums = sums.get(reach.first..).unwrap_or_default();
                *sample = weighted(sums.iter().step_by(reach.step).zip(weights));
            }
        } else {
            for (sample, (reach, weights)) in samples.iter_mut().zip(self.reaches.iter().zip(&self.padded)) {
                let sums = sums.get(reach.first..).and_then(|sums| sums.first_chunk::<LANES>());
                *sample = weighted(sums.unwrap_or(&[0; LANES]).iter().zip(weights));
            }
        }
    }
}

#[inline]
fn weighted<'a>(terms: impl Iterator<Item = (&'a i16, &'a i16)>) -> u8 {
    let sum: i32 = terms.map(|(&sum, &weight)| i32::from(sum) * i32::from(weight)).sum();
    ((sum + (1 << (SHIFT - 1))) >> SHIFT) as u8
}

/// The weighted sum of source rows, left in `sums`.
fn add_rows(
    picture: &PictureSource<'_>,
    plane: usize,
    (reach, weights): (Reach, &[i16]),
    sums: &mut Vec<i16>,
) {
    sums.clear();
    sums.resize(picture.plane_size(plane).0 + LANES, 0);
    let rows = (reach.first..).step_by(reach.step);
    for (row, &weight) in rows.zip(weights) {
        for (sum, &sample) in sums.iter_mut().zip(picture.row(plane, row)) {
            *sum += i16::from(sample) * weight;
        }
    }
}

/// Scaling down: every source sample counts by how much of it lies under this sample.
fn area(source: usize, samples: usize, index: usize, weights: &mut Vec<i16>) -> Reach {
    // In units of 1/samples of a source sample.
    let (start, end) = (index * source, (index + 1) * source);
    let (first, last) = (start / samples, end.div_ceil(samples));
    let step = (last - first) / MOST_TAPS;
    if step > 1 {
        weights.extend([(WHOLE / MOST_TAPS) as i16; MOST_TAPS]);
        return Reach { first: first + step / 2, step, count: MOST_TAPS };
    }
    let mut given = 0;
    weights.extend((first..last).map(|at| {
        // Rounding the running total instead of each weight makes them add up exactly.
        let covered = ((at + 1) * samples).min(end) - start;
        let total = (covered * WHOLE + source / 2) / source;
        (total - std::mem::replace(&mut given, total)) as i16
    }));
    Reach { first, step: 1, count: last - first }
}

/// Scaling up: a mixture of the two source samples whose centres lie around this one's.
fn linear(source: usize, samples: usize, index: usize, weights: &mut Vec<i16>) -> Reach {
    // The sample's centre in units of 1/(2 × samples), from the centre of the first source sample.
    let centre = ((2 * index + 1) * source).saturating_sub(samples);
    let first = (centre / (2 * samples)).min(source - 1);
    let weight = (centre % (2 * samples)) * WHOLE / (2 * samples);
    if first + 1 == source || weight == 0 {
        weights.push(WHOLE as i16);
        return Reach { first, step: 1, count: 1 };
    }
    weights.extend([(WHOLE - weight) as i16, weight as i16]);
    Reach { first, step: 1, count: 2 }
}

/// BT.601 studio range to RGB, in 8-bit fixed point.
fn convert([y, u, v]: &[Vec<u8>; 3], line: &mut Vec<Rgb>) {
    line.clear();
    line.extend(y.iter().zip(u).zip(v).map(|((&y, &u), &v)| {
        let luma = 298 * (i32::from(y) - 16) + 128;
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        [luma + 409 * v, luma - 100 * u - 208 * v, luma + 516 * u]
            .map(|value| (value >> 8).clamp(0, 255) as u8)
    }));
}

/// Bayer's 4 × 4 matrix: fixed to the screen, so that a still picture stays still.
const BAYER: [[i32; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];

/// Dithers line `y` of samples: moves them by up to ± `amplitude`.
fn move_samples(line: &mut [Rgb], y: usize, amplitude: i32) {
    let Some(steps) = BAYER.get(y % BAYER.len()) else { return };
    for (sample, step) in line.iter_mut().zip(steps.iter().cycle()) {
        let offset = (2 * step - 15) * amplitude / 15;
        *sample = sample.map(|value| (i32::from(value) + offset).clamp(0, 255) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Plane;

    #[test]
    fn weights_add_up_to_a_whole_for_any_pair_of_sizes() {
        for (source, samples) in [(1, 1), (1, 9), (2, 3), (3, 2), (640, 400), (320, 400), (3000, 1), (7, 7)] {
            for (reach, weights) in Axis::new(source, samples, false).taps() {
                let sum: usize = weights.iter().map(|&weight| weight as usize).sum();
                assert_eq!((sum, weights.len()), (WHOLE, reach.count), "{source} to {samples}");
                assert!(reach.first + reach.step * (reach.count - 1) < source, "{source} to {samples}");
            }
        }
    }

    fn samples(y: &[u8], width: u32, wanted: Wanted) -> Vec<Rgb> {
        let chroma = Plane { samples: &[128; 64], stride: 8 };
        let height = y.len() as u32 / width;
        let luma = Plane { samples: y, stride: width as usize };
        let picture = PictureSource::new(width, height, [luma, chroma, chroma]).unwrap();
        Sampler::default().sample(&picture, wanted).to_vec()
    }

    const PLAIN: Wanted =
        Wanted { columns: 1, rows: 1, grid: Grid { across: 1, down: 1 }, mirrored: false, dither: 0 };

    #[test]
    fn a_sample_is_the_mean_of_its_area() {
        assert_eq!(samples(&[16, 16, 235, 235], 2, PLAIN), [[128; 3]]);
        assert_eq!(samples(&[16, 235], 1, Wanted { rows: 2, ..PLAIN }), [[0; 3], [255; 3]]);
    }

    #[test]
    fn the_samples_of_a_cell_stand_together() {
        let grid = Grid { across: 2, down: 2 };
        let levels = samples(&[16, 17, 18, 19, 20, 21, 22, 23], 4, Wanted { columns: 2, grid, ..PLAIN });
        assert_eq!(levels.iter().map(|rgb| rgb[0]).collect::<Vec<_>>(), [0, 1, 5, 6, 2, 3, 7, 8]);
    }

    #[test]
    fn a_mirrored_picture_is_the_other_way_round() {
        let wanted = Wanted { columns: 3, mirrored: true, ..PLAIN };
        let levels = samples(&[16, 126, 235], 3, wanted);
        assert_eq!(levels.iter().map(|rgb| rgb[0]).collect::<Vec<_>>(), [255, 128, 0]);
    }

    #[test]
    fn dithering_keeps_the_mean() {
        let levels = samples(&[126; 16], 4, Wanted { columns: 4, rows: 4, dither: 40, ..PLAIN });
        assert_eq!(levels.iter().map(|rgb| u32::from(rgb[0])).sum::<u32>() / 16, 128);
        assert!(levels.iter().any(|rgb| rgb[0] == 88) && levels.iter().any(|rgb| rgb[0] == 168));
    }

    #[test]
    fn colours_come_out_as_they_went_in() {
        // BT.601 studio range: pure red is Y 82, Cb 90, Cr 240.
        let [y, u, v] = [&[82u8], &[90u8], &[240u8]].map(|samples| Plane { samples, stride: 1 });
        let picture = PictureSource::new(1, 1, [y, u, v]).unwrap();
        let [red, green, blue] = Sampler::default().sample(&picture, PLAIN)[0];
        assert!(red > 250 && green < 5 && blue < 5, "{red} {green} {blue}");
    }
}
