//! What keys do to the model. Which key means what stands in the table of `keys`.

use super::{Effect, hand_in, leave};
use crate::call::event::Command;
use crate::tui::input::TextInput;
use crate::tui::keys::{self, Action};
use crate::tui::model::{
    CHAT_LIMIT, CODE_LIMIT, Copied, CopyWhat, Layer, Model, PATH_LIMIT, Place, Role, Screen, Talking,
};
use crate::tui::view;
use crossterm::event::{KeyEvent, KeyEventKind};
use std::time::Duration;

/// A held key is repeated after this at the latest, as keyboards are set; and then within this, again and again.
const FIRST_REPEAT: Duration = Duration::from_millis(700);
const REPEATS: Duration = Duration::from_millis(200);

/// Applies a key press: an action of the table, or a letter of the line being typed.
pub(super) fn press(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    if key.kind == KeyEventKind::Release {
        // Wherever one is by now: a held key is let go of once.
        let held = keys::action(Place::Call, key) == Some(Action::Talk);
        return if held { hush(model) } else { Vec::new() };
    }
    if let Some(action) = keys::action(model.place(), key) {
        let repeated = key.kind == KeyEventKind::Repeat;
        return if action == Action::Talk { talk(model, repeated) } else { act(model, action) };
    }
    if let Some(input) = input(model) {
        input.edit(key);
    }
    Vec::new()
}

/// The key that is held to speak goes down. A terminal that tells no release repeats the press while it is held:
/// presses in quick succession are one.
fn talk(model: &mut Model, repeated: bool) -> Vec<Effect> {
    let now = model.now;
    if let Some(talking) = &mut model.talk {
        let patience = if talking.repeats { REPEATS } else { FIRST_REPEAT };
        if repeated || now.saturating_sub(talking.last) < patience {
            (talking.last, talking.repeats) = (now, true);
            return Vec::new();
        }
    }
    let back = model.local.muted;
    model.talk = Some(Talking { last: now, repeats: false, back: Some(back) });
    mute(model, !back)
}

/// It is let go of: all is as it was, unless another key has changed it meanwhile.
fn hush(model: &mut Model) -> Vec<Effect> {
    let back = model.talk.take().and_then(|talking| talking.back);
    back.filter(|back| *back != model.local.muted).map_or_else(Vec::new, |back| mute(model, back))
}

fn mute(model: &mut Model, muted: bool) -> Vec<Effect> {
    model.local.muted = muted;
    vec![Effect::Command(Command::Mute(muted))]
}

/// An empty line for a message.
pub(super) fn chat_input() -> TextInput {
    TextInput::new(CHAT_LIMIT)
}

/// An empty line for a file's path.
pub(super) fn file_input() -> TextInput {
    TextInput::new(PATH_LIMIT)
}

/// The line being typed.
fn input(model: &mut Model) -> Option<&mut TextInput> {
    match (&mut model.layer, &mut model.screen) {
        (Layer::Reply(input) | Layer::Chat(input) | Layer::File(input), _)
        | (Layer::None, Screen::Prompt(input)) => Some(input),
        _ => None,
    }
}

fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Mute => {
            model.talk.iter_mut().for_each(|talking| talking.back = None);
            return mute(model, !model.local.muted);
        }
        Action::Talk => return talk(model, false),
        Action::Headphones => {
            model.headphones = !model.headphones;
            return vec![Effect::Command(Command::Headphones(model.headphones))];
        }
        Action::Camera => {
            model.local.video_off = !model.local.video_off;
            return vec![Effect::Command(Command::Video(!model.local.video_off))];
        }
        Action::OwnPicture => model.panes.own_picture = !model.panes.own_picture,
        Action::Diagnostics => model.panes.diagnostics = !model.panes.diagnostics,
        Action::Words => model.layer = Layer::Words,
        Action::Verify => return verify(model),
        Action::ChatPane => chat_pane(model, !model.panes.chat),
        Action::Earlier => earlier(model),
        Action::Later => {
            let (rows, page) = view::chat_extent(model);
            // Lines at the top may be gone by now.
            model.scrolled = model.scrolled.min(rows.saturating_sub(page)).saturating_sub(page.max(1));
        }
        Action::Chat if model.role != Role::Demo => {
            model.layer = Layer::Chat(chat_input());
            model.unread = 0;
        }
        Action::File if model.role != Role::Demo => model.layer = Layer::File(file_input()),
        Action::Chat | Action::File => {}
        Action::Record => {
            model.recording.wished = !model.recording.wished;
            return vec![Effect::Command(Command::Record { on: model.recording.wished, path: None })];
        }
        Action::TakeFile => return take_file(model),
        Action::RefuseFile => {
            model.offered = None;
            return vec![Effect::Command(Command::Refuse)];
        }
        Action::CopyInvitation => return copy(model, CopyWhat::Invitation),
        Action::CopyCode => return copy(model, CopyWhat::Code),
        Action::Reply => model.layer = Layer::Reply(TextInput::new(CODE_LIMIT)),
        Action::Accept => return consent(model, Command::Accept),
        Action::Refuse => return consent(model, Command::Refuse),
        Action::Submit => return submit(model),
        Action::Close => close(model),
        Action::Help => model.layer = Layer::Help(0),
        Action::Up => scroll(model, -1),
        Action::Down => scroll(model, 1),
        Action::Quit => model.layer = Layer::Quit,
        Action::Leave => return leave(model, false),
        Action::Interrupt => return interrupt(model),
        Action::Suspend => return vec![Effect::Suspend],
        Action::Redraw => return vec![Effect::Redraw],
    }
    Vec::new()
}

