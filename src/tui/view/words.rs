//! The safety words, to be compared aloud.

use super::{parts, style};
use crate::tui::keys::Action;
use crate::tui::model::Model;
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::Line;

/// Columns and rows.
pub(super) const SIZE: (u16, u16) = (60, 10);

/// Draws them.
pub(super) fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let inside = parts::panel(model, frame, area, "Safety words");
    let Some(words) = &model.words else {
        parts::lines(
            frame,
            inside,
            vec![Line::raw("There are none yet: they come once your friend is there.")],
        );
        return;
    };
    let verdict = if words.verified {
        Line::styled("✓ Compared: they agree.", style(model, Tone::Good))
    } else {
        Line::styled("Not compared yet.", style(model, Tone::Warn))
    };
    let above = Rect { height: inside.height.saturating_sub(1), ..inside };
    parts::lines(
        frame,
        above,
        vec![
            Line::styled(words.words.clone(), style(model, Tone::Code)).alignment(Alignment::Center),
            Line::raw(""),
            Line::raw(
                "Say them to each other. If your friend sees other words, someone sits in between: hang up.",
            ),
            verdict,
        ],
    );
    let bottom = Rect { y: inside.bottom().saturating_sub(1), height: 1, ..inside };
    parts::hints(model, frame, bottom, &[(Action::Verify, "they agree"), (Action::Close, "back")]);
}
