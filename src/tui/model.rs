//! Everything the screen knows, as plain values. `update` alone changes it, `view` alone shows it. Text from
//! the network is cleaned before it gets in here, and every list has its bound. Knows no terminal, no clock
//! and no network.

mod code;
mod ended;
mod said;

use crate::call::channel::MAX_CHAT;
use crate::call::event::{CallState, PathEvent, StatsEvent};
use crate::media::level::Levels;
use crate::nat::explain::Explanation;
use crate::tui::input::TextInput;
use crate::tui::theme::Look;
use std::collections::VecDeque;
use std::time::Duration;

pub use code::{Copied, CopyWhat, QrView, Share, ShownCode};
pub use ended::Ended;
pub use said::{ChatLine, Recording, Transfer};

/// Chat lines kept.
pub const CHAT_LINES: usize = 300;
/// Lines of progress kept.
pub const PROGRESS_LINES: usize = 30;
/// Characters of a file's path.
pub const PATH_LIMIT: usize = 4_096;
/// Characters of a chat message: as many as the call carries.
pub const CHAT_LIMIT: usize = MAX_CHAT;
/// Characters of a typed or pasted code: room for a whole session description.
pub const CODE_LIMIT: usize = 64 * 1024;
/// How long a warning stays on the screen.
pub const NOTICE_LIFETIME: Duration = Duration::from_secs(20);
/// How long hanging up may take before the screen closes all the same.
pub const HANGUP_PATIENCE: Duration = Duration::from_secs(1);

/// Which part this end plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Made the code.
    Offer,
    /// Got the code.
    Answer,
    /// Both ends, on this machine.
    Demo,
}

/// What fills the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screen {
    /// `answer` was given no code and asks for it.
    Prompt(TextInput),
    /// The offer's code is out, or soon will be.
    Waiting,
    /// Someone answered the offer: let them in?
    Consent,
    /// On the way to being connected.
    Joining,
    /// Connected, or reconnecting.
    Call,
    /// Hanging up; the screen closes at the latest at this time.
    Leaving(Duration),
}

/// What lies over the screen and takes the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// Nothing.
    None,
    /// The keys, scrolled down by so many lines.
    Help(u16),
    /// Really hang up?
    Quit,
    /// The safety words, to be compared.
    Words,
    /// Typing a reply code.
    Reply(TextInput),
    /// Typing a message.
    Chat(TextInput),
    /// Typing a file's path.
    File(TextInput),
}

/// Which place the keys go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The prompt for a code.
    Prompt,
    /// The waiting screen.
    Waiting,
    /// The question whom to let in.
    Consent,
    /// On the way.
    Joining,
    /// In the call.
    Call,
    /// Hanging up.
    Leaving,
    /// Over any of them: the help.
    Help,
    /// The question whether to leave.
    Quit,
    /// The safety words.
    Words,
    /// A line being typed.
    Typing,
}

/// One end's microphone and camera.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Devices {
    /// Microphone off.
    pub muted: bool,
    /// Camera off.
    pub video_off: bool,
}

/// The safety words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Four words.
    pub words: String,
    /// A person said that they agree.
    pub verified: bool,
}

/// The key that is held to speak, down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Talking {
    /// When it was pressed last, or the keyboard repeated it.
    pub last: Duration,
    /// The keyboard repeats it.
    pub repeats: bool,
    /// Muted or not, as it is again once it is let go of; `None` where another key has decided since.
    pub back: Option<bool>,
}

/// A warning or an error on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Whether the call may not go on.
    pub error: bool,
    /// What happened.
    pub message: String,
    /// What to do.
    pub help: String,
    /// When it came.
    pub at: Duration,
}

/// Whose picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The friend's.
    Remote,
    /// The own one.
    Local,
}

/// What the pictures are called in the demo, where neither is "the friend's".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Titles {
    /// Over the remote one.
    pub remote: String,
    /// Over the local one.
    pub local: String,
}

/// What is shown in the call beside the friend's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panes {
    /// The diagnostics.
    pub diagnostics: bool,
    /// The own picture.
    pub own_picture: bool,
    /// The chat.
    pub chat: bool,
}

/// What was decided on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Let in whoever answered.
    pub auto_accept: bool,
    /// Codes may be copied.
    pub clipboard: bool,
}

