//! The call: the friend's picture as large as fits, the own one small in its corner.
//!
//! ```text
//!  +-------------------------------------+
//!  |        friend's picture    +------+ |   diagnostics: at the right of it,
//!  |                            | own  | |   or over it where that is too narrow
//!  +----------------------------+------+-+
//!   Bob: last chat lines
//!   a warning, and what to do
//!   direct (host) · RTT 12 ms · loss 0 % · …
//!   Bob · ✓ verified                 keys
//! ```

use super::{PictureArea, diagnostics, parts, status, style};
use crate::call::event::Side;
use crate::tui::input::TextInput;
use crate::tui::keys::Action;
use crate::tui::model::{Layer, Model, Which};
use crate::tui::text;
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};
use std::time::Duration;

/// Columns of the diagnostics.
const PANE: u16 = 54;
/// From this width on the diagnostics stand beside the picture.
const WIDE: u16 = 120;
/// Chat rows while nobody types, and while someone does.
const CHAT_ROWS: (usize, usize) = (3, 8);
/// How long a chat line stays while nobody types.
const CHAT_LIFETIME: Duration = Duration::from_secs(60);

/// The screen's parts.
struct Layout {
    picture: Rect,
    own: Option<Rect>,
    pane: Option<Rect>,
    chat: Rect,
    notice: Rect,
    status: Rect,
}

/// Draws the screen.
pub(super) fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let layout = layout(model, area);
    if model.picture(Which::Remote).is_none() {
        parts::centered(frame, layout.picture, &[&no_picture(model)]);
    }
    if let (Some(own), None) = (layout.own, model.picture(Which::Local)) {
        frame.render_widget(Clear, own);
        parts::centered(frame, own, &["camera off"]);
    }
    if let Some(pane) = layout.pane {
        frame.render_widget(Clear, pane);
        diagnostics::view(model, frame, pane);
    }
    let rows = chat_rows(model, layout.chat.width.into());
    frame.render_widget(Paragraph::new(rows), layout.chat);
    if let Some((prompt, input)) = typed(model) {
        let row = Rect { y: layout.chat.bottom().saturating_sub(1), height: 1, ..layout.chat };
        let prompt = Span::styled(prompt, style(model, Tone::Key));
        parts::field(frame, row, prompt, input.before_cursor(), input.after_cursor());
    }
    parts::lines(frame, layout.notice, parts::notice_lines(model));
    status_rows(model, frame, layout.status);
}

/// Where the pictures belong.
pub(super) fn pictures(model: &Model, area: Rect) -> Vec<PictureArea> {
    let layout = layout(model, area);
    let over = layout.pane.filter(|pane| pane.intersects(layout.picture));
    let area_of =
        |which, rect: Option<Rect>| Some(PictureArea::new(model, which, rect?, model.picture(which)?));
    let mut own = area_of(Which::Local, layout.own);
    let mut remote = area_of(Which::Remote, Some(layout.picture));
    if let Some(remote) = &mut remote {
        remote.holes.extend(own.as_ref().map(|own| own.placed).or(layout.own));
        remote.holes.extend(over);
    }
    if let Some(own) = &mut own {
        own.holes.extend(over);
    }
    remote.into_iter().chain(own).collect()
}

/// The two rows at the bottom of a call, shared with the demo.
pub(super) fn status_rows(model: &Model, frame: &mut Frame, area: Rect) {
    let [first, second] = [0, 1].map(|row| Rect { y: area.y + row, height: 1, ..area });
    frame.render_widget(status::network(model, first.width.into()), first);
    let hints = parts::hint_spans(
        model,
        usize::from(second.width) * 2 / 3,
        &[
            (Action::Help, "help"),
            (Action::Quit, "quit"),
            (Action::Mute, "mute"),
            (Action::Camera, "camera"),
            (Action::Diagnostics, "diagnostics"),
            (Action::TakeFile, "take file"),
            (Action::RefuseFile, "refuse"),
            (Action::Chat, "chat"),
            (Action::File, "file"),
            (Action::Submit, "send"),
            (Action::Close, "back"),
        ],
    );
    let people = status::people(model, second.width.into());
    let free = usize::from(second.width).saturating_sub(people.width());
    frame.render_widget(people, second);
    let hints = Line::from(fitting(&hints, free));
    let width = (hints.width() as u16).min(second.width);
    frame.render_widget(hints, Rect { x: second.right() - width, width, ..second });
}

