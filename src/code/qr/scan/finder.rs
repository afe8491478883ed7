//! Where in a bitmap a symbol may be: three finder patterns that stand in a right angle.
//!
//! The reader underneath looks for the same, but takes seconds for a picture of noise, such as a camera gives in the
//! dark. This takes time linear in the pixels, and finds nothing in noise.
//!
//! ```text
//! ■■■■■■■
//! ■     ■     through the middle, in any direction: dark, light, dark, light, dark
//! ■ ■■■ ■     as                                       1  :  1  :  3  :  1  :  1
//! ■ ■■■ ■
//! ■ ■■■ ■
//! ■     ■
//! ■■■■■■■
//! ```

use super::picture::Bitmap;

/// A part of a bitmap, edges within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
}

/// What may be the middle of a finder pattern.
#[derive(Debug, Clone, Copy)]
struct Middle {
    x: f32,
    y: f32,
    /// Pixels of its seven modules, across.
    extent: f32,
    /// Rows that agree on it.
    rows: u32,
}

/// Modules of each part, and of all.
const PARTS: [f32; 5] = [1.0, 1.0, 3.0, 1.0, 1.0];
const MODULES: f32 = 7.0;

/// Finder patterns with fewer pixels a module are not looked for: pictures are tried at twice their size too.
const LEAST_MODULE: f32 = 1.7;

/// How far a part may be off, in modules: blur and threshold move edges.
const TOLERANCE: f32 = 0.75;

/// Rows that must agree on a middle, which is three modules high.
const LEAST_ROWS: u32 = 3;

/// Most middles that are combined, those with most rows.
const MAX_MIDDLES: usize = 24;

/// Most areas that are worth reading.
const MAX_AREAS: usize = 3;

