//! One picture among the lines of a check.

use crate::cli;
use crate::media::frame::VideoFrame;
use crate::picture::{Facts, Frame, Painter, PictureSource, Plane, place};
use crate::tui::theme;
use ratatui::layout::Rect;
use std::io::Write;
use std::time::Duration;

/// Rows of the preview.
const ROWS: u16 = 14;

/// Draws a picture above the cursor, which must be in a terminal.
pub(super) fn show(picture: &VideoFrame, facts: &Facts) {
    let Ok((columns, rows)) = crossterm::terminal::size() else { return };
    let mut out = std::io::stdout();
    let height = ROWS.min(rows.saturating_sub(2));
    // Room first: the screen may scroll.
    let _ = write!(out, "{}", "\n".repeat(usize::from(height)));
    let _ = out.flush();
    let Ok((_, row)) = crossterm::cursor::position() else { return };
    let room = Rect::new(5, row.saturating_sub(height), columns.saturating_sub(5), height);
    let (_, look) = theme::looks(cli::Render::Auto, cli::Color::Auto, facts);
    let fitted = place((picture.width, picture.height), room, look.cell);
    let mut painter = Painter::new(look, Rect { x: room.x, ..fitted }).mirrored();
    let half = picture.width as usize / 2;
    let plane = |samples, stride| Plane { samples, stride };
    let planes = [plane(&picture.y, half * 2), plane(&picture.u, half), plane(&picture.v, half)];
    if let Ok(picture) = PictureSource::new(picture.width, picture.height, planes) {
        let bytes = painter.paint(&Frame { picture, holes: &[], elapsed: Duration::from_secs(1) });
        let _ = out.write_all(&bytes);
        let _ = out.flush();
    }
}
