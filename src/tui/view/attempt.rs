//! An attempt to connect, while it lasts: what was tried, what each NAT did to it, the likely cause, what to do.
//!
//! ```text
//!  from                  to                    kind    sent answered  heard
//!  192.168.1.5:4000      203.0.113.9:5000      srflx     14        0      0
//!  and 3 more
//!  likely  The friend's network shows every friend another port …
//!  next    p2pcall relay add LINK
//!  you     Your NAT shows every peer the same port, …
//!  friend  Their NAT hides their ports: …
//! ```

use super::{parts, status, style};
use crate::nat::explain::{Explanation, Pair};
use crate::tui::model::Model;
use crate::tui::text;
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Columns of the labels.
const LABEL: usize = 7;
/// Columns of the counts, with the kind and without.
const COUNTS: (usize, usize) = (28, 17);
/// From this width on there is room for our own addresses.
const WIDE: usize = 72;
/// Rows of the table that are left where the words take most of the room.
const FEWEST_PAIRS: usize = 2;

/// Draws it over what is there.
pub(super) fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let inside = parts::panel(model, frame, area, "Diagnostics");
    if inside.is_empty() {
        return;
    }
    let rows = rows(model, inside.width.into(), inside.height.into());
    frame.render_widget(Paragraph::new(rows), inside);
}

fn rows(model: &Model, width: usize, height: usize) -> Vec<Line<'static>> {
    let Some(attempt) = &model.attempt else { return vec![Line::raw("Nothing was tried yet.")] };
    let words = words(model, attempt, width);
    let room = height.saturating_sub(words.len() + 1).max(FEWEST_PAIRS);
    // The row that says how many there are more takes one itself.
    let shown = if attempt.pairs.len() > room { room - 1 } else { room };
    let mut rows = vec![head(model, width)];
    rows.extend(attempt.pairs.iter().take(shown).map(|pair| row(model, pair, width)));
    let more = attempt.pairs.len().saturating_sub(shown);
    if more > 0 {
        rows.push(Line::styled(format!("and {more} more"), style(model, Tone::Dim)));
    }
    rows.extend(words);
    rows
}

fn head(model: &Model, width: usize) -> Line<'static> {
    let counts = match width >= WIDE {
        true => format!("{:<6}{:>6}{:>9}{:>7}", "kind", "sent", "answered", "heard"),
        false => format!("{:>5}{:>6}{:>6}", "sent", "answ", "heard"),
    };
    Line::styled(cells(width, "from", "to") + &counts, style(model, Tone::Dim))
}

fn row(model: &Model, pair: &Pair, width: usize) -> Line<'static> {
    let tone = if pair.answered > 0 {
        Tone::Good
    } else if pair.heard > 0 || pair.refused || pair.forbidden {
        Tone::Warn
    } else {
        Tone::Plain
    };
    let counts = match width >= WIDE {
        true => {
            let kind = status::kind_text(pair.remote_kind);
            format!("{kind:<6}{:>6}{:>9}{:>7}", pair.sent, pair.answered, pair.heard)
        }
        false => format!("{:>5}{:>6}{:>6}", pair.sent, pair.answered, pair.heard),
    };
    let addresses = cells(width, &pair.local.to_string(), &pair.remote.to_string());
    Line::from(vec![Span::raw(addresses), Span::styled(counts, style(model, tone))])
}

/// The two addresses, or where there is no room the friend's alone.
fn cells(width: usize, from: &str, to: &str) -> String {
    let cell =
        |text: &str, columns: usize| format!("{:<columns$}", text::clip(text, columns.saturating_sub(1)));
    if width < WIDE {
        return cell(to, width.saturating_sub(COUNTS.1));
    }
    let columns = (width - COUNTS.0) / 2;
    cell(from, columns) + &cell(to, columns)
}

fn words(model: &Model, attempt: &Explanation, width: usize) -> Vec<Line<'static>> {
    let mut facts = Vec::new();
    if let Some(verdict) = &attempt.verdict {
        facts.push(("likely", verdict.cause.as_str(), Tone::Warn));
        facts.push(("next", verdict.next, Tone::Key));
    }
    facts.extend([("you", attempt.ours.as_str(), Tone::Plain), ("friend", &attempt.theirs, Tone::Plain)]);
    let room = width.saturating_sub(LABEL + 1).max(1);
    let lines = facts.into_iter().flat_map(|(label, text, tone)| {
        let rows = parts::wrap(text, room).into_iter().enumerate();
        rows.map(move |(index, row)| {
            let label = if index == 0 { label } else { "" };
            Line::from(vec![
                Span::styled(format!("{label:<LABEL$} "), style(model, Tone::Dim)),
                Span::styled(row, style(model, tone)),
            ])
        })
    });
    lines.collect()
}
