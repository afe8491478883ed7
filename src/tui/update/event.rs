//! What the call's events do to the model. Everything that came over the network is cleaned here.

use super::{Effect, lasted};
use crate::call::event::{
    CallEvent, CallState, CodeEvent, EndReason, FileEvent, FileState, Notice, PathEvent, RecordingEvent,
    Side, StateEvent, StatsEvent,
};
use crate::nat::explain::Explanation;
use crate::tui::model::{
    CHAT_LIMIT, CHAT_LINES, ChatLine, CopyWhat, Devices, Ended, Layer, Model, PROGRESS_LINES, Role, Screen,
    Share, Shown, ShownCode, Transfer, Words,
};
use crate::tui::text::clean;
use crate::tui::view;
use std::time::Duration;

/// Columns of a sentence kept.
const SENTENCE: usize = 400;
/// Columns of a name kept.
const NAME: usize = 64;
/// Files whose fate is told at the end, at the most: the last ones.
const OUTCOMES: usize = 16;

/// Applies an event of the call; codes go to [`code`].
pub(super) fn call(model: &mut Model, event: CallEvent) -> Vec<Effect> {
    match event {
        CallEvent::Code(event) => return code(model, &event, Share::default()),
        CallEvent::State(event) => return state(model, &event),
        CallEvent::Prediction(prediction) => {
            progress(model, &format!("Expect {}", prediction.sentence()));
        }
        CallEvent::Pairs(mut attempt) => {
            clean_attempt(&mut attempt);
            model.attempt = Some(attempt);
        }
        CallEvent::Path(path) => self::path(model, path),
        CallEvent::Media { kind: _, after_connect_ms: _ } => {}
        CallEvent::Stats(stats) => model.stats = Some(clean_stats(stats)),
        CallEvent::Chat { from, text } => line(model, from, &text, false),
        CallEvent::File(event) => file(model, &event),
        CallEvent::Recording(event) => recording(model, &event),
        CallEvent::Verify { words, verified } => {
            model.words = Some(Words { words: clean(&words, NAME), verified });
        }
        CallEvent::Remote { muted, video_off } => model.remote = Devices { muted, video_off },
        CallEvent::Warning(notice) => self::notice(model, &notice, false),
        CallEvent::Error(notice) => self::notice(model, &notice, true),
        CallEvent::Mended { code } => {
            model.no_microphone &= code != "microphone_lost";
            let message = format!("Over: {}.", code.replace('_', " "));
            model.notice = Some(Shown { error: false, message, help: String::new(), at: model.now });
        }
    }
    Vec::new()
}

/// Shows a new code, and copies the invitation unless that is unwanted.
pub(super) fn code(model: &mut Model, event: &CodeEvent, share: Share) -> Vec<Effect> {
    let code: String = event.code.chars().filter(|c| !c.is_control()).collect();
    let invitation = if share.invitation.is_empty() { code.clone() } else { share.invitation };
    model.code = Some(ShownCode {
        kind: event.kind,
        code,
        invitation: invitation.clone(),
        qr: share.qr,
        expires: model.now + Duration::from_secs(event.expires_in),
        reply_needed: event.reply_needed,
    });
    model.copied = None;
    if model.options.clipboard { vec![Effect::Copy(CopyWhat::Invitation, invitation)] } else { Vec::new() }
}

/// The call is gone without a word: that is how a bug in it looks from here.
pub(super) fn gone(model: &mut Model) -> Vec<Effect> {
    if model.ended.is_none() {
        model.ended = Some(Ended {
            reason: EndReason::Error,
            message: "The call stopped unexpectedly.".to_owned(),
            help: "Run it again with --log-file PATH -v; the log's end says more.".to_owned(),
            lasted: lasted(model),
            interrupted: false,
            recorded: model.recording.path.clone(),
            files: model.files.iter().cloned().collect(),
        });
    }
    vec![Effect::Leave]
}

