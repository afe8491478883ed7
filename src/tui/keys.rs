//! The keys: one table that says which key does what where, and that also prints the help. Knows nothing of
//! how anything is done.

use crate::tui::model::Place;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Microphone off or on.
    Mute,
    /// Microphone off or on while it is held; where no release is told, until the next tap.
    Talk,
    /// Headphones on or off: echo is cancelled, or not.
    Headphones,
    /// Camera off or on.
    Camera,
    /// Own picture shown or not.
    OwnPicture,
    /// Diagnostics open or closed.
    Diagnostics,
    /// The safety words.
    Words,
    /// They agree.
    Verify,
    /// The chat's pane open or closed.
    ChatPane,
    /// Its earlier rows.
    Earlier,
    /// Its later rows.
    Later,
    /// Write a message.
    Chat,
    /// Send a file.
    File,
    /// Record both sides, or stop it.
    Record,
    /// Take the file that the friend offers.
    TakeFile,
    /// Don't, or stop those on their way.
    RefuseFile,
    /// Copy the invitation.
    CopyInvitation,
    /// Copy the code alone.
    CopyCode,
    /// Type the reply code.
    Reply,
    /// Let in who answered.
    Accept,
    /// Don't.
    Refuse,
    /// Hand in the line being typed.
    Submit,
    /// Close what lies on top.
    Close,
    /// The help.
    Help,
    /// Scroll up.
    Up,
    /// Scroll down.
    Down,
    /// Hang up, asking first.
    Quit,
    /// Hang up, not asking.
    Leave,
    /// Ctrl-C: asks first, the second time leaves.
    Interrupt,
    /// Back to the shell for a while.
    Suspend,
    /// Draw all anew.
    Redraw,
}

/// One line of the table.
#[derive(Debug)]
pub struct Binding {
    /// What it asks for.
    pub action: Action,
    /// The keys that do, all alike.
    pub keys: &'static [Key],
    /// The help's words.
    pub help: &'static str,
    /// Where it works; empty: everywhere.
    pub places: &'static [Place],
}

/// One key press. Shift is in the character itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character as typed.
    Char(char),
    /// With Control.
    Control(char),
    /// Any other.
    Code(KeyCode),
}

use Key::{Char, Code, Control};
use Place::{Call, Consent, Joining, Prompt, Quit, Typing, Waiting, Words};

/// Every key there is, in the help's order.
pub const TABLE: &[Binding] = &[
    bind(Action::Mute, &[Char('m')], "microphone off or on", &[Call, Joining, Place::Help, Words, Quit]),
    bind(Action::Talk, &[Char(' ')], "speak while muted: hold it, or tap on and off", &[Call]),
    bind(Action::Headphones, &[Char('h')], "headphones: no echo to cancel, or some", &[Call, Joining]),
    bind(Action::Camera, &[Char('v')], "camera off or on", &[Call, Joining]),
    bind(Action::OwnPicture, &[Char('o')], "own picture shown or hidden", &[Call]),
    bind(Action::Chat, &[Char('t'), Code(KeyCode::Enter)], "write a message", &[Call]),
    bind(Action::ChatPane, &[Char('c')], "chat, files and recordings beside the picture", &[Call]),
    bind(Action::Earlier, &[Code(KeyCode::PageUp)], "what was said before", &[Call, Typing]),
    bind(Action::Later, &[Code(KeyCode::PageDown)], "what was said after it", &[Call, Typing]),
    bind(Action::File, &[Char('s')], "send a file (or drop it on the terminal)", &[Call]),
    bind(Action::Record, &[Char('r')], "record both sides, or stop (your friend is told)", &[Call]),
    bind(Action::TakeFile, &[Char('a')], "take the file your friend offers", &[Call]),
    bind(Action::RefuseFile, &[Char('x')], "refuse it, or stop files on their way", &[Call]),
    bind(Action::Words, &[Char('w')], "safety words: is it really your friend?", &[Call, Joining]),
    bind(Action::Diagnostics, &[Char('d')], "diagnostics: path, codecs, counters", &[Call, Joining, Waiting]),
    bind(Action::CopyInvitation, &[Char('c')], "copy the invitation", &[Waiting, Joining]),
    bind(Action::CopyCode, &[Char('C')], "copy the code alone", &[Waiting, Joining]),
    bind(
        Action::Reply,
        &[Char('r'), Code(KeyCode::Enter)],
        "type a reply code (pasting works anywhere)",
        &[Waiting],
    ),
    bind(Action::Accept, &[Char('a'), Char('y')], "let them in", &[Consent]),
    bind(Action::Refuse, &[Char('x'), Char('n')], "refuse them", &[Consent]),
    bind(Action::Verify, &[Char('y'), Code(KeyCode::Enter)], "the words agree", &[Words]),
    bind(Action::Submit, &[Code(KeyCode::Enter)], "hand in the line", &[Prompt, Typing]),
    bind(Action::Leave, &[Char('y'), Code(KeyCode::Enter), Char('q')], "yes, hang up", &[Quit]),
    bind(Action::Close, &[Char('n'), Char('w')], "back", &[Words]),
    bind(Action::Close, &[Char('n')], "stay in the call", &[Quit]),
    bind(Action::Up, &[Code(KeyCode::Up), Char('k')], "scroll up", &[Place::Help]),
    bind(Action::Down, &[Code(KeyCode::Down), Char('j')], "scroll down", &[Place::Help]),
    bind(
        Action::Close,
        &[Char('q'), Char('?'), Code(KeyCode::F(1)), Code(KeyCode::Enter)],
        "back",
        &[Place::Help],
    ),
    bind(Action::Help, &[Char('?'), Code(KeyCode::F(1))], "this help", &[Waiting, Consent, Joining, Call]),
    bind(Action::Help, &[Code(KeyCode::F(1))], "help", &[Prompt]),
    bind(Action::Close, &[Code(KeyCode::Esc)], "close what is open", &[]),
    bind(Action::Quit, &[Char('q')], "hang up and leave", &[Waiting, Consent, Joining, Call]),
    bind(Action::Interrupt, &[Control('c')], "hang up and leave; twice: at once", &[]),
    bind(Action::Suspend, &[Control('z')], "back to the shell; fg returns", &[]),
    bind(Action::Redraw, &[Control('l')], "draw the screen anew", &[]),
];

