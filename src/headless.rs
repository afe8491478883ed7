//! A call without a screen: events as lines on standard output, commands as lines on standard input.
//! The texts are pure; [`print_events`] and [`read_commands`] are the I/O. Knows no network.

pub mod lines;
pub mod plain;

use crate::call::event::{CallEvent, CodeEvent, Command, Notice};
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

/// The longest line read from standard input, bytes: a whole session description in base64 fits.
const MAX_LINE: u64 = 256 * 1024;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Lines for a person.
    Plain {
        /// Only what is asked for.
        quiet: bool,
    },
}

/// One event as one line, without its line feed; `None` where this format says nothing of it.
pub fn line(format: Format, event: &CallEvent, since_start: Duration) -> Option<String> {
    match format {
        Format::Json => Some(json(event, since_start)),
        Format::Plain { quiet } => plain::line(event, quiet),
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    v: u8,
    t: f64,
    #[serde(flatten)]
    event: &'a CallEvent,
}

fn json(event: &CallEvent, since_start: Duration) -> String {
    let t = (since_start.as_secs_f64() * 1_000.0).round() / 1_000.0;
    serde_json::to_string(&Envelope { v: 1, t, event }).unwrap_or_default()
}

/// Writes events until the call's side of the channel is dropped; `on_code` is told of each code and may put a
/// text (its QR) before it. A closed standard output (`| head`) ends the writing, not the call.
pub async fn print_events(
    format: Format,
    mut events: mpsc::Receiver<(Duration, CallEvent)>,
    mut on_code: impl FnMut(&CodeEvent) -> Result<Option<String>, String>,
) {
    let mut out = tokio::io::stdout();
    let mut open = true;
    while let Some((at, event)) = events.recv().await {
        let mut lines = Vec::new();
        if let CallEvent::Code(code) = &event {
            match on_code(code) {
                Ok(before) => lines.extend(before),
                Err(error) => lines.extend(line(format, &not_written(&error), at)),
            }
        }
        lines.extend(line(format, &event, at));
        for text in lines {
            let text = text + "\n";
            open = open && out.write_all(text.as_bytes()).await.is_ok() && out.flush().await.is_ok();
        }
    }
}

fn not_written(error: &str) -> CallEvent {
    CallEvent::Warning(Notice {
        code: "qr_not_written",
        message: format!("The QR could not be written: {error}."),
        help: "Check the path given with --qr-png.".into(),
    })
}

/// Reads commands from standard input until it ends, which does not end the call.
pub async fn read_commands(
    commands: mpsc::Sender<Command>,
    complaints: mpsc::Sender<(Duration, CallEvent)>,
    started: Instant,
) {
    let mut input = BufReader::new(tokio::io::stdin());
    let mut parser = lines::Parser::default();
    loop {
        let mut line = Vec::new();
        match (&mut input).take(MAX_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        match parser.line(&String::from_utf8_lossy(&line)) {
            Ok(Some(command)) => {
                if commands.send(command).await.is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(notice) => {
                let _ = complaints.send((started.elapsed(), CallEvent::Warning(notice))).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::event::{
        CallState, CodeEvent, CodeForm, CodeKind, EndReason, PathEvent, PathKind, Protocol,
    };
    use crate::call::event::{StateEvent, StatsEvent};
    use crate::media::frame::MediaKind;
    use serde_json::{Value, json};

    fn value(event: &CallEvent) -> Value {
        serde_json::from_str(&super::json(event, Duration::from_millis(1_234))).unwrap()
    }

    #[test]
    fn a_code_event_has_the_contract_s_fields() {
        let event = CallEvent::Code(CodeEvent {
            kind: CodeKind::Offer,
            form: CodeForm::P2p,
            code: "P2P4".into(),
            chars: 4,
            reply_needed: None,
            expires_in: 900,
        });
        let expected = json!({"v": 1, "t": 1.234, "event": "code", "kind": "offer", "form": "p2p", "code": "P2P4",
            "chars": 4, "reply_needed": null, "expires_in": 900});
        assert_eq!(value(&event), expected);
    }

    #[test]
    fn states_carry_their_fields_only_where_they_mean_something() {
        let connected = crate::call::state(CallState::Connected, None);
        assert_eq!(value(&connected), json!({"v": 1, "t": 1.234, "event": "state", "state": "connected"}));
        let ended = CallEvent::State(StateEvent {
            state: CallState::Ended,
            name: None,
            reason: Some(EndReason::RemoteHangup),
            message: Some("m".into()),
            help: None,
            explanation: None,
        });
        assert_eq!(value(&ended)["reason"], "remote_hangup");
    }

    #[test]
    fn path_media_and_stats_are_flat_objects() {
        let path = CallEvent::Path(PathEvent {
            kind: PathKind::Srflx,
            local: PathKind::Host,
            remote: PathKind::Srflx,
            protocol: Protocol::Udp,
            family: 4,
            rtt_ms: Some(3),
            why: "direct".into(),
            local_address: None,
            remote_address: None,
        });
        assert_eq!(value(&path)["kind"], "srflx");
        let media = CallEvent::Media { kind: MediaKind::Video, after_connect_ms: 120 };
        assert_eq!(
            value(&media),
            json!({"v":1,"t":1.234,"event":"media","kind":"video","after_connect_ms":120})
        );
        let stats = value(&CallEvent::Stats(Box::<StatsEvent>::default()));
        for field in ["rtt_ms", "sent", "received", "jitter_ms", "video", "audio", "target_kbps"] {
            assert!(stats.get(field).is_some(), "{field}");
        }
    }
}
