//! A QR symbol as the bytes of a PNG file.

use std::io::Cursor;

use image::{GrayImage, ImageFormat, Luma};

use super::{Qr, STANDARD_QUIET};

/// Pixels along a module's side: a typical file stays below 4 kB.
const SCALE: usize = 10;

/// A PNG, black on white, with the standard's quiet zone. The encoder's error, which memory alone can cause.
pub fn to_png(qr: &Qr) -> Result<Vec<u8>, image::ImageError> {
    let side = ((qr.size() + 2 * STANDARD_QUIET) * SCALE) as u32;
    let picture = GrayImage::from_fn(side, side, |x, y| {
        let dark = qr.is_dark_within(STANDARD_QUIET, x as usize / SCALE, y as usize / SCALE);
        Luma([if dark { 0 } else { 255 }])
    });
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, ImageFormat::Png)?;
    Ok(out.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::qr::scan::scan_file;
    use crate::code::testing::typical;

    #[test]
    fn what_was_written_is_read_back() {
        for full in [false, true] {
            let text = typical(full).text();
            let png = to_png(&Qr::new(&text).unwrap()).unwrap();
            assert!(png.len() < 4096, "{} bytes", png.len());
            assert_eq!(scan_file(&png).unwrap(), Some(text));
        }
    }
}