const fn bind(action: Action, keys: &'static [Key], help: &'static str, places: &'static [Place]) -> Binding {
    Binding { action, keys, help, places }
}

impl Binding {
    /// Whether it works in a place.
    pub fn works_in(&self, place: Place) -> bool {
        self.places.is_empty() || self.places.contains(&place)
    }

    /// Its keys as the help writes them: `t, Enter`.
    pub fn keys_text(&self) -> String {
        let names: Vec<String> = self.keys.iter().map(|key| key.name()).collect();
        names.join(", ")
    }
}

impl Key {
    /// The key of an event; `None` for a modifier on its own and the like.
    fn of(event: KeyEvent) -> Option<Self> {
        if event.modifiers.contains(KeyModifiers::ALT) {
            return None;
        }
        Some(match event.code {
            KeyCode::Char(c) if event.modifiers.contains(KeyModifiers::CONTROL) => {
                Control(c.to_ascii_lowercase())
            }
            KeyCode::Char(c) => Char(c),
            code => Code(code),
        })
    }

    fn name(self) -> String {
        match self {
            Char(' ') => "Space".to_owned(),
            Char(c) => c.to_string(),
            Control(c) => format!("Ctrl-{}", c.to_ascii_uppercase()),
            Code(code) => code.to_string(),
        }
    }
}

/// What a key asks for in a place.
pub fn action(place: Place, event: KeyEvent) -> Option<Action> {
    let key = Key::of(event)?;
    TABLE.iter().find(|line| line.works_in(place) && line.keys.contains(&key)).map(|line| line.action)
}

/// The first key of an action in a place, as hints write it.
pub fn key_for(place: Place, action: Action) -> Option<String> {
    let line = TABLE.iter().find(|line| line.action == action && line.works_in(place))?;
    line.keys.first().map(|key| key.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: &[Place] =
        &[Prompt, Waiting, Consent, Joining, Call, Place::Leaving, Place::Help, Quit, Words, Typing];

    #[test]
    fn no_key_has_two_meanings_in_one_place() {
        for &place in PLACES {
            let mut seen = Vec::new();
            for line in TABLE.iter().filter(|line| line.works_in(place)) {
                for key in line.keys {
                    assert!(!seen.contains(key), "{key:?} twice in {place:?}");
                    seen.push(*key);
                }
            }
        }
    }

    #[test]
    fn where_text_is_typed_no_letter_is_a_key() {
        for place in [Prompt, Typing] {
            for line in TABLE.iter().filter(|line| line.works_in(place)) {
                assert!(!line.keys.iter().any(|key| matches!(key, Char(_))), "{line:?}");
            }
        }
    }

    #[test]
    fn keys_are_found_with_and_without_shift() {
        for (code, modifiers, place, want) in [
            (KeyCode::Char('m'), KeyModifiers::NONE, Call, Some(Action::Mute)),
            (KeyCode::Char('C'), KeyModifiers::SHIFT, Waiting, Some(Action::CopyCode)),
            (KeyCode::Char('C'), KeyModifiers::NONE, Waiting, Some(Action::CopyCode)),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, Waiting, Some(Action::Interrupt)),
            (KeyCode::Char('m'), KeyModifiers::NONE, Typing, None),
            (KeyCode::Char('m'), KeyModifiers::ALT, Call, None),
            (KeyCode::Esc, KeyModifiers::NONE, Typing, Some(Action::Close)),
        ] {
            assert_eq!(action(place, KeyEvent::new(code, modifiers)), want, "{code:?} in {place:?}");
        }
    }

    #[test]
    fn names_are_written_as_on_the_keyboard() {
        assert_eq!(key_for(Call, Action::Interrupt).as_deref(), Some("Ctrl-C"));
        assert_eq!(key_for(Call, Action::Chat).as_deref(), Some("t"));
        let chat = TABLE.iter().find(|line| line.action == Action::Chat).map(Binding::keys_text);
        assert_eq!(chat.as_deref(), Some("t, Enter"));
        assert_eq!(key_for(Call, Action::Talk).as_deref(), Some("Space"));
    }
}