/// Everything the screen knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// This end's part.
    pub role: Role,
    /// What the terminal can show.
    pub look: Look,
    /// Columns and rows.
    pub size: (u16, u16),
    /// Time since the screen opened.
    pub now: Duration,
    /// What fills the terminal.
    pub screen: Screen,
    /// What lies over it.
    pub layer: Layer,
    /// What is shown in the call beside the friend's picture.
    pub panes: Panes,
    /// What was decided on the command line.
    pub options: Options,
    /// The code, once there is one.
    pub code: Option<ShownCode>,
    /// What was copied last, and what became of it.
    pub copied: Option<(CopyWhat, Copied)>,
    /// A code was handed to the call, which has not said anything to it yet.
    pub checking: bool,
    /// Where the call is.
    pub state: CallState,
    /// When it was connected first.
    pub connected: Option<Duration>,
    /// When it was lost last.
    pub lost: Option<Duration>,
    /// The friend's name.
    pub name: Option<String>,
    /// The friend's devices.
    pub remote: Devices,
    /// The own devices.
    pub local: Devices,
    /// The key that is held to speak; `None` once it was let go of.
    pub talk: Option<Talking>,
    /// Nothing is recorded by this end's microphone: there is none.
    pub no_microphone: bool,
    /// The friend is heard by headphones.
    pub headphones: bool,
    /// What was tried, before there is a path.
    pub attempt: Option<Box<Explanation>>,
    /// How packets travel.
    pub path: Option<PathEvent>,
    /// How loud both ends are.
    pub levels: Levels,
    /// The last second.
    pub stats: Option<Box<StatsEvent>>,
    /// The safety words.
    pub words: Option<Words>,
    /// The last chat lines.
    pub chat: VecDeque<ChatLine>,
    /// Rows of the chat's pane below those that are seen.
    pub scrolled: usize,
    /// Lines of the friend's that came while nobody looked.
    pub unread: usize,
    /// The file that moved last.
    pub transfer: Option<Transfer>,
    /// The file that the friend offers and nobody decided about.
    pub offered: Option<Transfer>,
    /// What became of the friend's files, for the end.
    pub files: VecDeque<String>,
    /// Who records the call.
    pub recording: Recording,
    /// The last warning or error.
    pub notice: Option<Shown>,
    /// What was tried, oldest first.
    pub progress: VecDeque<String>,
    /// Size in pixels of the friend's picture, once there is one.
    pub remote_picture: Option<(u32, u32)>,
    /// Size in pixels of the own picture, once there is one.
    pub local_picture: Option<(u32, u32)>,
    /// The pictures' names, in the demo.
    pub titles: Titles,
    /// How it ended.
    pub ended: Option<Ended>,
}

impl Model {
    /// The model of a screen that has just opened.
    pub fn new(role: Role, look: Look, size: (u16, u16)) -> Self {
        Self {
            role,
            look,
            size,
            now: Duration::ZERO,
            screen: match role {
                Role::Offer => Screen::Waiting,
                Role::Answer | Role::Demo => Screen::Joining,
            },
            layer: Layer::None,
            panes: Panes { diagnostics: role == Role::Demo, own_picture: true, chat: false },
            options: Options { auto_accept: false, clipboard: true },
            code: None,
            copied: None,
            checking: false,
            state: CallState::Gathering,
            connected: None,
            lost: None,
            name: None,
            remote: Devices::default(),
            local: Devices::default(),
            talk: None,
            no_microphone: false,
            headphones: false,
            attempt: None,
            path: None,
            levels: Levels::default(),
            stats: None,
            words: None,
            chat: VecDeque::new(),
            scrolled: 0,
            unread: 0,
            transfer: None,
            offered: None,
            files: VecDeque::new(),
            recording: Recording::default(),
            notice: None,
            progress: VecDeque::new(),
            remote_picture: None,
            local_picture: None,
            titles: Titles { remote: "Alice sees".to_owned(), local: "Bob sees".to_owned() },
            ended: None,
        }
    }

    /// Where keys go.
    pub fn place(&self) -> Place {
        match (&self.layer, &self.screen) {
            (_, Screen::Leaving(_)) => Place::Leaving,
            (Layer::Help(_), _) => Place::Help,
            (Layer::Quit, _) => Place::Quit,
            (Layer::Words, _) => Place::Words,
            (Layer::Reply(_) | Layer::Chat(_) | Layer::File(_), _) => Place::Typing,
            (Layer::None, Screen::Prompt(_)) => Place::Prompt,
            (Layer::None, Screen::Waiting) => Place::Waiting,
            (Layer::None, Screen::Consent) => Place::Consent,
            (Layer::None, Screen::Joining) => Place::Joining,
            (Layer::None, Screen::Call) => Place::Call,
        }
    }

    /// Whether the attempt is looked at, before there is a call.
    pub fn shows_attempt(&self) -> bool {
        self.panes.diagnostics && self.role != Role::Demo && matches!(self.layer, Layer::None)
    }

    /// Whether the chat is looked at.
    pub fn reads_chat(&self) -> bool {
        self.panes.chat || matches!(self.layer, Layer::Chat(_))
    }

    /// The friend, as a sentence's subject.
    pub fn friend(&self) -> &str {
        self.name.as_deref().filter(|name| !name.is_empty()).unwrap_or("your friend")
    }

    /// The notice, while it is fresh; an error stays.
    pub fn fresh_notice(&self) -> Option<&Shown> {
        self.notice.as_ref().filter(|shown| shown.error || self.now < shown.at + NOTICE_LIFETIME)
    }

    /// What is left of the code's life.
    pub fn expires_in(&self) -> Option<Duration> {
        self.code.as_ref().map(|code| code.expires.saturating_sub(self.now))
    }

    /// Size in pixels of a picture that is to be drawn: there is one, and its camera is on.
    pub fn picture(&self, which: Which) -> Option<(u32, u32)> {
        match which {
            Which::Remote => self.remote_picture.filter(|_| !self.remote.video_off),
            Which::Local => self.local_picture.filter(|_| !self.local.video_off),
        }
    }
}
