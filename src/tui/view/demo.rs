//! The demo: what each of the two ends sees, side by side, and the diagnostics under them.
//!
//! ```text
//!  Alice sees            Bob sees
//!  +------------------+ +------------------+
//!  |                  | |                  |
//!  +------------------+ +------------------+
//!  ╭ Diagnostics ──────────────────────────╮
//!  ╰───────────────────────────────────────╯
//!   direct (host) · RTT 1 ms · …
//! ```

use super::{PictureArea, call, diagnostics, parts, style};
use crate::tui::model::{Model, Which};
use crate::tui::text;
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Span;

/// Rows that the pictures keep, whatever the diagnostics want.
const PICTURE_ROWS: u16 = 8;

/// Draws the screen.
pub(super) fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let (pictures, pane, status) = layout(model, area);
    for (which, rect) in pictures {
        let title = match which {
            Which::Remote => &model.titles.remote,
            Which::Local => &model.titles.local,
        };
        let title = Span::styled(text::clip(title, rect.width.into()), style(model, Tone::Title));
        frame.render_widget(title, Rect { height: 1, ..rect });
        if shape(model, which).is_none() {
            parts::centered(frame, below_title(rect), &["No picture yet."]);
        }
    }
    if let Some(pane) = pane {
        diagnostics::view(model, frame, pane);
    }
    call::status_rows(model, frame, status);
}

/// Where the pictures belong.
pub(super) fn pictures(model: &Model, area: Rect) -> Vec<PictureArea> {
    let (pictures, _, _) = layout(model, area);
    pictures
        .into_iter()
        .filter_map(|(which, rect)| {
            Some(PictureArea::new(model, which, below_title(rect), shape(model, which)?))
        })
        .collect()
}

/// The picture's size, whichever end's camera is off: both are remote pictures here.
fn shape(model: &Model, which: Which) -> Option<(u32, u32)> {
    match which {
        Which::Remote => model.remote_picture,
        Which::Local => model.local_picture,
    }
}

fn below_title(rect: Rect) -> Rect {
    Rect { y: rect.y + 1, height: rect.height.saturating_sub(1), ..rect }
}

/// Both pictures' areas with their titles, the diagnostics, the status.
fn layout(model: &Model, area: Rect) -> ([(Which, Rect); 2], Option<Rect>, Rect) {
    let status = Rect { y: area.bottom() - 2, height: 2, ..area };
    let rest = Rect { height: area.height - 2, ..area };
    let half = rest.width.saturating_sub(1) / 2;
    let wanted = if model.panes.diagnostics { diagnostics::height(model, rest.width) } else { 0 };
    let pane_rows = wanted.min(rest.height.saturating_sub(PICTURE_ROWS));
    let pane_rows = if pane_rows < 3 { 0 } else { pane_rows };
    let pictures = Rect { height: rest.height - pane_rows, ..rest };
    let pane = (pane_rows > 0).then(|| Rect { y: pictures.bottom(), height: pane_rows, ..rest });
    let remote = Rect { width: half, ..pictures };
    let local = Rect { x: rest.right() - half, width: half, ..pictures };
    ([(Which::Remote, remote), (Which::Local, local)], pane, status)
}