/// The first pairs of key and words that fit into so many columns.
fn fitting(spans: &[Span<'static>], columns: usize) -> Vec<Span<'static>> {
    let mut kept = Vec::new();
    let mut used = 0;
    for pair in spans.chunks(2) {
        used += pair.iter().map(Span::width).sum::<usize>();
        if used > columns {
            break;
        }
        kept.extend_from_slice(pair);
    }
    kept
}

fn layout(model: &Model, area: Rect) -> Layout {
    let status = Rect { y: area.bottom() - 2, height: 2, ..area };
    let mut rest = Rect { height: area.height - 2, ..area };
    let notice: usize = parts::notice_lines(model)
        .iter()
        .map(|line| parts::wrap(&line.to_string(), area.width.saturating_sub(2).into()).len())
        .sum();
    let notice = cut_bottom(&mut rest, notice.min(4) as u16);
    let typing = usize::from(typed(model).is_some());
    let chat = chat_rows(model, area.width.saturating_sub(2).into()).len() + typing;
    let most = rest.height / 2;
    let chat = cut_bottom(&mut rest, (chat as u16).min(most.max(1)));
    let pane = model.panes.diagnostics.then(|| {
        let width = PANE.min(rest.width);
        let height =
            if area.width >= WIDE { rest.height } else { diagnostics::height(model, width).min(rest.height) };
        Rect { x: rest.right() - width, width, height, ..rest }
    });
    let picture = match pane {
        Some(pane) if area.width >= WIDE => Rect { width: rest.width - pane.width, ..rest },
        _ => rest,
    };
    let own = model.panes.own_picture.then(|| own_rect(model, picture));
    Layout { picture, own, pane, chat: inset(chat), notice: inset(notice), status }
}

/// A fifth of the picture's width in its lower right corner, as high as the own picture's shape needs.
fn own_rect(model: &Model, area: Rect) -> Rect {
    let width = (area.width / 5).clamp(12, 40).min(area.width);
    let (across, down) = model.local_picture.unwrap_or((640, 360));
    let rows = (u64::from(width) * u64::from(down)).div_ceil(u64::from(across.max(1)) * 2);
    let height = rows.min(u64::from(area.height / 2).max(1)) as u16;
    Rect { x: area.right() - width, y: area.bottom() - height, width, height }
}

fn cut_bottom(area: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    area.height -= rows;
    Rect { y: area.bottom(), height: rows, ..*area }
}

fn inset(area: Rect) -> Rect {
    Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }
}

fn no_picture(model: &Model) -> String {
    if model.remote.video_off {
        format!("{} has the camera off.", model.friend())
    } else {
        "No picture yet.".to_owned()
    }
}

/// The line that is being typed, and what stands before it.
fn typed(model: &Model) -> Option<(&'static str, &TextInput)> {
    match &model.layer {
        Layer::Chat(input) => Some(("say: ", input)),
        Layer::File(input) => Some(("send file: ", input)),
        _ => None,
    }
}

/// The last chat lines as rows.
fn chat_rows(model: &Model, width: usize) -> Vec<Line<'static>> {
    let typing = matches!(model.layer, Layer::Chat(_));
    let most = if typing { CHAT_ROWS.1 } else { CHAT_ROWS.0 };
    let mut rows = Vec::new();
    for line in model.chat.iter().rev() {
        if rows.len() >= most || (!typing && model.now > line.at + CHAT_LIFETIME) {
            break;
        }
        let (who, tone) = match line.from {
            Side::Local => ("you", Tone::Dim),
            Side::Remote => (model.friend(), Tone::Plain),
        };
        let text = format!("{}: {}", text::clip(who, width / 3), line.text);
        for row in parts::wrap(&text, width.max(1)).into_iter().rev() {
            rows.push(Line::styled(row, style(model, tone)));
        }
    }
    rows.truncate(most);
    rows.reverse();
    rows
}
