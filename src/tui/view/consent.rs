//! Someone answered the offer: who, how, and whether to let them in. Camera and microphone are still off.
//!
//! ```text
//!  ╭ Bob answered ────────────────────────────╮
//!  │ Path: direct, same network               │
//!  │ Safety words: apple river stone cloud    │
//!  │ a let them in   x refuse                 │
//!  ╰──────────────────────────────────────────╯
//! ```

use super::{parts, status, style};
use crate::tui::keys::Action;
use crate::tui::model::Model;
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the screen.
pub(super) fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let name = model.name.as_deref().filter(|name| !name.is_empty()).unwrap_or("Someone without a name");
    let area = parts::middle(area, 64, 12);
    let inside = parts::panel(model, frame, area, "Someone answered");
    let words = model.words.as_ref().map_or("(not here yet)", |words| words.words.as_str());
    let mut lines = vec![
        Line::from(vec![
            Span::styled(name.to_owned(), style(model, Tone::Title)),
            Span::raw(" has your code and wants in."),
        ]),
        Line::raw(format!("Path: {}", status::path_text(model))),
        Line::from(vec![
            Span::raw("Safety words: "),
            Span::styled(words.to_owned(), style(model, Tone::Code)),
        ]),
        Line::raw("Both of you see the same words, or someone sits in between."),
        Line::styled("Camera and microphone stay off until you let them in.", style(model, Tone::Dim)),
    ];
    lines.extend(parts::notice_lines(model));
    let above = Rect { height: inside.height.saturating_sub(1), ..inside };
    parts::lines(frame, above, lines);
    let bottom = Rect { y: inside.bottom().saturating_sub(1), height: 1, ..inside };
    parts::hints(
        model,
        frame,
        bottom,
        &[
            (Action::Accept, "let them in"),
            (Action::Refuse, "refuse"),
            (Action::Help, "help"),
            (Action::Quit, "quit"),
        ],
    );
}
