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
    sums: Vec<u16>,
    lines: [Vec<u8>; 3],
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
        let Some(plan) = &self.plan else { return &[] };
        let Wanted { columns, rows, grid, .. } = wanted;
        self.cells.resize(columns * rows * grid.count(), [0; 3]);
        let cells_of_a_row = (columns * grid.count()).max(1);
        for (row, cells) in self.cells.chunks_exact_mut(cells_of_a_row).enumerate() {
            for line in 0..grid.down {
                let y = row * grid.down + line;
                for (plane, samples) in self.lines.iter_mut().enumerate() {
                    let [across, down] = if plane == 0 { &plan.axes[0] } else { &plan.axes[1] };
                    down.add_rows(picture, plane, y, &mut self.sums);
                    across.gather(&self.sums, samples);
                }
                let pieces = cells.chunks_exact_mut(grid.count());
                let targets =
                    pieces.flat_map(|cell| cell.iter_mut().skip(line * grid.across).take(grid.across));
                convert(&self.lines, targets);
                if wanted.dither != 0 {
                    dither(cells, grid, line, y, wanted.dither);
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
#[derive(Debug)]
struct Axis {
    taps: Vec<Vec<(usize, u16)>>,
}

/// A weight of one. A column of sums then still fits sixteen bits: 256 × 255.
const WHOLE: usize = 256;

/// More source samples than this are not looked at for one sample; they are picked evenly.
const MOST_TAPS: usize = 16;

impl Axis {
    fn new(source: usize, samples: usize, reversed: bool) -> Self {
        let mut taps: Vec<_> =
            (0..samples)
                .map(|index| {
                    if source > samples {
                        area(source, samples, index)
                    } else {
                        linear(source, samples, index)
                    }
                })
                .collect();
        if reversed {
            taps.reverse();
        }
        Self { taps }
    }

    /// The weighted sum of the source rows behind sample row `y`, left in `sums`.
    fn add_rows(&self, picture: &PictureSource<'_>, plane: usize, y: usize, sums: &mut Vec<u16>) {
        sums.clear();
        sums.resize(picture.plane_size(plane).0, 0);
        for &(row, weight) in self.taps.get(y).into_iter().flatten() {
            for (sum, &sample) in sums.iter_mut().zip(picture.row(plane, row)) {
                *sum += u16::from(sample) * weight;
            }
        }
    }

    /// One line of samples out of a line of sums.
    fn gather(&self, sums: &[u16], samples: &mut Vec<u8>) {
        samples.clear();
        samples.extend(self.taps.iter().map(|taps| {
            let sum: u32 = taps
                .iter()
                .map(|&(at, weight)| u32::from(sums.get(at).copied().unwrap_or_default()) * u32::from(weight))
                .sum();
            ((sum + (1 << 15)) >> 16) as u8
        }));
    }
}

/// Scaling down: every source sample counts by how much of it lies under this sample.
fn area(source: usize, samples: usize, index: usize) -> Vec<(usize, u16)> {
    // In units of 1/samples of a source sample.
    let (start, end) = (index * source, (index + 1) * source);
    let (first, last) = (start / samples, end.div_ceil(samples));
    if last - first > MOST_TAPS {
        let position = |tap: usize| first + (2 * tap + 1) * (last - first) / (2 * MOST_TAPS);
        return (0..MOST_TAPS).map(|tap| (position(tap), (WHOLE / MOST_TAPS) as u16)).collect();
    }
    let mut given = 0;
    (first..last)
        .map(|at| {
            // Rounding the running total instead of each weight makes them add up exactly.
            let covered = ((at + 1) * samples).min(end) - start;
            let total = (covered * WHOLE + source / 2) / source;
            let weight = total - given;
            given = total;
            (at, weight as u16)
        })
        .collect()
}

/// Scaling up: a mixture of the two source samples whose centres lie around this one's.
fn linear(source: usize, samples: usize, index: usize) -> Vec<(usize, u16)> {
    // The sample's centre in units of 1/(2 × samples), from the centre of the first source sample.
    let centre = ((2 * index + 1) * source).saturating_sub(samples);
    let at = (centre / (2 * samples)).min(source - 1);
    let weight = (centre % (2 * samples)) * WHOLE / (2 * samples);
    if at + 1 == source || weight == 0 {
        return vec![(at, WHOLE as u16)];
    }
    vec![(at, (WHOLE - weight) as u16), (at + 1, weight as u16)]
}

/// BT.601 studio range to RGB, in 8-bit fixed point.
fn convert<'a>([y, u, v]: &[Vec<u8>; 3], targets: impl Iterator<Item = &'a mut Rgb>) {
    for (((target, &y), &u), &v) in targets.zip(y).zip(u).zip(v) {
        let luma = 298 * (i32::from(y) - 16) + 128;
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        *target = [luma + 409 * v, luma - 100 * u - 208 * v, luma + 516 * u]
            .map(|value| (value >> 8).clamp(0, 255) as u8);
    }
}

/// Bayer's 4 × 4 matrix: fixed to the screen, so that a still picture stays still.
const BAYER: [[i32; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];

/// Moves the samples of one line by up to ± `amplitude`.
fn dither(cells: &mut [Rgb], grid: Grid, line: usize, y: usize, amplitude: i32) {
    let pieces = cells.chunks_exact_mut(grid.count());
    let targets = pieces.flat_map(|cell| cell.iter_mut().skip(line * grid.across).take(grid.across));
    let pattern = BAYER.iter().cycle().nth(y % 4).into_iter().flatten().cycle();
    for (target, step) in targets.zip(pattern) {
        let offset = (2 * step - 15) * amplitude / 15;
        *target = target.map(|value| (i32::from(value) + offset).clamp(0, 255) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Plane;

    #[test]
    fn weights_add_up_to_a_whole_for_any_pair_of_sizes() {
        for (source, samples) in [(1, 1), (1, 9), (2, 3), (3, 2), (640, 400), (320, 400), (3000, 1), (7, 7)] {
            for taps in Axis::new(source, samples, false).taps {
                assert_eq!(
                    taps.iter().map(|tap| tap.1 as usize).sum::<usize>(),
                    WHOLE,
                    "{source} to {samples}"
                );
                assert!(taps.iter().all(|tap| tap.0 < source), "{source} to {samples}");
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
