//! `answer` without a code: the question for it.
//!
//! ```text
//!  p2pcall: join a call
//!
//!      Paste the code your friend sent you.
//!      > P2P42576ECCG…
//!      A character is wrong.
//! ```

use super::{parts, style};
use crate::tui::input::TextInput;
use crate::tui::keys::Action;
use crate::tui::model::Model;
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the screen.
pub(super) fn view(model: &Model, input: &TextInput, frame: &mut Frame, area: Rect) {
    let (top, between, bottom) = parts::rows(area);
    parts::title_bar(model, frame, top, "p2pcall: join a call", "");
    let inside = parts::middle(between, 76, between.height.min(8));
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let used = parts::lines(
        frame,
        inside,
        vec![
            Line::styled("Paste the code your friend sent you.", style(model, Tone::Title)),
            Line::styled("The whole message will do; the code is found in it.", style(model, Tone::Dim)),
        ],
    );
    let row = Rect { y: inside.y + used, height: 1, ..inside };
    parts::field(
        frame,
        row,
        Span::styled("> ", style(model, Tone::Key)),
        input.before_cursor(),
        input.after_cursor(),
    );
    let below = Rect { y: row.y + 1, height: inside.bottom().saturating_sub(row.y + 1), ..inside };
    parts::lines(frame, below, parts::notice_lines(model));
    parts::hints(
        model,
        frame,
        bottom,
        &[
            (Action::Submit, "join"),
            (Action::Close, "clear"),
            (Action::Help, "help"),
            (Action::Interrupt, "quit"),
        ],
    );
}
