//! The moving test card: colour bars, a grey ramp, a ball that flies across, a frame counter in large digits
//! and, across the top, the clock bar. Knows no time but what it is told.

use super::{clock_bar, digits};
use crate::media::frame::VideoFrame;
use std::time::Duration;

/// 75 % colour bars in BT.601 limited range: Y, Cb, Cr.
const BARS: [[u8; 3]; 7] = [
    [180, 128, 128],
    [162, 44, 142],
    [131, 156, 44],
    [112, 72, 58],
    [84, 184, 198],
    [65, 100, 212],
    [35, 212, 114],
];
/// Digits of the frame counter.
const COUNTER_DIGITS: usize = 6;

/// Draws test cards of one size.
#[derive(Debug)]
pub struct TestCard {
    /// All that does not move.
    background: VideoFrame,
}

impl TestCard {
    /// A card of this size; odd sizes are rounded up.
    pub fn new((width, height): (u32, u32)) -> Self {
        let mut background = VideoFrame::black(width, height);
        paint_background(&mut background);
        Self { background }
    }

    /// The card of frame `number`, its clock bar showing `clock`.
    pub fn draw(&self, number: u64, clock: Duration) -> VideoFrame {
        let mut frame = self.background.clone();
        let (columns, rows) = (frame.width as usize, frame.height as usize);
        paint_ball(&mut frame, number);
        let unit = (rows / 40).max(1);
        let (width, height) = (digits::width(COUNTER_DIGITS, unit), digits::height(unit));
        let corner = (columns.saturating_sub(width + unit) / 2, rows * 45 / 100);
        let panel = (corner.0.saturating_sub(unit * 2), corner.1.saturating_sub(unit * 2));
        let panel_size = (width + unit * 3, height + unit * 4);
        paint_grey(&mut frame, panel, panel_size);
        digits::draw(&mut frame.y, columns, corner, unit, number, COUNTER_DIGITS);
        clock_bar::draw(&mut frame.y, columns, clock_bar::value_of(clock));
        let chroma = columns / 2;
        for plane in [&mut frame.u, &mut frame.v] {
            digits::fill(plane, chroma, (0, 0), (chroma, clock_bar::height(rows).div_ceil(2)), 128);
        }
        frame
    }
}

/// A dark panel without colour.
fn paint_grey(frame: &mut VideoFrame, (left, top): (usize, usize), (width, height): (usize, usize)) {
    let columns = frame.width as usize;
    digits::fill(&mut frame.y, columns, (left, top), (width, height), 24);
    for plane in [&mut frame.u, &mut frame.v] {
        digits::fill(plane, columns / 2, (left / 2, top / 2), (width / 2, height / 2), 128);
    }
}

/// Bars down to four fifths of the height, a grey ramp below.
fn paint_background(frame: &mut VideoFrame) {
    let (columns, rows) = (frame.width as usize, frame.height as usize);
    let ramp_top = rows * 4 / 5;
    let bar_at =
        |column: usize, of: usize| BARS.get(column * BARS.len() / of).copied().unwrap_or([16, 128, 128]);
    for (row, line) in frame.y.chunks_exact_mut(columns).enumerate() {
        for (column, pixel) in line.iter_mut().enumerate() {
            let [luma, ..] = bar_at(column, columns);
            *pixel = if row < ramp_top { luma } else { (16 + column * 219 / columns) as u8 };
        }
    }
    let chroma = columns / 2;
    for (index, (u, v)) in frame.u.iter_mut().zip(frame.v.iter_mut()).enumerate() {
        if index / chroma * 2 < ramp_top {
            [_, *u, *v] = bar_at(index % chroma, chroma);
        }
    }
}

/// A white ball that flies to and fro, once in four seconds at 30 fps, and bounces.
fn paint_ball(frame: &mut VideoFrame, number: u64) {
    let (columns, rows) = (frame.width as usize, frame.height as usize);
    let radius = (rows / 14).max(2) as i64;
    let swing = |period: u64, span: i64| {
        let phase = (number % period) as i64 * 2 * span / period as i64;
        if phase < span { phase } else { 2 * span - phase }
    };
    let x = radius + swing(120, (columns as i64 - 2 * radius).max(1));
    let y = rows as i64 / 5 + swing(46, (rows as i64 * 11 / 20).max(1));
    for (row, line) in frame.y.chunks_exact_mut(columns).enumerate() {
        let dy = row as i64 - y;
        let half = (radius * radius - dy * dy).max(0).isqrt();
        if half > 0 {
            let (from, to) = ((x - half).max(0) as usize, (x + half).clamp(0, columns as i64) as usize);
            if let Some(span) = line.get_mut(from..to) {
                span.fill(225);
            }
        }
    }
    let (cx, cy, side) =
        ((x - radius).max(0) as usize / 2, (y - radius).max(0) as usize / 2, radius as usize);
    for plane in [&mut frame.u, &mut frame.v] {
        digits::fill(plane, columns / 2, (cx, cy), (side, side), 128);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::Codec;
    use crate::media::video::{self, VideoTarget};

    #[test]
    fn the_clock_bar_survives_sixty_kilobits_and_terminal_cells() {
        let card = TestCard::new((640, 360));
        for &codec in video::codecs() {
            let mut encoder = video::encoder(codec, VideoTarget { kbps: 60, fps: 15 }).unwrap();
            let mut decoder = video::decoder(codec).unwrap();
            let mut read = 0;
            for n in 0..40u64 {
                let clock = Duration::from_millis(20_000 + n * 67);
                let mut frame = card.draw(n, clock);
                frame.at = clock;
                let coded = encoder.encode(&frame).unwrap().unwrap();
                let shown = decoder.decode(&coded.data).unwrap().unwrap();
                // 100 columns by 56 half-block rows: the mean of each cell's pixels.
                let cells = shrink(&shown, 100, 56);
                read += usize::from(clock_bar::read(&cells, 100) == Some(clock_bar::value_of(clock)));
            }
            assert!(read >= 39, "{}: {read} of 40", codec.name());
        }
        assert!(video::codecs().contains(&Codec::H264));
    }

    fn shrink(frame: &VideoFrame, columns: usize, rows: usize) -> Vec<u8> {
        let (w, h) = (frame.width as usize, frame.height as usize);
        (0..columns * rows)
            .map(|cell| {
                let (column, row) = (cell % columns, cell / columns);
                let (x0, x1) = (column * w / columns, (column + 1) * w / columns);
                let (y0, y1) = (row * h / rows, (row + 1) * h / rows);
                let sum: usize = (y0..y1)
                    .flat_map(|y| (x0..x1).map(move |x| (x, y)))
                    .map(|(x, y)| usize::from(frame.y[y * w + x]))
                    .sum();
                (sum / ((x1 - x0) * (y1 - y0))) as u8
            })
            .collect()
    }

    #[test]
    fn every_size_can_be_drawn_and_every_frame_moves() {
        for size in [(2, 2), (16, 16), (64, 1080), (1920, 1080), (641, 359)] {
            let card = TestCard::new(size);
            let (a, b) = (card.draw(0, Duration::ZERO), card.draw(1, Duration::from_millis(33)));
            assert_eq!(a.y.len(), (a.width * a.height) as usize);
            assert!(size.0 < 16 || a.y != b.y, "{size:?}");
        }
    }
}
