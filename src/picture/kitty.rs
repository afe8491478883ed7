//! kitty's graphics protocol: an image is sent once, compressed, and placed in as many pieces as there are
//! visible rectangles. Two image numbers take turns: the new image is placed before the old one is removed.
//!
//! Sent in the escape codes themselves, so that it works at a distance too.

use std::io::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::ZlibEncoder};
use ratatui::layout::Rect;

use super::{
    pixels::{Image, Protocol, Tile, View},
    text::move_to,
};

/// The protocol.
pub(super) struct Kitty;

/// The protocol's limit for the base64 in one escape code.
const CHUNK: usize = 4096;

/// Colours are rounded to six bits: nobody sees it in a moving picture, and a camera's noise in the lowest two
/// cannot be compressed.
const MASK: u8 = 0b1111_1100;

impl Protocol for Kitty {
    const BYTES_PER_PIXEL: f64 = 2.0;
    const DITHER: i32 = 0;

    fn write(out: &mut Vec<u8>, image: &Image<'_>, tiles: &[Tile], view: &View<'_>, turn: bool) {
        let id = image_id(view.area, turn);
        let mut data = STANDARD.encode(compress(image)).into_bytes();
        let control = format!("a=t,f=24,o=z,s={},v={},i={id},q=2,", image.width, image.height);
        let mut control = control.as_str();
        while !data.is_empty() {
            let rest = data.split_off(CHUNK.min(data.len()));
            let more = u8::from(!rest.is_empty());
            command(out, &format!("{control}m={more}"), &data);
            (data, control) = (rest, "q=2,");
        }
        for (number, tile) in (1..).zip(tiles) {
            move_to(out, tile.cells.as_position());
            let Tile { cells, x, y, width, height } = tile;
            let place = format!(
                "a=p,i={id},p={number},x={x},y={y},w={width},h={height},c={},r={},C=1,q=2",
                cells.width, cells.height
            );
            command(out, &place, b"");
        }
        delete(out, image_id(view.area, !turn));
    }
}

/// Takes away whatever was shown in a painter's rectangle.
pub(super) fn remove(area: Rect) -> Vec<u8> {
    let mut out = Vec::new();
    for turn in [false, true] {
        delete(&mut out, image_id(area, turn));
    }
    out
}

/// Deletes an image with its placements and its data.
fn delete(out: &mut Vec<u8>, id: u32) {
    command(out, &format!("a=d,d=I,i={id},q=2"), b"");
}

fn command(out: &mut Vec<u8>, control: &str, data: &[u8]) {
    out.extend_from_slice(b"\x1b_G");
    out.extend_from_slice(control.as_bytes());
    if !data.is_empty() {
        out.push(b';');
        out.extend_from_slice(data);
    }
    out.extend_from_slice(b"\x1b\\");
}

/// Two numbers for each place on the screen: no two painters share one.
fn image_id(area: Rect, turn: bool) -> u32 {
    let place = u32::from(area.y & 0x1fff) << 13 | u32::from(area.x & 0x1fff);
    0x4000_0000 | place << 1 | u32::from(turn)
}

fn compress(image: &Image<'_>) -> Vec<u8> {
    let raw: Vec<u8> = image.pixels.iter().flatten().map(|part| part & MASK | part >> 6).collect();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    // Writing to a Vec does not fail; if it did, an empty image would be the right answer.
    encoder.write_all(&raw).and_then(|()| encoder.finish()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::ZlibDecoder;

    use super::*;
    use crate::picture::CellSize;

    #[test]
    fn an_image_comes_out_as_it_went_in() {
        let pixels: Vec<_> =
            (0..90 * 60u32).map(|at| [at % 251, at % 13 * 19, at / 90].map(|part| part as u8)).collect();
        let image = Image { width: 90, height: 60, pixels: &pixels };
        let cells = Rect::new(3, 2, 9, 6);
        let tile = Tile { cells, x: 0, y: 0, width: 90, height: 60 };
        let view =
            View { area: cells, placed: cells, holes: &[], cell: CellSize::default(), mirrored: false };
        let mut out = Vec::new();
        Kitty::write(&mut out, &image, &[tile], &view, true);

        let text = String::from_utf8(out).unwrap();
        let commands: Vec<_> =
            text.split("\x1b_G").skip(1).map(|part| part.split("\x1b\\").next().unwrap()).collect();
        let (placing, chunks): (Vec<_>, Vec<_>) =
            commands.into_iter().partition(|command| !command.contains(';'));
        assert!(chunks.iter().all(|chunk| chunk.split_once(';').unwrap().1.len() <= CHUNK));
        assert!(
            chunks[0].contains("s=90,v=60")
                && chunks[0].contains("m=1")
                && chunks.last().unwrap().contains("m=0")
        );
        assert!(placing[0].contains("x=0,y=0,w=90,h=60,c=9,r=6"), "{placing:?}");
        assert!(text.contains("\x1b[3;4H"));

        let data: String = chunks.iter().map(|chunk| chunk.split_once(';').unwrap().1).collect();
        let mut raw = Vec::new();
        ZlibDecoder::new(STANDARD.decode(data).unwrap().as_slice()).read_to_end(&mut raw).unwrap();
        let near = raw.iter().zip(pixels.iter().flatten()).all(|(got, meant)| got.abs_diff(*meant) < 4);
        assert!(near && raw.len() == 90 * 60 * 3);
    }

    #[test]
    fn the_images_of_two_places_are_told_apart() {
        let ids = [(0, 0), (1, 0), (0, 1)].map(|(x, y)| image_id(Rect::new(x, y, 9, 9), false));
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }
}
