//! The offerer's waiting screen, and the code's own rows, which the answerer's reply code shares.
//!
//! ```text
//!  p2pcall: waiting for your friend                expires in 14:32
//!  ▄▄▄▄▄▄▄▄▄   Give this code to your friend …
//!  █ QR    █   Copied: …
//!  █       █   what is being tried
//!  ▀▀▀▀▀▀▀▀▀   > reply code, or a warning
//!  P2P42576ECCG…        alone on its rows, from the first column
//!  c copy  C code only  r reply code  ? help  q quit
//! ```

use super::{Wrapped, attempt, parts, qr, style};
use crate::call::event::CodeKind;
use crate::tui::keys::Action;
use crate::tui::model::{Copied, CopyWhat, Layer, Model, QrView, ShownCode};
use crate::tui::text;
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

/// Columns of words that must fit beside a QR.
const WORDS_BESIDE: u16 = 26;
/// Rows of words that must fit under a QR where there is no room beside it.
const WORDS_UNDER: u16 = 7;

/// The screen's parts.
struct Layout<'a> {
    qr: Option<(&'a QrView, Rect)>,
    words: Rect,
    code: Rect,
}

/// Draws the screen.
pub(super) fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let (top, between, bottom) = parts::rows(area);
    let title =
        if model.code.is_some() { "p2pcall: waiting for your friend" } else { "p2pcall: making a code" };
    parts::title_bar(model, frame, top, title, &expiry(model));
    code_and_words(model, frame, between, headline(model));
    parts::hints(
        model,
        frame,
        bottom,
        &[
            (Action::CopyInvitation, "copy"),
            (Action::CopyCode, "code only"),
            (Action::Reply, "reply code"),
            (Action::Diagnostics, "diagnostics"),
            (Action::Submit, "hand in"),
            (Action::Close, "back"),
            (Action::Help, "help"),
            (Action::Quit, "quit"),
        ],
    );
}

/// The time left, for the title bar.
pub(super) fn expiry(model: &Model) -> String {
    match model.expires_in() {
        Some(left) if left.is_zero() => "the code has expired".to_owned(),
        Some(left) => format!("expires in {}", text::clock(left)),
        None => String::new(),
    }
}

/// The QR, the words beside or under it, and the code alone on its rows.
pub(super) fn code_and_words(model: &Model, frame: &mut Frame, area: Rect, headline: Vec<Line<'_>>) {
    let layout = layout(model, area);
    if model.shows_attempt() {
        let above = Rect { height: area.height - layout.code.height, ..area };
        attempt::view(model, frame, above);
        if let Some(code) = &model.code {
            code_rows(model, code, frame, layout.code);
        }
        return;
    }
    if let Some((qr, rect)) = layout.qr {
        qr::view(model, qr, frame, rect);
    }
    if let Some(code) = &model.code {
        code_rows(model, code, frame, layout.code);
    }
    let mut words = layout.words;
    let mut lines = headline;
    lines.extend(copied(model).map(|(text, tone)| Line::styled(text, style(model, tone))));
    take(&mut words, |rect| parts::lines(frame, rect, lines));
    if let Layer::Reply(input) = &model.layer {
        let prompt = Span::styled("Reply code: ", style(model, Tone::Key));
        let row = Rect { height: 1.min(words.height), ..words };
        parts::field(frame, row, prompt, input.before_cursor(), input.after_cursor());
        take(&mut words, |_| 1);
    }
    let notice = parts::notice_lines(model);
    if !notice.is_empty() {
        take(&mut words, |rect| parts::lines(frame, rect, notice));
    }
    if words.height > 1 {
        take(&mut words, |_| 1);
        parts::progress(model, frame, words);
    }
}

/// Where the terminal should wrap the code by itself.
pub(super) fn wrapped(model: &Model, area: Rect) -> Option<Wrapped> {
    let code = model.code.as_ref()?;
    let rows = layout(model, parts::rows(area).1).code;
    let whole = code.code.len() <= usize::from(rows.width) * usize::from(rows.height);
    (area.x == 0 && rows.height > 1 && whole && code.code.bytes().all(|byte| byte.is_ascii_graphic()))
        .then(|| Wrapped { at: Position::new(rows.x, rows.y), text: code.code.clone() })
}

