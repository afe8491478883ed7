//! Where in a rectangle of cells a picture goes: as large as fits, with its own proportions, in the middle.

use ratatui::layout::Rect;

/// The size of one character cell in pixels. Only the ratio matters to text modes; sixel needs the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellSize {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
}

/// What most terminals come close to: a cell twice as high as wide.
impl Default for CellSize {
    fn default() -> Self {
        Self { width: 8, height: 16 }
    }
}

/// The cells of `area` which a picture of `picture` pixels fills: whole cells, at least one, centred. An
/// empty area stays empty.
pub fn place(picture: (u32, u32), area: Rect, cell: CellSize) -> Rect {
    if area.is_empty() {
        return area;
    }
    let (cell_width, cell_height) = (u64::from(cell.width.max(1)), u64::from(cell.height.max(1)));
    let (width, height) = (u64::from(picture.0.max(1)), u64::from(picture.1.max(1)));
    let (across, down) = (u64::from(area.width) * cell_width, u64::from(area.height) * cell_height);
    // Compares across/width with down/height: the smaller one limits the scale.
    let (columns, rows) = if across * height <= down * width {
        (area.width, whole_cells(height * across, width * cell_height, area.height))
    } else {
        (whole_cells(width * down, height * cell_width, area.width), area.height)
    };
    Rect {
        x: area.x + (area.width - columns) / 2,
        y: area.y + (area.height - rows) / 2,
        width: columns,
        height: rows,
    }
}

/// `pixels / per_cell`, rounded, from 1 to `limit`.
fn whole_cells(pixels: u64, per_cell: u64, limit: u16) -> u16 {
    let cells = (pixels + per_cell / 2) / per_cell;
    u16::try_from(cells).unwrap_or(limit).clamp(1, limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_keeps_its_proportions_and_is_centred() {
        let check = |picture, area: (u16, u16), expect: (u16, u16, u16, u16)| {
            let got = place(picture, Rect::new(10, 5, area.0, area.1), CellSize::default());
            assert_eq!((got.x, got.y, got.width, got.height), expect, "{picture:?} in {area:?}");
        };
        check((640, 360), (160, 45), (10, 5, 160, 45)); // the same proportions
        check((640, 480), (160, 45), (30, 5, 120, 45)); // bars left and right
        check((640, 360), (160, 61), (10, 13, 160, 45)); // bars above and below
        check((360, 640), (160, 45), (64, 5, 51, 45)); // a telephone held upright
        check((1, 1), (1, 1), (10, 5, 1, 1));
        check((3000, 2), (300, 100), (10, 54, 300, 1)); // never less than a cell
        check((2, 3000), (300, 100), (159, 5, 1, 100));
        check((640, 360), (0, 9), (10, 5, 0, 9));
    }
}
