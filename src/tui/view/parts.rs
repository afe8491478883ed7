//! What several screens share: the bars at the top and bottom, boxes, lists of lines, input fields.

use super::style;
use crate::tui::keys::{self, Action};
use crate::tui::model::{Layer, Model, Role, Screen};
use crate::tui::text;
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Padding, Paragraph, Wrap};

/// The first row, the last row, and what lies between.
pub(super) fn rows(area: Rect) -> (Rect, Rect, Rect) {
    let top = Rect { height: 1, ..area };
    let bottom = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
    let between = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
    (top, between, bottom)
}

/// A rectangle of this size in the middle, cut to the area.
pub(super) fn middle(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

/// The bar at the top: a title, and something at its right end.
pub(super) fn title_bar(model: &Model, frame: &mut Frame, row: Rect, title: &str, right: &str) {
    let style = style(model, Tone::Bar);
    frame.buffer_mut().set_style(row, style);
    let room = usize::from(row.width).saturating_sub(text::width(right) + 3);
    frame.render_widget(Span::styled(format!(" {}", text::clip(title, room)), style), row);
    let right_line = Line::styled(format!("{right} "), style).alignment(Alignment::Right);
    let width = (text::width(right) as u16 + 1).min(row.width);
    frame.render_widget(right_line, Rect { x: row.right() - width, width, ..row });
}

/// The bar at the bottom: the keys that matter here, as many as fit.
pub(super) fn hints(model: &Model, frame: &mut Frame, row: Rect, wanted: &[(Action, &str)]) {
    let spans = hint_spans(model, row.width.into(), wanted);
    frame.render_widget(Line::from(spans), row);
}

/// The keys that matter, as many as fit into `room` columns.
pub(super) fn hint_spans(model: &Model, room: usize, wanted: &[(Action, &str)]) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut used = 0;
    for (action, words) in wanted {
        let Some(key) = keys::key_for(model.place(), *action).filter(|_| is_useful(model, *action)) else {
            continue;
        };
        let columns = text::width(&key) + text::width(words) + 3;
        if used + columns > room {
            break;
        }
        used += columns;
        spans.push(Span::styled(format!(" {key}"), style(model, Tone::Key)));
        spans.push(Span::raw(format!(" {words} ")));
    }
    spans
}

/// Whether a key would do something now.
fn is_useful(model: &Model, action: Action) -> bool {
    match action {
        Action::CopyCode | Action::CopyInvitation => model.code.is_some(),
        Action::Words => model.words.is_some(),
        Action::Chat
        | Action::ChatPane
        | Action::Earlier
        | Action::Later
        | Action::File
        | Action::Mute
        | Action::Talk
        | Action::Headphones
        | Action::Camera => model.role != Role::Demo,
        Action::TakeFile | Action::RefuseFile => model.offered.is_some(),
        Action::Close => model.layer != Layer::None || matches!(model.screen, Screen::Prompt(_)),
        _ => true,
    }
}

/// A framed box over the screen; gives what is inside.
pub(super) fn panel(model: &Model, frame: &mut Frame, area: Rect, title: &str) -> Rect {
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(style(model, Tone::Dim))
        .title(Span::styled(format!(" {title} "), style(model, Tone::Title)))
        .padding(Padding::horizontal(1));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    inside
}

/// Lines from the top, wrapped at words; gives the rows that were used.
pub(super) fn lines(frame: &mut Frame, area: Rect, lines: Vec<Line<'_>>) -> u16 {
    if area.is_empty() {
        return 0;
    }
    let rows: usize = lines.iter().map(|line| wrapped_rows(line, area.width)).sum();
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
    rows.min(area.height.into()) as u16
}

/// How many rows a line takes when wrapped at words, by the same rule as the paragraph's.
fn wrapped_rows(line: &Line<'_>, width: u16) -> usize {
    let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
    wrap(&text, width.into()).len()
}