/// Uses up the first rows of an area.
fn take(area: &mut Rect, draw: impl FnOnce(Rect) -> u16) {
    let used = draw(*area).min(area.height);
    area.y += used;
    area.height -= used;
}

fn layout(model: &Model, area: Rect) -> Layout<'_> {
    let code_rows =
        model.code.as_ref().map_or(0, |code| text::width(&code.code).div_ceil(area.width.max(1).into()));
    // A whole session description would fill the screen: its first rows only.
    let most = if code_rows > usize::from(area.height / 3).max(3) { 2 } else { area.height / 3 + 1 };
    let code_rows = (code_rows as u16).min(most);
    let code = Rect { y: area.bottom() - code_rows, height: code_rows, ..area };
    let above = Rect { height: area.height - code_rows, ..area };
    let Some(qr) = model.code.as_ref().and_then(|code| code.qr.as_ref()) else {
        return Layout { qr: None, words: inset(above), code };
    };
    let (columns, rows) = qr::size(model, qr);
    if rows <= above.height && columns.saturating_add(WORDS_BESIDE + 2) <= above.width {
        let words = Rect { x: above.x + columns + 1, width: above.width - columns - 1, ..above };
        Layout { qr: Some((qr, Rect { width: columns, height: rows, ..above })), words: inset(words), code }
    } else if rows.saturating_add(WORDS_UNDER) <= above.height && columns <= above.width {
        let words = Rect { y: above.y + rows, height: above.height - rows, ..above };
        Layout { qr: Some((qr, Rect { width: columns, height: rows, ..above })), words: inset(words), code }
    } else {
        Layout { qr: None, words: inset(above), code }
    }
}

/// One column of margin on both sides.
fn inset(area: Rect) -> Rect {
    Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }
}

fn code_rows(model: &Model, code: &ShownCode, frame: &mut Frame, area: Rect) {
    let style = style(model, Tone::Code);
    let cells = usize::from(area.width) * usize::from(area.height);
    let text = text::clip(&code.code, cells);
    for (position, character) in area.positions().zip(text.chars()) {
        if let Some(cell) = frame.buffer_mut().cell_mut(position) {
            cell.set_char(character).set_style(style);
        }
    }
}

fn headline(model: &Model) -> Vec<Line<'static>> {
    let Some(code) = &model.code else {
        return vec![Line::styled("Finding this machine's addresses…", style(model, Tone::Title))];
    };
    let mut lines = vec![
        Line::styled("Give your friend this code.", style(model, Tone::Title)),
        Line::raw("They run: p2pcall answer CODE"),
    ];
    lines.push(Line::raw(match code.reply_needed {
        Some(false) => "This one code is enough.",
        Some(true) => "A reply code comes back: paste it here.",
        None => "Should they get a reply code, paste it here.",
    }));
    lines
}

/// What became of the copy, and how it should look.
pub(super) fn copied(model: &Model) -> Option<(String, Tone)> {
    let (what, outcome) = model.copied?;
    let code = model.code.as_ref()?;
    let thing = match (what, code.kind) {
        (CopyWhat::Invitation, CodeKind::Offer) => "Invitation",
        (CopyWhat::Invitation, CodeKind::Answer) => "Reply code",
        (CopyWhat::Code, _) => "Code",
    };
    Some(match outcome {
        Copied::Certain => (format!("{thing} copied: paste it into any chat."), Tone::Good),
        Copied::ToTerminal => (format!("{thing} sent to the terminal's clipboard."), Tone::Good),
        Copied::Failed => ("Nothing here can copy: select the code with the mouse.".to_owned(), Tone::Warn),
        Copied::Off => ("Copying is switched off (--no-clipboard).".to_owned(), Tone::Warn),
    })
}