fn state(model: &mut Model, event: &StateEvent) -> Vec<Effect> {
    model.state = event.state;
    model.checking = false;
    if let Some(name) = &event.name {
        model.name = Some(clean(name, NAME));
    }
    if event.state == CallState::Ended {
        return ended(model, event);
    }
    if let Some(message) = &event.message {
        progress(model, message);
    }
    match event.state {
        CallState::Connected => {
            model.connected.get_or_insert(model.now);
            model.lost = None;
        }
        CallState::Reconnecting => model.lost = Some(model.now),
        _ => {}
    }
    if let Some(next) = next_screen(model, event.state) {
        // What was wrong with the codes before the right one is past.
        if matches!(model.screen, Screen::Prompt(_)) {
            (model.progress, model.notice) = Default::default();
        }
        model.screen = next;
        if matches!(model.layer, Layer::Reply(_)) && model.screen != Screen::Waiting {
            model.layer = Layer::None;
        }
    }
    Vec::new()
}

/// Where a state leads; `None`: stay.
fn next_screen(model: &Model, state: CallState) -> Option<Screen> {
    let offers = model.role == Role::Offer;
    match (&model.screen, state) {
        (Screen::Leaving(_), _) => None,
        (_, CallState::Connected) => Some(Screen::Call),
        // A call that lost its path stays on the screen. A question once asked ends with the person's decision,
        // or when the friend leaves.
        (Screen::Call, _) | (Screen::Consent, CallState::Connecting | CallState::Answered) => None,
        (_, CallState::Answered) if offers && !model.options.auto_accept => Some(Screen::Consent),
        (_, CallState::Gathering | CallState::Waiting) if offers => Some(Screen::Waiting),
        _ => Some(Screen::Joining),
    }
}

fn ended(model: &mut Model, event: &StateEvent) -> Vec<Effect> {
    let reason = event.reason.unwrap_or(EndReason::Error);
    let interrupted = model.ended.as_ref().is_some_and(|ended| ended.interrupted);
    let message = match &event.message {
        Some(message) => clean(message, SENTENCE),
        None => plain_reason(model, reason),
    };
    let help = event.help.as_deref().map(|help| clean(help, SENTENCE)).unwrap_or_default();
    let recorded = model.recording.path.clone();
    let files = model.files.iter().cloned().collect();
    model.ended = Some(Ended { reason, message, help, lasted: lasted(model), interrupted, recorded, files });
    vec![Effect::Leave]
}

fn plain_reason(model: &Model, reason: EndReason) -> String {
    match reason {
        EndReason::Hangup => "You hung up.".to_owned(),
        EndReason::RemoteHangup => {
            let friend = model.friend();
            let mut letters = friend.chars();
            let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
            format!("{first}{} hung up.", letters.as_str())
        }
        EndReason::Timeout => "Nobody came in time.".to_owned(),
        EndReason::Failed => "The connection was lost.".to_owned(),
        EndReason::Error => "The call could not go on.".to_owned(),
    }
}

fn path(model: &mut Model, mut path: PathEvent) {
    path.why = clean(&path.why, SENTENCE);
    if model.connected.is_none() {
        let why = path.why.clone();
        progress(model, &why);
    }
    model.path = Some(path);
}

/// A relay's own words may be in it.
fn clean_attempt(attempt: &mut Explanation) {
    if let Some(verdict) = &mut attempt.verdict {
        verdict.cause = clean(&verdict.cause, SENTENCE);
    }
}

fn clean_stats(mut stats: Box<StatsEvent>) -> Box<StatsEvent> {
    let names = &mut stats.codecs;
    for name in [&mut names.audio, &mut names.video_sent, &mut names.video_received, &mut names.cipher] {
        *name = name.take().map(|name| clean(&name, NAME));
    }
    stats
}

fn progress(model: &mut Model, line: &str) {
    let line = clean(line, SENTENCE);
    if line.is_empty() || model.progress.back() == Some(&line) {
        return;
    }
    if model.progress.len() == PROGRESS_LINES {
        model.progress.pop_front();
    }
    model.progress.push_back(line);
}

