//! The help, printed from the keys' own table.

use super::{parts, style};
use crate::tui::keys::{self, Binding};
use crate::tui::model::{Layer, Model, Place};
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Columns for the keys' names.
const KEYS_WIDTH: usize = 10;

/// Columns and rows it wants.
pub(super) fn size(model: &Model) -> (u16, u16) {
    (66, lines_of(model).len() as u16 + 6)
}

/// Draws it, scrolled down by `top` lines.
pub(super) fn view(model: &Model, top: u16, frame: &mut Frame, area: Rect) {
    let inside = parts::panel(model, frame, area, "Keys");
    let mut lines: Vec<Line> = lines_of(model)
        .into_iter()
        .map(|binding| {
            Line::from(vec![
                Span::styled(format!("{:<KEYS_WIDTH$} ", binding.keys_text()), style(model, Tone::Key)),
                Span::raw(binding.help),
            ])
        })
        .collect();
    lines.push(Line::raw(""));
    for sentence in [
        "Trouble? p2pcall check tries this machine's own part,",
        "p2pcall demo a whole call without a network.",
    ] {
        lines.push(Line::styled(sentence, style(model, Tone::Dim)));
    }
    lines.push(Line::styled("Esc closes, up and down scroll.", style(model, Tone::Dim)));
    let last = (lines.len() as u16).saturating_sub(inside.height);
    frame.render_widget(Paragraph::new(lines).scroll((top.min(last), 0)), inside);
}

/// The keys of the place under the help, and those that work everywhere.
fn lines_of(model: &Model) -> Vec<&'static Binding> {
    let under = Model { layer: Layer::None, ..Model::new(model.role, model.look, model.size) };
    let place = Model { screen: model.screen.clone(), ..under }.place();
    let text_is_typed = place == Place::Prompt;
    keys::TABLE
        .iter()
        .filter(|binding| binding.works_in(place))
        .filter(|binding| !text_is_typed || binding.action != keys::Action::Quit)
        .collect()
}
