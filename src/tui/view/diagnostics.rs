//! Everything measured, as label and value, for those who want to know why.

use super::{parts, status, style};
use crate::call::event::{DirectionStats, StatsEvent};
use crate::tui::model::Model;
use crate::tui::text;
use crate::tui::theme::Tone;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Columns of the labels.
const LABEL: usize = 9;
/// Columns of one column of facts.
const COLUMN: u16 = 52;

/// Draws them in as many columns as fit.
pub(super) fn view(model: &Model, frame: &mut Frame, area: Rect) {
    let inside = parts::panel(model, frame, area, "Diagnostics");
    if inside.is_empty() {
        return;
    }
    let columns = (inside.width / COLUMN).max(1);
    let width = inside.width / columns;
    let rows = rows(model, width.saturating_sub(1).into());
    let height = rows.len().div_ceil(columns.into()).min(inside.height.into()).max(1);
    for (column, chunk) in rows.chunks(height).take(columns.into()).enumerate() {
        let area = Rect { x: inside.x + column as u16 * width, width, ..inside };
        frame.render_widget(Paragraph::new(chunk.to_vec()), area);
    }
}

/// Rows it wants with this many columns, frame included.
pub(super) fn height(model: &Model, width: u16) -> u16 {
    let columns = (width.saturating_sub(4) / COLUMN).max(1);
    (rows(model, COLUMN.into()).len() as u16).div_ceil(columns) + 2
}

fn rows(model: &Model, width: usize) -> Vec<Line<'static>> {
    let room = width.saturating_sub(LABEL + 1);
    let mut facts = path(model);
    if let Some(stats) = &model.stats {
        facts.extend(network(stats));
        facts.extend(media(stats));
        facts.extend(names(stats));
    }
    let mut lines = Vec::new();
    for (label, value) in facts {
        for (index, row) in parts::wrap(&value, room.max(1)).into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            lines.push(Line::from(vec![
                Span::styled(format!("{label:<LABEL$} "), style(model, Tone::Dim)),
                Span::raw(row),
            ]));
        }
    }
    lines
}

fn path(model: &Model) -> Vec<(&'static str, String)> {
    let Some(path) = &model.path else { return vec![("path", "not known yet".to_owned())] };
    let mut facts = vec![("path", format!("{}, IPv{}", status::path_text(model), path.family))];
    if !path.why.is_empty() {
        facts.push(("why", path.why.clone()));
    }
    for (label, kind, address) in
        [("local", path.local, path.local_address), ("remote", path.remote, path.remote_address)]
    {
        let address = address.map(|address| format!(" {address}")).unwrap_or_default();
        facts.push((label, format!("{}{address}", status::kind_text(kind))));
    }
    facts
}

fn network(stats: &StatsEvent) -> Vec<(&'static str, String)> {
    let ms = |value: Option<f32>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1} ms"));
    let mut facts = vec![
        ("RTT", format!("{}, jitter {}", ms(stats.rtt_ms), ms(stats.jitter_ms))),
        ("sent", direction(&stats.sent)),
        ("", counters(&stats.sent)),
        ("received", direction(&stats.received)),
        ("", counters(&stats.received)),
        ("target", format!("{} kbit/s", stats.target_kbps)),
    ];
    if stats.relayed_bytes > 0 {
        facts.push(("relayed", format!("{} in this call", text::bytes(stats.relayed_bytes))));
    }
    facts
}

fn direction(side: &DirectionStats) -> String {
    format!("sound {}, picture {} kbit/s", side.audio_kbps, side.video_kbps)
}

fn counters(side: &DirectionStats) -> String {
    format!("{} packets, {} lost, {} now", side.packets, side.lost, text::percent(side.loss))
}

fn media(stats: &StatsEvent) -> Vec<(&'static str, String)> {
    let (video, audio) = (&stats.video, &stats.audio);
    let ms = |delay: Option<f32>| delay.map_or_else(|| "-".to_owned(), |delay| format!("{delay:.0} ms"));
    let level = |level: Option<f32>| level.map_or_else(|| "-".to_owned(), |level| format!("{level:.0}"));
    vec![
        (
            "picture",
            format!(
                "{}x{}, {:.0} fps shown, {:.0} sent",
                video.width, video.height, video.shown_fps, video.sent_fps
            ),
        ),
        ("", format!("{} decoded, {} freezes, {} ms", video.frames_decoded, video.freezes, video.freeze_ms)),
        ("sound", format!("in {} out {} dBFS", level(audio.level_in_dbfs), level(audio.level_out_dbfs))),
        ("", format!("buffer {} ms, concealed {} ms", audio.buffer_ms, audio.concealed_ms)),
        ("delay", format!("sound {}, picture {}", ms(audio.delay_ms), ms(video.delay_ms))),
    ]
}

fn names(stats: &StatsEvent) -> Vec<(&'static str, String)> {
    let names = &stats.codecs;
    let or_none = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
    let (sent, received) = (or_none(&names.video_sent), or_none(&names.video_received));
    let video = if sent == received { sent } else { format!("{sent} sent, {received} received") };
    vec![
        ("codecs", format!("{}, {video}", or_none(&names.audio))),
        ("cipher", names.cipher.clone().unwrap_or_else(|| "not known yet".to_owned())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_relayed_is_said_where_anything_was() {
        let row = |relayed_bytes| {
            let facts = network(&StatsEvent { relayed_bytes, ..StatsEvent::default() });
            facts.into_iter().find(|(label, _)| *label == "relayed").map(|(_, value)| value)
        };
        assert_eq!(row(0), None);
        assert_eq!(row(48_300_000).as_deref(), Some("48.3 MB in this call"));
    }
}
