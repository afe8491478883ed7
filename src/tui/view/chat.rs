//! The chat as a pane: who wrote what and when, files and recordings among it. Beside the picture where there is room,
//! else over its lower part.
//!
//! ```text
//! ╭ Chat ────────────────────────────╮
//! │ 0:42 Bob: can you see the white- │
//! │   board?                         │
//! │ 0:50 you: a little to the left   │
//! │ 1:03 · Bob began to record       │
//! │ say: that is bet                 │   while a message is typed
//! ╰──────────────────────────────────╯
//! ```

use super::{parts, style};
use crate::call::event::Side;
use crate::tui::input::TextInput;
use crate::tui::model::{ChatLine, Model};
use crate::tui::text;
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// From this many columns on it stands beside the picture.
pub(super) const WIDE: u16 = 100;
/// Columns before what is written goes on in the next row.
const INDENT: usize = 2;

/// Columns it takes of so many, beside the picture.
pub(super) fn width(columns: u16) -> u16 {
    (columns / 3).clamp(34, 54)
}

/// Rows it takes of so many, over the picture.
pub(super) fn height(rows: u16) -> u16 {
    (rows / 2).clamp(5, 16).min(rows)
}

/// Draws it, with the line that is being typed.
pub(super) fn view(model: &Model, typed: Option<(&str, &TextInput)>, frame: &mut Frame, area: Rect) {
    let shown = visible_rows(area, typed.is_some());
    // No more than is seen: a friend may have written much, and this is done for every picture.
    let rows = last_rows(model, inside_width(area), model.scrolled.saturating_add(shown));
    let below = model.scrolled.min(rows.len().saturating_sub(shown));
    let title = if below > 0 { format!("Chat, {below} more below") } else { "Chat".to_owned() };
    let inside = parts::panel(model, frame, area, &title);
    if inside.is_empty() {
        return;
    }
    let end = rows.len() - below;
    let start = end.saturating_sub(shown);
    let rows: Vec<Line> = rows.into_iter().take(end).skip(start).collect();
    if rows.is_empty() {
        frame.render_widget(Line::styled("Nothing was said yet: t writes.", style(model, Tone::Dim)), inside);
    }
    frame.render_widget(Paragraph::new(rows), Rect { height: shown as u16, ..inside });
    if let Some((prompt, input)) = typed {
        let row = Rect { y: inside.bottom() - 1, height: 1, ..inside };
        let prompt = Span::styled(prompt, style(model, Tone::Key));
        parts::field(frame, row, prompt, input.before_cursor(), input.after_cursor());
    }
}

/// How many rows there are, and how many are seen at a time.
pub(super) fn extent(model: &Model, typing: bool, area: Rect) -> (usize, usize) {
    (last_rows(model, inside_width(area), usize::MAX).len(), visible_rows(area, typing))
}

/// How many rows of them are the newest line's.
pub(super) fn newest(model: &Model, area: Rect) -> usize {
    model.chat.back().map_or(0, |line| rows_of(model, line, inside_width(area)).len())
}

/// The last rows without times, for where there is no pane: those of no longer ago than `since`.
pub(super) fn latest(
    model: &Model,
    width: usize,
    most: usize,
    since: Option<std::time::Duration>,
) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    for line in model.chat.iter().rev() {
        if rows.len() >= most || since.is_some_and(|since| line.at < since) {
            break;
        }
        let tone = if line.from == Side::Local { Tone::Dim } else { Tone::Plain };
        for row in parts::wrap(&sentence(model, line, width / 3), width.max(1)).into_iter().rev() {
            rows.push(Line::styled(row, style(model, tone)));
        }
    }
    rows.truncate(most);
    rows.reverse();
    rows
}

/// The last rows: at least so many, if there are.
fn last_rows(model: &Model, width: usize, least: usize) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    for line in model.chat.iter().rev() {
        if rows.len() >= least {
            break;
        }
        rows.extend(rows_of(model, line, width).into_iter().rev());
    }
    rows.reverse();
    rows
}

/// Rows of one line: its time stands dim before it.
fn rows_of(model: &Model, line: &ChatLine, width: usize) -> Vec<Line<'static>> {
    let since = model.connected.unwrap_or_default();
    let time = format!("{} ", text::clock(line.at.saturating_sub(since)));
    let mark = if line.did { "· " } else { "" };
    let first = text::width(&time) + text::width(mark);
    let tone = match (line.did, line.from) {
        (true, _) | (false, Side::Local) => Tone::Dim,
        (false, Side::Remote) => Tone::Plain,
    };
    // The first row is shorter by the time: a word of its length stands for it while rows are made.
    let placeholder = "0".repeat(first.saturating_sub(INDENT + 1).max(1));
    let whole = format!("{placeholder} {}", sentence(model, line, width / 3));
    let room = width.saturating_sub(INDENT).max(1);
    let mut out = Vec::new();
    for (index, row) in parts::wrap(&whole, room).into_iter().enumerate() {
        out.push(if index == 0 {
            let said = row.get(placeholder.len()..).unwrap_or_default().trim_start().to_owned();
            Line::from(vec![
                Span::styled(time.clone(), style(model, Tone::Dim)),
                Span::styled(mark, style(model, Tone::Dim)),
                Span::styled(said, style(model, tone)),
            ])
        } else {
            Line::styled(format!("{}{row}", " ".repeat(INDENT)), style(model, tone))
        });
    }
    out
}

/// Who, and what.
fn sentence(model: &Model, line: &ChatLine, name: usize) -> String {
    let who = match line.from {
        Side::Local => "you",
        Side::Remote => model.friend(),
    };
    let gap = if line.did { "" } else { ":" };
    format!("{}{gap} {}", text::clip(who, name.max(3)), line.text)
}

fn inside_width(area: Rect) -> usize {
    // Frame and padding, as `parts::panel` has them.
    usize::from(area.width).saturating_sub(4)
}

fn visible_rows(area: Rect, typing: bool) -> usize {
    usize::from(area.height).saturating_sub(2 + usize::from(typing))
}
