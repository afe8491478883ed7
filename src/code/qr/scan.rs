//! The text of a QR symbol in a picture: a file's, or the luma plane of a camera's frame.
//!
//! The reader underneath is quick and wants clean pictures. So a picture is tried as it is, and then as what mends the
//! usual faults, cheapest first:
//!
//! ```text
//! each pixel against its neighbourhood (shadow, low contrast) -> sharpened (blur)
//!     -> the same two at half size (noise, moiré) -> negative (light on dark) -> sharpened at twice the size (small)
//! ```
//!
//! Knows nothing of codes: whatever a symbol says is outside data.

mod finder;
mod picture;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use std::io::Cursor;

use image::{ImageReader, Limits};
use rqrr::{BitGrid, Grid, PreparedImage};
use thiserror::Error;

use finder::{Area, find_areas};
use picture::{Bitmap, Picture};

/// Longer sides than this are halved until they are not: time is for the pixels of a symbol, not of a room.
const LONG_SIDE: usize = 1600;

/// Twice the size is tried only up to here.
const SMALL_SIDE: usize = 1000;

/// A picture file may ask for so much memory: 100 megapixels in colour.
const MAX_ALLOC: u64 = 300 << 20;

/// Why a file is no picture.
#[derive(Debug, Error)]
pub enum PictureError {
    /// Neither PNG nor JPEG, damaged, or larger than anybody's picture.
    #[error("this is not a PNG or JPEG picture that can be read: {0}")]
    Unreadable(#[from] image::ImageError),
}

/// What the symbol in a PNG or JPEG file says; `None` where there is none that can be read.
pub fn scan_file(bytes: &[u8]) -> Result<Option<String>, PictureError> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOC);
    let mut reader = ImageReader::new(Cursor::new(bytes));
    reader.limits(limits);
    let reader = reader.with_guessed_format().map_err(image::ImageError::IoError)?;
    let luma = reader.decode()?.into_luma8();
    let (width, height) = (luma.width() as usize, luma.height() as usize);
    Ok(scan(luma.as_raw(), width, height))
}

/// What the symbol in a picture says. `luma` has a byte a pixel, row by row, 0 is black; a picture whose size does not
/// agree with its bytes has no symbol. Of several symbols the first that can be read.
pub fn scan(luma: &[u8], width: usize, height: usize) -> Option<String> {
    let mut picture = Picture::new(luma, width, height)?;
    while picture.long_side() > LONG_SIDE {
        picture = picture.halved();
    }
    let half = picture.halved();
    let twice = || (picture.long_side() <= SMALL_SIDE).then(|| picture.doubled().sharpened());
    read(&picture.thresholded())
        .or_else(|| read(&picture.sharpened().thresholded()))
        .or_else(|| read(&half.thresholded()))
        .or_else(|| read(&half.sharpened().thresholded()))
        .or_else(|| read(&picture.thresholded().negative()))
        .or_else(|| read(&twice()?.thresholded()))
}

/// The first symbol in a bitmap that can be read.
fn read(bitmap: &Bitmap) -> Option<String> {
    find_areas(bitmap).into_iter().find_map(|area| read_area(bitmap, area))
}

/// The symbol in a part of a bitmap, also as a mirror shows it.
fn read_area(bitmap: &Bitmap, area: Area) -> Option<String> {
    let (width, height) = (area.right.checked_sub(area.left)?, area.bottom.checked_sub(area.top)?);
    let dark = |x: usize, y: usize| bitmap.is_dark(area.left + x, area.top + y);
    PreparedImage::prepare_from_bitmap(width, height, dark).detect_grids().iter().find_map(|grid| {
        let straight = grid.decode();
        let either = straight.or_else(|_| Grid::new(Mirrored(&grid.grid)).decode());
        either.ok().map(|(_, text)| text)
    })
}

/// A grid as a mirror shows it: rows for columns.
struct Mirrored<'a, G>(&'a G);

impl<G: BitGrid> BitGrid for Mirrored<'_, G> {
    fn size(&self) -> usize {
        self.0.size()
    }

    fn bit(&self, y: usize, x: usize) -> bool {
        self.0.bit(x, y)
    }
}
