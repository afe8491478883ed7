//! A QR code in half blocks: two modules a cell, both colours explicit. Without UTF-8 two spaces a module.

use crate::tui::model::{Model, QrView};
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

/// Columns and rows that the code takes with its quiet zone.
pub(super) fn size(model: &Model, qr: &QrView) -> (u16, u16) {
    let side = |modules: usize| u16::try_from(modules + 2 * qr.quiet).unwrap_or(u16::MAX);
    let (columns, rows) = (side(qr.modules.first().map_or(0, Vec::len)), side(qr.modules.len()));
    if model.look.utf8 { (columns, rows.div_ceil(2)) } else { (columns.saturating_mul(2), rows) }
}

/// Draws it at the area's upper left.
pub(super) fn view(model: &Model, qr: &QrView, frame: &mut Frame, area: Rect) {
    let (black, white) = model.look.qr_colors();
    let color = |dark| if dark { black } else { white };
    let buffer = frame.buffer_mut();
    for row in 0..area.height {
        for column in 0..area.width {
            let Some(cell) = buffer.cell_mut(Position::new(area.x + column, area.y + row)) else { continue };
            if model.look.utf8 {
                let (upper, lower) = (dark(qr, column, row * 2), dark(qr, column, row * 2 + 1));
                cell.set_symbol("▀").set_style(Style::new().fg(color(upper)).bg(color(lower)));
            } else {
                let dark = dark(qr, column / 2, row);
                cell.set_symbol(" ").set_style(Style::new().fg(color(!dark)).bg(color(dark)));
            }
        }
    }
}

/// Whether a module is dark; the quiet zone and all beyond are not.
fn dark(qr: &QrView, column: u16, row: u16) -> bool {
    let (Some(column), Some(row)) =
        (usize::from(column).checked_sub(qr.quiet), usize::from(row).checked_sub(qr.quiet))
    else {
        return false;
    };
    qr.modules.get(row).and_then(|modules| modules.get(column)).copied().unwrap_or(false)
}