/// Opens or closes the chat's pane, at its end.
fn chat_pane(model: &mut Model, open: bool) {
    model.panes.chat = open && model.role != Role::Demo;
    model.scrolled = 0;
    if model.panes.chat {
        model.unread = 0;
    }
}

/// A page back in what was said; where the pane is closed it opens first.
fn earlier(model: &mut Model) {
    if !model.panes.chat {
        return chat_pane(model, true);
    }
    let (rows, page) = view::chat_extent(model);
    model.scrolled = (model.scrolled + page.max(1)).min(rows.saturating_sub(page));
}

fn verify(model: &mut Model) -> Vec<Effect> {
    model.layer = Layer::None;
    let Some(words) = &mut model.words else { return Vec::new() };
    words.verified = true;
    vec![Effect::Command(Command::Verify)]
}

fn take_file(model: &mut Model) -> Vec<Effect> {
    model.offered.take().map(|_| Effect::Command(Command::Accept)).into_iter().collect()
}

fn consent(model: &mut Model, decision: Command) -> Vec<Effect> {
    model.screen = if decision == Command::Accept { Screen::Joining } else { Screen::Waiting };
    vec![Effect::Command(decision)]
}

fn copy(model: &mut Model, what: CopyWhat) -> Vec<Effect> {
    let Some(code) = &model.code else { return Vec::new() };
    if !model.options.clipboard {
        model.copied = Some((what, Copied::Off));
        return Vec::new();
    }
    let text = match what {
        CopyWhat::Invitation => &code.invitation,
        CopyWhat::Code => &code.code,
    };
    vec![Effect::Copy(what, text.clone())]
}

fn submit(model: &mut Model) -> Vec<Effect> {
    let text = input(model).map(|input| input.text().trim().to_owned()).unwrap_or_default();
    let layer = std::mem::replace(&mut model.layer, Layer::None);
    match (layer, text.is_empty()) {
        (_, true) => Vec::new(),
        (Layer::Chat(_), false) => vec![Effect::Command(Command::Say(text))],
        (Layer::File(_), false) => vec![Effect::Command(Command::Send(text.into()))],
        (_, false) => hand_in(model, text),
    }
}

/// Esc closes one thing at a time, the topmost first.
fn close(model: &mut Model) {
    if model.layer != Layer::None {
        model.layer = Layer::None;
    } else if model.panes.chat {
        chat_pane(model, false);
    } else if model.panes.diagnostics {
        model.panes.diagnostics = false;
    } else if let Screen::Prompt(input) = &mut model.screen {
        input.take();
    }
}

fn scroll(model: &mut Model, lines: i16) {
    if let Layer::Help(top) = &mut model.layer {
        *top = top.saturating_add_signed(lines).min(keys::TABLE.len() as u16);
    }
}

/// Ctrl-C asks before it ends a call, not before there is one to lose, and never twice.
fn interrupt(model: &mut Model) -> Vec<Effect> {
    match (&model.layer, &model.screen) {
        (_, Screen::Leaving(_)) => vec![Effect::Leave],
        (Layer::Quit, _) | (_, Screen::Prompt(_)) => leave(model, true),
        _ => {
            model.layer = Layer::Quit;
            Vec::new()
        }
    }
}
