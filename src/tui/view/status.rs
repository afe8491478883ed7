//! The status line's words: path, round trip, loss, jitter, bitrates, devices. What doesn't fit is left out,
//! the least important first.

use super::style;
use crate::call::event::{PathEvent, PathKind, Protocol};
use crate::tui::model::{Model, Role, Which};
use crate::tui::text;
use crate::tui::theme::Tone;
use ratatui::text::{Line, Span};

/// Between two facts.
const GAP: &str = " · ";

/// What the path is, in a few words.
pub(super) fn path_text(model: &Model) -> String {
    model.path.as_ref().map_or_else(|| "not known yet".to_owned(), describe)
}

fn describe(path: &PathEvent) -> String {
    let protocol = match path.protocol {
        Protocol::Udp => "",
        Protocol::Tcp => "/TCP",
        Protocol::Tls => "/TLS",
    };
    match path.kind {
        PathKind::Relay => format!("relay{protocol}"),
        kind => format!("direct ({})", kind_text(kind)),
    }
}

/// A candidate's kind as ICE calls it.
pub(super) fn kind_text(kind: PathKind) -> &'static str {
    match kind {
        PathKind::Host => "host",
        PathKind::Prflx => "prflx",
        PathKind::Srflx => "srflx",
        PathKind::Relay => "relay",
    }
}

/// The network's half of the status, the most important first.
pub(super) fn network(model: &Model, columns: usize) -> Line<'static> {
    let mut facts = Vec::new();
    match model.lost {
        Some(since) => {
            let lost = text::clock(model.now.saturating_sub(since));
            facts.push((format!("connection lost {lost} ago, looking for another path"), Tone::Bad));
            if model.picture(Which::Remote).is_some() {
                facts.push(("picture frozen".into(), Tone::Warn));
            }
        }
        None => facts.push((path_text(model), Tone::Plain)),
    }
    if model.lost.is_none()
        && !model.remote.video_off
        && model.stats.as_ref().is_some_and(|stats| stats.video.frozen)
    {
        facts.push(("picture frozen".into(), Tone::Warn));
    }
    if let Some(stats) = &model.stats {
        let loss = stats.received.loss.max(stats.sent.loss);
        let loss_tone = if loss >= 0.05 {
            Tone::Bad
        } else if loss >= 0.01 {
            Tone::Warn
        } else {
            Tone::Plain
        };
        facts.extend(
            stats
                .rtt_ms
                .map(|rtt| (format!("RTT {rtt:.0} ms"), if rtt > 300.0 { Tone::Warn } else { Tone::Plain })),
        );
        facts.push((format!("loss {}", text::percent(loss)), loss_tone));
        let (down, up) = (&stats.received, &stats.sent);
        let (down, up) = (down.audio_kbps + down.video_kbps, up.audio_kbps + up.video_kbps);
        facts.push((format!("↓{down} ↑{up} kbit/s"), Tone::Plain));
        facts.extend(stats.jitter_ms.map(|jitter| (format!("jitter {jitter:.0} ms"), Tone::Plain)));
    }
    if let Some(since) = model.connected {
        facts.push((text::clock(model.now.saturating_sub(since)), Tone::Dim));
    }
    join(model, columns, facts)
}

/// The people's half: who, whose microphone and camera are off, whether the words were compared.
pub(super) fn people(model: &Model, columns: usize) -> Line<'static> {
    let mut facts = Vec::new();
    facts.extend(recording(model).map(|words| (words, Tone::Alarm)));
    if model.local.muted {
        facts.push(("YOU ARE MUTED".to_owned(), Tone::Warn));
    } else if model.talk.is_some_and(|talking| talking.back == Some(true)) && !model.no_microphone {
        facts.push(("YOU ARE HEARD (Space)".to_owned(), Tone::Good));
    }
    if model.no_microphone {
        facts.push(("no microphone".to_owned(), Tone::Warn));
    }
    if model.local.video_off {
        facts.push(("your camera is off".to_owned(), Tone::Warn));
    }
    if model.unread > 0 {
        facts.push((format!("{} unread: c", model.unread), Tone::Warn));
    }
    if model.headphones {
        facts.push(("headphones".to_owned(), Tone::Dim));
    }
    let [own, friends] = levels(model);
    let demo = model.role == Role::Demo;
    let [you, friend] = if demo { ["Alice", "her friend"] } else { ["you", model.friend()] };
    facts.extend(own.map(|level| (format!("{you} {level}"), Tone::Plain)));
    let level = friends.map(|level| format!(" {level}")).unwrap_or_default();
    facts.push((text::clip(friend, columns / 2) + &level, Tone::Title));
    if demo {
        facts.push(("a call of two ends on this machine".to_owned(), Tone::Title));
    }
    if model.remote.muted {
        facts.push(("muted".to_owned(), Tone::Warn));
    }
    if model.remote.video_off {
        facts.push(("camera off".to_owned(), Tone::Warn));
    }
    if let Some(words) = model.words.as_ref().filter(|_| model.role != Role::Demo) {
        facts.push(if words.verified {
            ("✓ verified".to_owned(), Tone::Good)
        } else {
            ("w: compare the words".to_owned(), Tone::Dim)
        });
    }
    if let Some(transfer) = &model.transfer {
        let share = transfer.done as f32 / transfer.bytes.max(1) as f32;
        facts.push((
            format!("{} {} of {}", transfer.name, text::percent(share), text::bytes(transfer.bytes)),
            Tone::Plain,
        ));
    }
    join(model, columns, facts)
}

/// How loud this end and the friend are, each as a column: whether a voice comes through. None of who is muted or has
/// no microphone.
fn levels(model: &Model) -> [Option<char>; 2] {
    let own = model.levels.input_dbfs.filter(|_| !model.local.muted);
    let friends = (!model.remote.muted).then_some(model.levels.output_dbfs);
    [own, friends].map(|level| level.map(column))
}

/// From silence, below -56 dBFS, in steps of 8 dB: speech is in the middle.
fn column(dbfs: f32) -> char {
    const COLUMNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let step = ((dbfs + 64.0) / 8.0).clamp(0.0, 7.0) as usize;
    COLUMNS.get(step).copied().unwrap_or('▁')
}

/// Who records the call: never left out.
fn recording(model: &Model) -> Option<String> {
    match (model.recording.own, model.recording.friend) {
        (false, false) => None,
        (true, false) => Some(" ● recording ".to_owned()),
        (false, true) => Some(format!(" ● {} is recording ", text::clip(model.friend(), 24))),
        (true, true) => Some(" ● recording at both ends ".to_owned()),
    }
}

/// As many facts as fit.
fn join(model: &Model, columns: usize, facts: Vec<(String, Tone)>) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    let mut used = 1;
    for (index, (fact, tone)) in facts.into_iter().enumerate() {
        let gap = if index == 0 { "" } else { GAP };
        let width = text::width(&fact) + text::width(gap);
        if used + width > columns && index > 0 {
            break;
        }
        used += width;
        spans.push(Span::styled(gap, style(model, Tone::Dim)));
        spans.push(Span::styled(text::clip(&fact, columns), style(model, tone)));
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_low_and_a_voice_in_the_middle() {
        for (dbfs, want) in
            [(-100.0, '▁'), (-57.0, '▁'), (-30.0, '▅'), (-20.0, '▆'), (0.0, '█'), (f32::NAN, '▁')]
        {
            assert_eq!(column(dbfs), want, "{dbfs}");
        }
    }
}
