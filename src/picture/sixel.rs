//! DEC's sixels: six rows of pixels at a time, one pass over them for each colour. The palette is the 240
//! colours of a 256-colour terminal, dithered.
//!
//! Sixels do not scale: where pixels are too dear, each is drawn as a square of several.

use ratatui::layout::Rect;

use super::{
    color::{ColorDepth, Rgb, palette_color},
    pixels::{Image, Protocol, Tile, View},
    text::move_to,
};

/// The protocol.
pub(super) struct Sixel;

/// Rows of pixels in a band.
const BAND: usize = 6;

/// The first index of the palette that is used; the sixteen before it are themed.
const FIRST: u8 = 16;
const COLORS: usize = 240;

impl Protocol for Sixel {
    const BYTES_PER_PIXEL: f64 = 3.0;
    const DITHER: i32 = 16;

    /// A whole fraction of the pixels on the screen.
    fn size(view: &View<'_>, most: f64) -> (usize, usize) {
        let (width, height) = screen_size(view.placed, view);
        let factor =
            (((width * height) as f64 / most).sqrt().ceil() as usize).clamp(1, width.min(height).max(1));
        (width.div_ceil(factor), height.div_ceil(factor))
    }

    fn write(out: &mut Vec<u8>, image: &Image<'_>, tiles: &[Tile], view: &View<'_>, _: bool) {
        let (width, _) = screen_size(view.placed, view);
        let factor = width.div_ceil(image.width.max(1)).max(1);
        let colors: Vec<u8> = image.pixels.iter().map(|&pixel| index(pixel)).collect();
        for tile in tiles {
            move_to(out, tile.cells.as_position());
            let (left, top) = screen_size(
                Rect {
                    x: 0,
                    y: 0,
                    width: tile.cells.x - view.placed.x,
                    height: tile.cells.y - view.placed.y,
                },
                view,
            );
            let (across, down) = screen_size(tile.cells, view);
            let columns = columns(left, across, factor);
            let first = left / factor;
            let row = |y: usize| {
                let start = (top + y) / factor * image.width + first;
                colors.get(start..start + columns.len()).unwrap_or_default()
            };
            write_tile(out, &columns, down, row);
        }
    }
}

/// The widths on the screen of the image's columns that lie below `across` pixels from `left` on.
fn columns(left: usize, across: usize, factor: usize) -> Vec<usize> {
    let (first, end) = (left / factor, (left + across).div_ceil(factor));
    let edge = |column: usize| (column * factor).clamp(left, left + across);
    (first..end).map(|column| edge(column + 1) - edge(column)).collect()
}

/// Screen pixels of a rectangle of cells.
fn screen_size(cells: Rect, view: &View<'_>) -> (usize, usize) {
    let side = |cells: u16, pixels: u16| usize::from(cells) * usize::from(pixels.max(1));
    (side(cells.width, view.cell.width), side(cells.height, view.cell.height))
}

/// The place of a colour in our palette.
fn index(pixel: Rgb) -> u8 {
    ColorDepth::Indexed.index(pixel).saturating_sub(FIRST)
}

/// Writes `height` rows of pixels: `row` tells the colours of each, one for every column.
fn write_tile<'a>(out: &mut Vec<u8>, columns: &[usize], height: usize, row: impl Fn(usize) -> &'a [u8]) {
    let width: usize = columns.iter().sum();
    out.extend_from_slice(format!("\x1bP0;1;0q\"1;1;{width};{height}").as_bytes());
    define(out, (0..height).flat_map(|y| row(y).iter().copied()));
    let mut masks = vec![0u8; COLORS * columns.len()];
    for top in (0..height).step_by(BAND) {
        let mut used = [false; COLORS];
        for y in top..height.min(top + BAND) {
            for (x, &color) in row(y).iter().enumerate() {
                let color = usize::from(color);
                if let (Some(mask), Some(used)) =
                    (masks.get_mut(color * columns.len() + x), used.get_mut(color))
                {
                    *mask |= 1 << (y - top);
                    *used = true;
                }
            }
        }
        let colors = masks.chunks_exact_mut(columns.len().max(1)).zip(used).zip(0u8..);
        for ((masks, _), color) in colors.filter(|((_, used), _)| *used) {
            out.extend_from_slice(format!("#{color}").as_bytes());
            runs(out, masks, columns);
            masks.fill(0);
            out.push(b'$');
        }
        out.push(b'-');
    }
    out.extend_from_slice(b"\x1b\\");
}

