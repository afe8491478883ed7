//! The question whether to leave.

use super::{parts, style};
use crate::tui::keys::Action;
use crate::tui::model::{Model, Screen};
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Columns and rows.
pub(super) const SIZE: (u16, u16) = (40, 5);

/// Draws it.
pub(super) fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let inside = parts::panel(model, frame, area, "Leave?");
    let question = match model.screen {
        Screen::Call if model.transfer.is_some() => "Hang up? A file is on its way.",
        Screen::Call => "Hang up the call?",
        _ => "Give up this call? Its code dies.",
    };
    parts::lines(
        frame,
        Rect { height: 1.min(inside.height), ..inside },
        vec![Line::styled(question, style(model, Tone::Title))],
    );
    let bottom = Rect { y: inside.bottom().saturating_sub(1), height: 1, ..inside };
    parts::hints(model, frame, bottom, &[(Action::Leave, "yes"), (Action::Close, "no")]);
}