/// A text wrapped at words into rows of at most `width` columns; longer words are cut.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut row = String::new();
    for mut word in text.split_whitespace() {
        let gap = usize::from(!row.is_empty());
        if text::width(&row) + gap + text::width(word) > width && gap > 0 {
            rows.push(std::mem::take(&mut row));
        } else if gap > 0 {
            row.push(' ');
        }
        while text::width(word) > width {
            let (head, rest) = split_at_width(word, width);
            if rest.is_empty() {
                break;
            }
            rows.push(head.to_owned());
            word = rest;
        }
        row.push_str(word);
    }
    rows.push(row);
    rows
}

/// The text's first `width` columns, at least one character, and the rest.
fn split_at_width(text: &str, width: usize) -> (&str, &str) {
    let mut used = 0;
    for (index, character) in text.char_indices() {
        used += text::width(character.encode_utf8(&mut [0; 4]));
        if used > width && index > 0 {
            return text.split_at(index);
        }
    }
    (text, "")
}

/// Sentences in the middle of an area.
pub(super) fn centered(frame: &mut Frame, area: Rect, sentences: &[&str]) {
    let area = middle(area, area.width, sentences.len() as u16);
    let lines: Vec<Line> = sentences.iter().map(|sentence| Line::raw(*sentence)).collect();
    frame.render_widget(Paragraph::new(lines).alignment(Alignment::Center), area);
}

/// An input line with its prompt and the cursor in it.
pub(super) fn field(frame: &mut Frame, row: Rect, prompt: Span<'_>, before: &str, after: &str) {
    let room = usize::from(row.width).saturating_sub(prompt.width() + 1);
    let before = text::tail(before, room);
    let cursor = row.x + (prompt.width() + text::width(before)) as u16;
    let after = text::clip(after, room.saturating_sub(text::width(before)));
    frame.render_widget(Line::from(vec![prompt, Span::raw(before), Span::raw(after)]), row);
    frame.set_cursor_position((cursor.min(row.right().saturating_sub(1)), row.y));
}

/// What the call says at the moment: the check of a code, the last warning with its remedy.
pub(super) fn notice_lines(model: &Model) -> Vec<Line<'static>> {
    if model.checking {
        return vec![Line::styled("Checking the code…", style(model, Tone::Dim))];
    }
    let mut lines = Vec::new();
    if let Some(file) = &model.offered {
        let what = format!("{} offers you {}, {}. ", model.friend(), file.name, text::bytes(file.bytes));
        let keys = Line::from(vec![
            Span::styled(what, style(model, Tone::Title)),
            Span::styled("a", style(model, Tone::Key)),
            Span::raw(" take it  "),
            Span::styled("x", style(model, Tone::Key)),
            Span::raw(" refuse"),
        ]);
        lines.push(keys);
    }
    let Some(shown) = model.fresh_notice() else { return lines };
    let tone = if shown.error { Tone::Bad } else { Tone::Warn };
    lines.push(Line::styled(shown.message.clone(), style(model, tone)));
    if !shown.help.is_empty() {
        lines.push(Line::raw(shown.help.clone()));
    }
    lines
}

/// The last lines of what was tried, as many as fit, the oldest first.
pub(super) fn progress(model: &Model, frame: &mut Frame, area: Rect) {
    let mut rows = Vec::new();
    let width = usize::from(area.width).saturating_sub(2);
    for line in model.progress.iter().rev() {
        let wrapped = wrap(line, width);
        if rows.len() + wrapped.len() > area.height.into() {
            break;
        }
        for (index, text) in wrapped.iter().enumerate().rev() {
            let mark = if index == 0 { "· " } else { "  " };
            rows.push(Line::styled(format!("{mark}{text}"), style(model, Tone::Dim)));
        }
    }
    rows.reverse();
    frame.render_widget(Paragraph::new(rows), area);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_and_long_ones_are_cut() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("日本語", 1), ["日", "本", "語"]);
    }
}