/// A line of the chat. Whoever reads further up goes on reading there.
fn line(model: &mut Model, from: Side, text: &str, did: bool) {
    let text = clean(text, CHAT_LIMIT);
    if text.is_empty() {
        return;
    }
    if from == Side::Remote && !model.reads_chat() {
        model.unread += 1;
    }
    model.chat.push_back(ChatLine { from, text, did, at: model.now });
    if model.scrolled > 0 {
        model.scrolled += view::newest_chat_rows(model);
    }
    if model.chat.len() > CHAT_LINES {
        model.chat.pop_front();
    }
}

/// What became of a file or a recording, among what was said.
fn chat(model: &mut Model, from: Side, text: &str) {
    line(model, from, text, true);
}

fn file(model: &mut Model, event: &FileEvent) {
    let name = clean(&event.name, NAME);
    let (from, bytes, done) = (event.from, event.bytes, event.done);
    let transfer = Some(Transfer { name: name.clone(), bytes, done });
    match (event.state, from) {
        (FileState::Offered, Side::Remote) => {
            model.offered = transfer;
            chat(model, from, &format!("offers the file {name}"));
            return;
        }
        (FileState::Moving, _) => {
            model.transfer = transfer;
            return;
        }
        (FileState::Offered, Side::Local) => chat(model, from, &format!("offered the file {name}")),
        (FileState::Done, Side::Local) => chat(model, from, &format!("sent the file {name}")),
        (FileState::Done, Side::Remote) => {
            let path = event.path.as_deref().unwrap_or_default();
            chat(model, from, &format!("sent a file, kept as {path}"));
            outcome(model, format!("Kept: {}", clean(path, SENTENCE)));
        }
        // A warning says why.
        (FileState::Failed, Side::Remote) => {
            chat(model, from, &format!("sent a file that did not arrive: {name}"));
            outcome(model, format!("Did not arrive here: {name}"));
        }
        (FileState::Failed, Side::Local) => {
            chat(model, from, &format!("sent a file that did not arrive: {name}"));
            outcome(model, format!("Did not arrive there: {name}"));
        }
        (FileState::Refused, _) => chat(model, from, &format!("offered a file that was refused: {name}")),
    }
    if model.transfer.as_ref().is_some_and(|moving| moving.name == name) {
        model.transfer = None;
    }
    if from == Side::Remote && model.offered.as_ref().is_some_and(|offered| offered.name == name) {
        model.offered = None;
    }
}

/// For the terminal, when the screen is gone.
fn outcome(model: &mut Model, line: String) {
    model.files.push_back(line);
    if model.files.len() > OUTCOMES {
        model.files.pop_front();
    }
}

/// Who records is a state on the screen, and each change a line.
fn recording(model: &mut Model, event: &RecordingEvent) {
    let path = event.path.as_deref().map(|path| clean(path, SENTENCE));
    let line = match (event.from, event.on, &path) {
        (Side::Local, true, Some(path)) => format!("began to record to {path}"),
        (Side::Local, true, None) => "began to record".to_owned(),
        (Side::Remote, true, _) => "began to record this call".to_owned(),
        (_, false, _) => "stopped recording".to_owned(),
    };
    match event.from {
        Side::Local => {
            (model.recording.own, model.recording.wished) = (event.on, event.on);
            model.recording.path = path.or(model.recording.path.take());
        }
        Side::Remote => model.recording.friend = event.on,
    }
    chat(model, event.from, &line);
}

fn notice(model: &mut Model, notice: &Notice, error: bool) {
    model.checking = false;
    let (message, help) = (clean(&notice.message, SENTENCE), clean(&notice.help, SENTENCE));
    if model.connected.is_none() {
        progress(model, &message);
    }
    model.no_microphone |= matches!(notice.code, "no_microphone" | "microphone_lost");
    if notice.code.starts_with("recording_") || notice.code == "disk_full" {
        model.recording.wished = false;
    }
    model.notice = Some(Shown { error, message, help, at: model.now });
}