/// The areas that three finder patterns span, likeliest first.
pub(super) fn find_areas(bitmap: &Bitmap) -> Vec<Area> {
    let middles = find_middles(bitmap);
    let mut found: Vec<(f32, Area)> = Vec::new();
    for (index, corner) in middles.iter().enumerate() {
        let others: Vec<&Middle> = middles
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(_, middle)| middle)
            .collect();
        for (first, a) in others.iter().enumerate() {
            for c in others.iter().skip(first + 1) {
                found.extend(fault(corner, a, c).map(|fault| (fault, area([corner, a, c], bitmap))));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut areas: Vec<Area> = found.into_iter().map(|(_, area)| area).collect();
    areas.dedup();
    areas.truncate(MAX_AREAS);
    areas
}

/// How far three middles are from a square's three corners; `None` where they are none.
fn fault(corner: &Middle, a: &Middle, c: &Middle) -> Option<f32> {
    let (ax, ay) = (a.x - corner.x, a.y - corner.y);
    let (cx, cy) = (c.x - corner.x, c.y - corner.y);
    let (to_a, to_c) = (ax.hypot(ay), cx.hypot(cy));
    let skew = ((ax * cx + ay * cy) / (to_a * to_c)).abs();
    let sides = ratio(to_a, to_c);
    let extents = ratio(corner.extent, a.extent).max(ratio(corner.extent, c.extent));
    // From middle to middle it is 14 modules in version 1, 7 more than the pattern; in version 10, 50.
    let apart = to_a.min(to_c) / corner.extent;
    let fits = skew < 0.5 && sides < 2.0 && extents < 2.0 && (1.2..9.0).contains(&apart);
    fits.then_some(skew + sides + extents)
}

/// 1 for equals, else above.
fn ratio(a: f32, b: f32) -> f32 {
    a.max(b) / a.min(b).max(f32::EPSILON)
}

/// The rectangle around a square of which three corners are known, with room for perspective.
fn area([corner, a, c]: [&Middle; 3], bitmap: &Bitmap) -> Area {
    let fourth = (a.x + c.x - corner.x, a.y + c.y - corner.y);
    let extent = corner.extent.max(a.extent).max(c.extent);
    let span = (a.x - corner.x).hypot(a.y - corner.y).max((c.x - corner.x).hypot(c.y - corner.y));
    let room = extent + span * 0.35;
    let least = |values: [f32; 4]| (values.into_iter().fold(f32::MAX, f32::min) - room).max(0.0) as usize;
    let most = |values: [f32; 4]| (values.into_iter().fold(0.0, f32::max) + room) as usize;
    let (xs, ys) = ([corner.x, a.x, c.x, fourth.0], [corner.y, a.y, c.y, fourth.1]);
    let (width, height) = bitmap.size();
    Area { left: least(xs), top: least(ys), right: most(xs).min(width), bottom: most(ys).min(height) }
}

fn find_middles(bitmap: &Bitmap) -> Vec<Middle> {
    let (_, height) = bitmap.size();
    let mut middles: Vec<Middle> = Vec::new();
    // Those that a row near this one may still add to: the others are further up.
    let mut open: Vec<Middle> = Vec::new();
    for y in 0..height {
        let (near, far) = open.iter().partition(|middle| (y as f32 - middle.y) < middle.extent);
        middles.extend::<Vec<Middle>>(far);
        open = near;
        for middle in middles_in_row(bitmap, y) {
            match open.iter_mut().find(|known| known.is_near(&middle)) {
                Some(known) => known.join(&middle),
                None => open.push(middle),
            }
        }
    }
    middles.extend(open);
    middles.retain(|middle| middle.rows >= LEAST_ROWS);
    middles.sort_by_key(|middle| std::cmp::Reverse(middle.rows));
    middles.truncate(MAX_MIDDLES);
    middles
}

impl Middle {
    fn is_near(&self, other: &Self) -> bool {
        let reach = self.extent / MODULES * 1.5;
        (self.x - other.x).abs() < reach
            && (self.y - other.y).abs() < reach
            && ratio(self.extent, other.extent) < 1.5
    }

    fn join(&mut self, other: &Self) {
        let known = self.rows as f32;
        let mean = |old: f32, new: f32| (old * known + new) / (known + 1.0);
        self.x = mean(self.x, other.x);
        self.y = mean(self.y, other.y);
        self.extent = mean(self.extent, other.extent);
        self.rows += 1;
    }
}

/// Every five runs in a row that look like a finder pattern's, if the column through their middle does too.
fn middles_in_row(bitmap: &Bitmap, y: usize) -> Vec<Middle> {
    let (width, _) = bitmap.size();
    let mut runs = [0_usize; 5];
    let mut found = Vec::new();
    let mut dark = false;
    for x in 0..=width {
        let now = x < width && bitmap.is_dark(x, y);
        if now == dark {
            runs[4] += 1;
            continue;
        }
        if dark && looks_like_a_finder(&runs) {
            let extent = runs.iter().sum::<usize>();
            let middle = (x - runs[4] - runs[3]) as f32 - runs[2] as f32 / 2.0;
            found.extend(confirmed(bitmap, middle, y, extent as f32));
        }
        runs.rotate_left(1);
        runs[4] = 1;
        dark = now;
    }
    found
}

fn looks_like_a_finder(runs: &[usize; 5]) -> bool {
    let module = runs.iter().sum::<usize>() as f32 / MODULES;
    let fits = |(run, part): (&usize, f32)| {
        (*run as f32 - part * module).abs() < module * TOLERANCE * if part > 1.0 { 1.5 } else { 1.0 }
    };
    module >= LEAST_MODULE && runs.iter().all(|run| *run > 0) && runs.iter().zip(PARTS).all(fits)
}

/// The middle, moved to the middle of its column.
fn confirmed(bitmap: &Bitmap, x: f32, y: usize, extent: f32) -> Option<Middle> {
    let column = x as usize;
    let up = |steps: usize| y.checked_sub(steps).is_some_and(|y| bitmap.is_dark(column, y));
    let down = |steps: usize| bitmap.is_dark(column, y + steps);
    let limit = (extent * 2.0) as usize;
    let [stone_up, light_up, ring_up] = runs_along(up, limit)?;
    let [stone_down, light_down, ring_down] = runs_along(down, limit)?;
    let runs = [ring_up, light_up, stone_up + stone_down - 1, light_down, ring_down];
    let height = runs.iter().sum::<usize>() as f32;
    let middle = y as f32 + (stone_down as f32 - stone_up as f32) / 2.0;
    (looks_like_a_finder(&runs) && ratio(height, extent) < 2.0).then_some(Middle {
        x,
        y: middle,
        extent: f32::midpoint(extent, height),
        rows: 1,
    })
}

/// Lengths of the dark, light and dark runs from here on, the pixel here included.
fn runs_along(dark: impl Fn(usize) -> bool, limit: usize) -> Option<[usize; 3]> {
    let mut runs = [0; 3];
    let mut at = 0;
    for (index, run) in runs.iter_mut().enumerate() {
        let wanted = index != 1;
        let start = at;
        while dark(at) == wanted {
            at += 1;
            if at > limit {
                return None;
            }
        }
        *run = at - start;
        if *run == 0 {
            return None;
        }
    }
    Some(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::qr::Qr;
    use crate::code::qr::scan::picture::Picture;
    use crate::code::qr::scan::testing::{Shot, View, photo};

    fn areas(shot: &Shot) -> Vec<Area> {
        find_areas(&Picture::new(&shot.luma, shot.width, shot.height).unwrap().thresholded())
    }

    #[test]
    fn a_symbol_lies_within_the_area_that_is_found() {
        let qr = Qr::new(&"A".repeat(99)).unwrap();
        for degrees in [0.0, 30.0, 45.0, 100.0] {
            let view = View { width: 640, height: 480, module: 5.0, degrees, tilt: 0.1 };
            let found = areas(&photo(&qr, view));
            let area = found.first().unwrap_or_else(|| panic!("{degrees}"));
            let reach = 5 * 33 / 2;
            assert!(area.left <= 320 - reach && area.right >= 320 + reach, "{degrees}: {area:?}");
            assert!(area.top <= 240 - reach && area.bottom >= 240 + reach, "{degrees}: {area:?}");
        }
    }

    #[test]
    fn noise_holds_nothing() {
        let grey = Shot { luma: vec![128; 640 * 480], width: 640, height: 480 };
        for amount in [5, 40, 120] {
            assert_eq!(areas(&grey.clone().noisy(amount)), [], "{amount}");
        }
    }
}