/// Says what the colours are, in hundredths of red, green and blue: all of them before the first pixel, for xterm
/// gives pixels of bands above the colour that is defined below them.
fn define(out: &mut Vec<u8>, colors: impl Iterator<Item = u8>) {
    let mut used = [false; COLORS];
    for color in colors {
        if let Some(used) = used.get_mut(usize::from(color)) {
            *used = true;
        }
    }
    for (_, color) in used.into_iter().zip(0u8..).filter(|(used, _)| *used) {
        let [red, green, blue] =
            palette_color(color.saturating_add(FIRST)).map(|part| (u32::from(part) * 100 + 127) / 255);
        out.extend_from_slice(format!("#{color};2;{red};{green};{blue}").as_bytes());
    }
}

/// One pass: a byte for each pixel column of six, repeated ones counted. What is empty at the end is left out.
fn runs(out: &mut Vec<u8>, masks: &[u8], columns: &[usize]) {
    let end = masks.iter().rposition(|&mask| mask != 0).map_or(0, |last| last + 1);
    let mut columns = columns.iter();
    for run in masks.get(..end).unwrap_or_default().chunk_by(|one, next| one == next) {
        let sixel = 63 + run.first().copied().unwrap_or_default();
        let length: usize = columns.by_ref().take(run.len()).sum();
        if length > 3 {
            out.extend_from_slice(format!("!{length}").as_bytes());
            out.push(sixel);
        } else {
            out.extend(std::iter::repeat_n(sixel, length));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::CellSize;

    /// A small reader of what is written above: the colours of the pixels, by index.
    fn read(text: &str, width: usize, height: usize) -> Vec<Option<u8>> {
        let body = text.split_once('q').unwrap().1.trim_end_matches("\x1b\\");
        let body = body.split_once('#').map_or("", |parts| parts.1);
        let mut pixels = vec![None; width * height];
        for (band, passes) in format!("#{body}").split('-').enumerate() {
            for pass in passes.split('$').filter(|pass| !pass.is_empty()) {
                let data_at = pass.find(|c: char| !"#;0123456789".contains(c)).unwrap();
                let color: u8 = pass[..data_at].rsplit('#').next().unwrap().parse().unwrap();
                let (mut x, mut count) = (0, String::new());
                for c in pass[data_at..].chars() {
                    match c {
                        '!' => count.clear(),
                        '0'..='9' => count.push(c),
                        _ => {
                            for _ in 0..std::mem::take(&mut count).parse().unwrap_or(1) {
                                for bit in (0..BAND).filter(|bit| (c as u8 - 63) >> bit & 1 == 1) {
                                    pixels[(band * BAND + bit) * width + x] = Some(color);
                                }
                                x += 1;
                            }
                        }
                    }
                }
            }
        }
        pixels
    }

    #[test]
    fn every_pixel_gets_its_colour_and_none_is_left_out() {
        // Nineteen columns of two pixels, the first of which is cut in half.
        let color = |x: usize, y: usize| ((x / 3 * 7 + y / 4 * 31) % COLORS) as u8;
        let rows: Vec<Vec<u8>> = (0..20).map(|y| (0..19).map(|x| color(x, y)).collect()).collect();
        let columns = columns(3, 37, 2);
        assert_eq!((columns.len(), columns[0], columns[18]), (19, 1, 2));
        let mut out = Vec::new();
        write_tile(&mut out, &columns, 20, |y| &rows[y]);
        let text = String::from_utf8(out).unwrap();
        let pixels = read(&text, 37, 20);
        for (at, pixel) in pixels.into_iter().enumerate() {
            assert_eq!(pixel, Some(color((at % 37).div_ceil(2), at / 37)), "{at}");
        }
        let (last_definition, first_pixel) = (text.rfind(";2;"), text.find(['?', '@', '~']));
        assert!(last_definition < first_pixel, "{text}");
    }

    #[test]
    fn a_scarce_image_is_drawn_in_squares() {
        let cells = Rect::new(0, 0, 20, 10);
        let view =
            View { area: cells, placed: cells, holes: &[], cell: CellSize::default(), mirrored: false };
        assert_eq!(Sixel::size(&view, 1e9), (160, 160));
        assert_eq!(Sixel::size(&view, 6400.0), (80, 80));
        let pixels = vec![[255; 3]; 80 * 80];
        let tile = Tile { cells, x: 0, y: 0, width: 80, height: 80 };
        let mut out = Vec::new();
        Sixel::write(&mut out, &Image { width: 80, height: 80, pixels: &pixels }, &[tile], &view, false);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\"1;1;160;160#215;2;100;100;100#215!160~$-"), "{text}");
    }
}
