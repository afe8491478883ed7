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

use super::{PictureArea, chat, diagnostics, parts, status, style};
use crate::tui::input::TextInput;
use crate::tui::keys::Action;
use crate::tui::model::{Layer, Model, Which};
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

/// The keys that matter, the most useful first: what doesn't fit is left out.
const HINTS: &[(Action, &str)] = &[
    (Action::Help, "help"),
    (Action::TakeFile, "take file"),
    (Action::RefuseFile, "refuse"),
    (Action::Submit, "send"),
    (Action::Close, "back"),
    (Action::Quit, "quit"),
    (Action::Mute, "mute"),
    (Action::ChatPane, "chat"),
    (Action::File, "file"),
    (Action::Camera, "camera"),
    (Action::Record, "record"),
    (Action::Chat, "write"),
    (Action::Diagnostics, "diagnostics"),
];

/// The screen's parts.
struct Layout {
    picture: Rect,
    own: Option<Rect>,
    pane: Option<Rect>,
    /// The chat's pane.
    said: Option<Rect>,
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
    if let Some(said) = layout.said {
        frame.render_widget(Clear, said);
        chat::view(model, typed(model).filter(|_| types_in_pane(model)), frame, said);
    }
    if let Some((prompt, input)) = typed(model).filter(|_| !types_in_pane(model)) {
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
    let over =
        [layout.pane, layout.said].into_iter().flatten().filter(|pane| pane.intersects(layout.picture));
    let over: Vec<Rect> = over.collect();
    let area_of =
        |which, rect: Option<Rect>| Some(PictureArea::new(model, which, rect?, model.picture(which)?));
    let mut own = area_of(Which::Local, layout.own);
    let mut remote = area_of(Which::Remote, Some(layout.picture));
    if let Some(remote) = &mut remote {
        remote.holes.extend(own.as_ref().map(|own| own.placed).or(layout.own));
        remote.holes.extend(&over);
    }
    if let Some(own) = &mut own {
        own.holes.extend(&over);
    }
    remote.into_iter().chain(own).collect()
}

/// The two rows at the bottom of a call, shared with the demo.
pub(super) fn status_rows(model: &Model, frame: &mut Frame, area: Rect) {
    let [first, second] = [0, 1].map(|row| Rect { y: area.y + row, height: 1, ..area });
    frame.render_widget(status::network(model, first.width.into()), first);
    let (help, width) = (HINTS.first().map_or(0, |(_, words)| words.len() + 4), usize::from(second.width));
    let people = status::people(model, width.saturating_sub(help));
    let hints = parts::hint_spans(model, width.saturating_sub(people.width()), HINTS);
    frame.render_widget(people, second);
    let hints = Line::from(hints);
    let width = (hints.width() as u16).min(second.width);
    frame.render_widget(hints, Rect { x: second.right() - width, width, ..second });
}

fn layout(model: &Model, area: Rect) -> Layout {
    let status = Rect { y: area.bottom() - 2, height: 2, ..area };
    let mut rest = Rect { height: area.height - 2, ..area };
    let notice: usize = parts::notice_lines(model)
        .iter()
        .map(|line| parts::wrap(&line.to_string(), area.width.saturating_sub(2).into()).len())
        .sum();
    let notice = cut_bottom(&mut rest, notice.min(4) as u16);
    let typing = usize::from(typed(model).is_some() && !types_in_pane(model));
    let chat = chat_rows(model, area.width.saturating_sub(2).into()).len() + typing;
    let most = rest.height / 2;
    let chat = cut_bottom(&mut rest, (chat as u16).min(most.max(1)));
    let Beside { picture, pane, said } = beside(model, area.width, rest);
    // Own picture stays in sight.
    let free = said.filter(|said| said.intersects(picture)).map_or(picture.height, |said| said.y - picture.y);
    let own =
        (model.panes.own_picture && free > 0).then(|| own_rect(model, Rect { height: free, ..picture }));
    Layout { picture, own, pane, said, chat: inset(chat), notice: inset(notice), status }
}

/// The picture, and the panes beside or over it.
struct Beside {
    picture: Rect,
    pane: Option<Rect>,
    said: Option<Rect>,
}

/// Panes stand beside the picture, one above the other, where it is wide enough; else diagnostics lie over its right and
/// the chat over its lower part.
fn beside(model: &Model, columns: u16, rest: Rect) -> Beside {
    let (facts, chats) = (model.panes.diagnostics, model.panes.chat);
    let wide = (facts && columns >= WIDE, chats && columns >= chat::WIDE);
    let taken = match wide {
        (true, _) => PANE.min(rest.width),
        (false, true) => chat::width(columns),
        (false, false) => 0,
    };
    let picture = Rect { width: rest.width - taken, ..rest };
    let mut column = Rect { x: picture.right(), width: taken, ..rest };
    let said = chats.then(|| match wide {
        (true, true) => {
            let facts = diagnostics::height(model, taken).min(rest.height - rest.height / 3);
            cut_bottom(&mut column, rest.height - facts)
        }
        (false, true) => column,
        (_, false) => {
            let rows = chat::height(rest.height);
            Rect { y: rest.bottom() - rows, height: rows, ..rest }
        }
    });
    let pane = facts.then(|| {
        if wide.0 {
            return column;
        }
        let width = PANE.min(picture.width);
        let free = said.filter(|_| !wide.1).map_or(picture.height, |said| said.y - picture.y);
        let height = diagnostics::height(model, width).min(free);
        Rect { x: picture.right() - width, width, height, ..picture }
    });
    Beside { picture, pane, said }
}

/// The chat's rows in its pane, and how many are seen.
pub(super) fn chat_extent(model: &Model, area: Rect) -> (usize, usize) {
    let open = |said| chat::extent(model, types_in_pane(model), said);
    layout(model, area).said.map_or((0, 0), open)
}

/// How many rows the newest line has there.
pub(super) fn newest_chat_rows(model: &Model, area: Rect) -> usize {
    layout(model, area).said.map_or(0, |said| chat::newest(model, said))
}

/// Whether the line that is being typed stands in the chat's pane.
fn types_in_pane(model: &Model) -> bool {
    model.panes.chat && matches!(model.layer, Layer::Chat(_))
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

/// The last chat lines as rows, where there is no pane for them.
fn chat_rows(model: &Model, width: usize) -> Vec<Line<'static>> {
    if model.panes.chat {
        return Vec::new();
    }
    if matches!(model.layer, Layer::Chat(_)) {
        return chat::latest(model, width, CHAT_ROWS.1, None);
    }
    chat::latest(model, width, CHAT_ROWS.0, model.now.checked_sub(CHAT_LIFETIME))
}
