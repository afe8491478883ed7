//! PURE: an event -> one line for a person who reads a log rather than a screen.

use crate::call::event::{
    CallEvent, CallState, CodeEvent, CodeKind, FileEvent, FileState, Notice, PathEvent, RecordingEvent, Side,
    StateEvent, StatsEvent,
};

/// The line, or nothing: `quiet` keeps codes, errors, chat, files, recordings and the end.
pub fn line(event: &CallEvent, quiet: bool) -> Option<String> {
    match event {
        CallEvent::Code(code) => Some(code_line(code, quiet)),
        CallEvent::State(state) => state_line(state, quiet),
        CallEvent::Chat { from, text } => Some(match from {
            Side::Local => format!("you: {text}"),
            Side::Remote => format!("friend: {text}"),
        }),
        // The end, which follows, has the same words.
        CallEvent::Error(_) => None,
        CallEvent::File(file) => Some(file_line(file)),
        CallEvent::Recording(recording) => Some(recording_line(recording)),
        _ if quiet => None,
        CallEvent::Warning(notice) => Some(notice_line("warning", notice)),
        CallEvent::Mended { code } => Some(format!("over: {}", code.replace('_', " "))),
        CallEvent::Prediction(prediction) => Some(format!("expect {}", prediction.sentence())),
        // All of it comes with the end.
        CallEvent::Pairs(_) => None,
        CallEvent::Path(path) => Some(path_line(path)),
        CallEvent::Media { kind, after_connect_ms } => {
            Some(format!("first {kind:?} frame {after_connect_ms} ms after connecting").to_lowercase())
        }
        CallEvent::Stats(stats) => Some(stats_line(stats)),
        CallEvent::Verify { words, verified: false } => {
            Some(format!("safety words: {words} (say them aloud: the same on both ends? then /verify)"))
        }
        CallEvent::Verify { words, verified: true } => Some(format!("safety words: {words} (verified)")),
        CallEvent::Remote { muted, video_off } => Some(format!(
            "friend: microphone {}, camera {}",
            if *muted { "off" } else { "on" },
            if *video_off { "off" } else { "on" }
        )),
    }
}

/// The code stands alone on its line, so that a double click takes it whole.
fn code_line(code: &CodeEvent, quiet: bool) -> String {
    if quiet {
        return code.code.clone();
    }
    let minutes = code.expires_in.div_ceil(60);
    match code.kind {
        CodeKind::Offer => {
            format!(
                "Share this code; it works once, for {minutes} minutes. Your friend types `p2pcall answer CODE`:\n{}",
                code.code
            )
        }
        CodeKind::Answer => {
            format!("No path found yet. Give this reply to your friend, who enters it:\n{}", code.code)
        }
    }
}

fn state_line(event: &StateEvent, quiet: bool) -> Option<String> {
    let name = event.name.as_deref().unwrap_or("your friend");
    let text = match event.state {
        CallState::Ended => {
            let message = event.message.as_deref().unwrap_or("The call is over.");
            let tried = event.explanation.iter().flat_map(|explanation| explanation.lines());
            let below: Vec<String> = tried.chain(event.help.clone()).collect();
            return Some([&[message.to_owned()], below.as_slice()].concat().join("\n  "));
        }
        _ if quiet => return None,
        CallState::Gathering => "finding this machine's addresses".to_owned(),
        CallState::Waiting => "waiting for your friend".to_owned(),
        CallState::Answered => format!("{name} is there"),
        CallState::Connecting => "connecting".to_owned(),
        CallState::Connected => format!("connected with {name}"),
        CallState::Reconnecting => "the path was lost; trying to get it back".to_owned(),
    };
    Some(text)
}

fn recording_line(recording: &RecordingEvent) -> String {
    let path = recording.path.as_deref().unwrap_or_default();
    match (recording.from, recording.on) {
        (Side::Local, true) => format!("recording to {path}; your friend sees it"),
        (Side::Local, false) => format!("recorded: {path}"),
        (Side::Remote, true) => "your friend is recording this call".to_owned(),
        (Side::Remote, false) => "your friend has stopped recording".to_owned(),
    }
}

fn file_line(file: &FileEvent) -> String {
    let FileEvent { name, bytes, done, .. } = file;
    match (file.state, file.from) {
        (FileState::Offered, Side::Remote) => {
            format!("your friend offers the file {name} ({bytes} bytes): /accept to take it, /refuse not to")
        }
        (FileState::Offered, Side::Local) => format!("file {name} ({bytes} bytes) is offered to your friend"),
        (FileState::Moving, _) => format!("file {name}: {done} of {bytes} bytes"),
        (FileState::Done, Side::Remote) => {
            format!("file {name} has come: {}", file.path.as_deref().unwrap_or_default())
        }
        (FileState::Done, Side::Local) => format!("file {name} has arrived"),
        (FileState::Refused, _) => format!("file {name} was refused"),
        (FileState::Failed, _) => format!("file {name} did not arrive"),
    }
}

fn notice_line(level: &str, notice: &Notice) -> String {
    match notice.help.is_empty() {
        true => format!("{level}: {}", notice.message),
        false => format!("{level}: {} {}", notice.message, notice.help),
    }
}

fn path_line(path: &PathEvent) -> String {
    let rtt = path.rtt_ms.map(|ms| format!(", {ms} ms")).unwrap_or_default();
    let kind = format!("{:?}", path.kind).to_lowercase();
    format!("path: {kind}{rtt}: {}", path.why)
}

fn stats_line(stats: &StatsEvent) -> String {
    format!(
        "sent {}+{} kbit/s, received {}+{} kbit/s, loss {:.1} %, picture {}x{} at {:.0} a second",
        stats.sent.audio_kbps,
        stats.sent.video_kbps,
        stats.received.audio_kbps,
        stats.received.video_kbps,
        stats.received.loss * 100.0,
        stats.video.width,
        stats.video.height,
        stats.video.shown_fps,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::event::CodeForm;

    #[test]
    fn the_code_stands_alone_on_its_line() {
        let event = CallEvent::Code(CodeEvent {
            kind: CodeKind::Offer,
            form: CodeForm::P2p,
            code: "P2PABC".into(),
            chars: 6,
            reply_needed: None,
            expires_in: 900,
        });
        assert_eq!(line(&event, false).unwrap().lines().last(), Some("P2PABC"));
        assert_eq!(line(&event, true).as_deref(), Some("P2PABC"));
    }

    #[test]
    fn quiet_keeps_the_end_and_drops_the_rest() {
        let ended = crate::call::ending::Ending::Lost { relayed: false }.event();
        assert!(line(&ended, true).unwrap().contains("lost"));
        assert_eq!(line(&crate::call::state(CallState::Waiting, None), true), None);
    }
}
