//! On the way to being connected; when one code was not enough, the reply code to read to the friend.
//!
//! ```text
//!  p2pcall: connecting
//!   Read these 16 characters to your friend.
//!   531N-2G66-6DJ4-VQ7E
//!   · what is being tried
//! ```

use super::{attempt, parts, style, waiting};
use crate::call::event::{CallState, CodeKind};
use crate::tui::keys::Action;
use crate::tui::model::{Model, Role, ShownCode};
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the screen.
pub(super) fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let (top, between, bottom) = parts::rows(area);
    let reply = model.code.as_ref().filter(|code| code.kind == CodeKind::Answer);
    match reply {
        Some(reply) if model.state != CallState::Answered => {
            parts::title_bar(
                model,
                frame,
                top,
                "p2pcall: your friend needs this reply",
                &waiting::expiry(model),
            );
            waiting::code_and_words(model, frame, between, reply_words(model, reply));
        }
        _ => {
            parts::title_bar(model, frame, top, "p2pcall: connecting", "");
            if model.shows_attempt() {
                attempt::view(model, frame, between);
            } else {
                steps(model, frame, between);
            }
        }
    }
    parts::hints(
        model,
        frame,
        bottom,
        &[
            (Action::CopyCode, "copy the code"),
            (Action::Diagnostics, "diagnostics"),
            (Action::Words, "safety words"),
            (Action::Mute, "mute"),
            (Action::Camera, "camera"),
            (Action::Help, "help"),
            (Action::Quit, "quit"),
        ],
    );
}

fn reply_words(model: &Model, reply: &ShownCode) -> Vec<Line<'static>> {
    let characters = reply.code.chars().filter(char::is_ascii_alphanumeric).count();
    let headline = if characters <= 40 {
        format!("Read these {characters} characters to your friend.")
    } else {
        "Send this reply code to your friend.".to_owned()
    };
    vec![
        Line::styled(headline, style(model, Tone::Title)),
        Line::raw("They type or paste them where they wait; then the call connects."),
    ]
}

fn steps(model: &Model, frame: &mut Frame, area: Rect) {
    let inside = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let mut lines = vec![Line::styled(headline(model), style(model, Tone::Title))];
    if let Some(words) = &model.words {
        lines.push(Line::raw(format!("Safety words: {}", words.words)));
    }
    lines.extend(parts::notice_lines(model));
    let used = parts::lines(frame, inside, lines) + 1;
    let rest = Rect { y: inside.y + used, height: inside.height.saturating_sub(used), ..inside };
    parts::progress(model, frame, rest);
}

fn headline(model: &Model) -> String {
    match (model.role, model.state) {
        (Role::Demo, _) => "Starting both ends of a call on this machine…".to_owned(),
        (_, CallState::Gathering) => "Finding this machine's addresses…".to_owned(),
        (Role::Answer, CallState::Answered) => format!("Waiting for {} to let you in…", model.friend()),
        (Role::Offer, CallState::Answered) => "Opening sound and picture…".to_owned(),
        _ => format!("Connecting to {}…", model.friend()),
    }
}
