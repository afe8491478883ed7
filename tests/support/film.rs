//! Films as Y4M files: made by ffmpeg, and compared frame by frame with what came out at the other end.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Columns and rows of a thumbnail, by which a frame is found again.
const THUMBNAIL: (usize, usize) = (32, 18);

/// Makes a film of so many seconds from one of ffmpeg's own sources.
///
/// # Panics
/// Without ffmpeg.
pub(crate) fn make(path: &Path, source: &str, seconds: u32) -> PathBuf {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-f", "lavfi", "-i", source, "-t", &seconds.to_string()]);
    ffmpeg.args(["-pix_fmt", "yuv420p"]).arg(path);
    assert!(ffmpeg.status().is_ok_and(|status| status.success()), "ffmpeg makes {source}");
    path.to_owned()
}

/// How a received film compares with the one that was sent in a loop.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// Frames received.
    pub(crate) frames: usize,
    /// Of those sent between the first and the last received one, the fraction that arrived.
    pub(crate) arrived: f64,
    /// Mean of the frames' luma PSNR, dB.
    pub(crate) mean_psnr: f64,
}

/// The luma planes of a 4:2:0 film, and its size.
struct Film {
    width: usize,
    height: usize,
    frames: Vec<Vec<u8>>,
}

impl Film {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let end = bytes.iter().position(|byte| *byte == b'\n').expect("a header");
        let header = String::from_utf8_lossy(&bytes[..end]);
        let number = |tag: char| {
            let word = header.split(' ').find(|word| word.starts_with(tag)).expect("a size");
            word[1..].parse::<usize>().unwrap()
        };
        let (width, height) = (number('W'), number('H'));
        let (luma, whole) = (width * height, width * height * 3 / 2);
        let mut frames = Vec::new();
        let mut rest = &bytes[end + 1..];
        while let Some(start) = rest.iter().position(|byte| *byte == b'\n') {
            let Some(frame) = rest.get(start + 1..start + 1 + whole) else { break };
            frames.push(frame[..luma].to_vec());
            rest = &rest[start + 1 + whole..];
        }
        Self { width, height, frames }
    }

    fn thumbnails(&self) -> Vec<Vec<i32>> {
        let (columns, rows) = THUMBNAIL;
        let small = |frame: &Vec<u8>| {
            let mut cells = Vec::with_capacity(columns * rows);
            for row in 0..rows {
                for column in 0..columns {
                    let (y, x) = (row * self.height / rows, column * self.width / columns);
                    let sum: i32 = (0..8)
                        .flat_map(|dy| (0..8).map(move |dx| (dy, dx)))
                        .map(|(dy, dx)| i32::from(frame[(y + dy) * self.width + x + dx]))
                        .sum();
                    cells.push(sum / 64);
                }
            }
            cells
        };
        self.frames.iter().map(small).collect()
    }
}

/// Compares; each received frame is found again by its thumbnail among those near where it is awaited.
pub(crate) fn compare(sent: &Path, received: &Path) -> Comparison {
    let (sent, received) = (Film::read(sent), Film::read(received));
    assert_eq!((sent.width, sent.height), (received.width, received.height));
    assert!(!received.frames.is_empty(), "no frame came");
    let (sent_small, received_small) = (sent.thumbnails(), received.thumbnails());
    let count = sent.frames.len();
    let mut places = Vec::with_capacity(received.frames.len());
    let mut total_psnr = 0.0;
    for (small, frame) in received_small.iter().zip(&received.frames) {
        // Anywhere for the first one; then up to a second ahead.
        let candidates = match places.last() {
            None => 0..count,
            Some(last) => *last..*last + 31,
        };
        let place = candidates.min_by_key(|place| difference(small, &sent_small[place % count])).unwrap();
        total_psnr += psnr(frame, &sent.frames[place % count]);
        places.push(place);
    }
    let span = places.last().unwrap() - places[0] + 1;
    let mut distinct = places.clone();
    distinct.dedup();
    Comparison {
        frames: received.frames.len(),
        arrived: distinct.len() as f64 / span as f64,
        mean_psnr: total_psnr / received.frames.len() as f64,
    }
}

fn difference(one: &[i32], other: &[i32]) -> i32 {
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).sum()
}

/// dB; equal planes count as 60.
fn psnr(one: &[u8], other: &[u8]) -> f64 {
    let squares: u64 = one.iter().zip(other).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    let mean = squares as f64 / one.len() as f64;
    if mean < 0.065 { 60.0 } else { 10.0 * (255.0f64.powi(2) / mean).log10() }
}
