//! iTerm2's inline images: every visible rectangle a JPEG of its own.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{ExtendedColorType, codecs::jpeg::JpegEncoder};

use super::{
    pixels::{Image, Protocol, Tile, View, crop},
    text::move_to,
};

/// The protocol.
pub(super) struct Iterm;

/// Of 100: a moving picture needs no more.
const QUALITY: u8 = 65;

impl Protocol for Iterm {
    const BYTES_PER_PIXEL: f64 = 0.35;
    const DITHER: i32 = 0;

    fn write(out: &mut Vec<u8>, image: &Image<'_>, tiles: &[Tile], _: &View<'_>, _: bool) {
        for tile in tiles {
            let raw: Vec<u8> = crop(image, tile).flatten().flatten().copied().collect();
            let mut jpeg = Vec::new();
            let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
            let size = (tile.width as u32, tile.height as u32);
            if image_encoded(encoder, &raw, size) {
                move_to(out, tile.cells.as_position());
                let control = format!(
                    "\x1b]1337;File=inline=1;size={};width={};height={};preserveAspectRatio=0;doNotMoveCursor=1:",
                    jpeg.len(),
                    tile.cells.width,
                    tile.cells.height
                );
                out.extend_from_slice(control.as_bytes());
                out.extend_from_slice(STANDARD.encode(&jpeg).as_bytes());
                out.push(b'\x07');
            }
        }
    }
}

/// JPEG ends at 65,535 pixels a side; such a tile is not drawn.
fn image_encoded(mut encoder: JpegEncoder<&mut Vec<u8>>, raw: &[u8], (width, height): (u32, u32)) -> bool {
    encoder.encode(raw, width, height, ExtendedColorType::Rgb8).is_ok()
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;
    use crate::picture::CellSize;

    #[test]
    fn every_tile_is_a_jpeg_at_its_place() {
        let pixels = [[200, 60, 20]; 32 * 32];
        let image = Image { width: 32, height: 32, pixels: &pixels };
        let cells = Rect::new(0, 4, 4, 2);
        let view =
            View { area: cells, placed: cells, holes: &[], cell: CellSize::default(), mirrored: false };
        let mut out = Vec::new();
        Iterm::write(&mut out, &image, &[Tile { cells, x: 8, y: 8, width: 16, height: 16 }], &view, false);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("\x1b[5;1H\x1b]1337;File=inline=1;"));
        assert!(text.contains("width=4;height=2;"));
        let data = text.trim_end_matches('\x07').rsplit_once(':').unwrap().1;
        let shown = image::load_from_memory(&STANDARD.decode(data).unwrap()).unwrap().to_rgb8();
        assert_eq!(shown.dimensions(), (16, 16));
        assert!(
            shown.get_pixel(7, 7).0.iter().zip([200u8, 60, 20]).all(|(got, meant)| got.abs_diff(meant) < 6)
        );
    }
}
