//! The only place where the model changes: a message in, effects out. Knows no terminal and reads no clock.

mod event;
mod press;

use crate::call::event::{CallEvent, CodeEvent, Command, EndReason};
use crate::media::level::Levels;
use crate::share::name::is_dropped_file;
use crate::tui::model::{
    CODE_LIMIT, Copied, CopyWhat, Ended, HANGUP_PATIENCE, Layer, Model, Role, Screen, Share, Which,
};
use crossterm::event::KeyEvent;
use std::time::Duration;

/// Something that reached the screen.
#[derive(Debug, Clone, PartialEq)]
pub enum Msg {
    /// A key was pressed.
    Key(KeyEvent),
    /// A text was pasted.
    Paste(String),
    /// The terminal has so many columns and rows now.
    Resize(u16, u16),
    /// The call did something.
    Call(CallEvent),
    /// The call made a code, with what is shown and copied of it.
    Code(CodeEvent, Share),
    /// A copy was tried.
    Copied(CopyWhat, Copied),
    /// A picture of this size is there to be drawn.
    Picture(Which, (u32, u32)),
    /// The process is asked to end.
    Terminate,
    /// The call is gone without having said so.
    CallGone,
    /// Time passed, and it is so loud at both ends.
    Tick(Levels),
}

/// What the terminal's side has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Tell the call.
    Command(Command),
    /// Copy a text.
    Copy(CopyWhat, String),
    /// Back to the shell for a while.
    Suspend,
    /// Draw all anew.
    Redraw,
    /// Close the screen: `Model::ended` says why.
    Leave,
}

/// Applies a message at a time.
pub fn update(model: &mut Model, msg: Msg, now: Duration) -> Vec<Effect> {
    model.now = now;
    match msg {
        Msg::Key(key) => press::press(model, key),
        Msg::Paste(text) => paste(model, text),
        Msg::Resize(columns, rows) => resize(model, (columns, rows)),
        Msg::Call(CallEvent::Code(code)) => event::code(model, &code, Share::default()),
        Msg::Call(event) => event::call(model, event),
        Msg::Code(code, share) => event::code(model, &code, share),
        Msg::Copied(what, outcome) => {
            model.copied = Some((what, outcome));
            Vec::new()
        }
        Msg::Picture(which, size) => picture(model, which, size),
        Msg::Terminate => terminate(model),
        Msg::CallGone => event::gone(model),
        Msg::Tick(levels) => tick(model, levels),
    }
}

fn resize(model: &mut Model, size: (u16, u16)) -> Vec<Effect> {
    model.size = size;
    vec![Effect::Redraw]
}

fn picture(model: &mut Model, which: Which, size: (u32, u32)) -> Vec<Effect> {
    match which {
        Which::Remote => model.remote_picture = Some(size),
        Which::Local => model.local_picture = Some(size),
    }
    Vec::new()
}

/// Pasted text goes where it makes sense: into the line being typed, to the call as a code, or into a message.
fn paste(model: &mut Model, text: String) -> Vec<Effect> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    match (&mut model.layer, &mut model.screen) {
        // Shown before it is sent: it may have been pasted by mistake.
        (Layer::None, Screen::Call) if is_dropped_file(&text) => {
            let mut input = press::file_input();
            input.insert(text.trim());
            model.layer = Layer::File(input);
        }
        (Layer::Chat(input) | Layer::File(input), _) => input.insert(&text),
        (Layer::Reply(_), _) | (Layer::None, Screen::Waiting | Screen::Joining) => {
            model.layer = Layer::None;
            return hand_in(model, text);
        }
        (Layer::None, Screen::Prompt(input)) => {
            input.take();
            input.insert(&text);
            return hand_in(model, text);
        }
        (Layer::None, Screen::Call) if model.role != Role::Demo => {
            let mut input = press::chat_input();
            input.insert(&text);
            model.layer = Layer::Chat(input);
        }
        _ => {}
    }
    Vec::new()
}

/// Gives the call a text that should be a code.
fn hand_in(model: &mut Model, mut text: String) -> Vec<Effect> {
    if let Some((end, _)) = text.char_indices().nth(CODE_LIMIT) {
        text.truncate(end);
    }
    model.checking = true;
    model.notice = None;
    vec![Effect::Command(Command::Paste(text))]
}

/// Starts to hang up; the screen closes when the call says that it ended, or a second later.
fn leave(model: &mut Model, interrupted: bool) -> Vec<Effect> {
    model.layer = Layer::None;
    model.screen = Screen::Leaving(model.now + HANGUP_PATIENCE);
    model.ended = Some(Ended {
        reason: EndReason::Hangup,
        message: "You hung up.".to_owned(),
        help: String::new(),
        lasted: lasted(model),
        interrupted,
        recorded: model.recording.path.clone(),
        files: model.files.iter().cloned().collect(),
    });
    vec![Effect::Command(Command::Hangup)]
}

fn terminate(model: &mut Model) -> Vec<Effect> {
    if matches!(model.screen, Screen::Leaving(_)) { vec![Effect::Leave] } else { leave(model, true) }
}

fn tick(model: &mut Model, levels: Levels) -> Vec<Effect> {
    model.levels = levels;
    match model.screen {
        Screen::Leaving(until) if model.now >= until => vec![Effect::Leave],
        _ => Vec::new(),
    }
}

/// How long the call has been connected, if it ever was.
fn lasted(model: &Model) -> Option<Duration> {
    model.connected.map(|since| model.now.saturating_sub(since))
}

#[cfg(test)]
mod tests;
