//! What a call says and what it is told: the events and commands that the screen, the headless lines and
//! `--json` share. Serialised as the command line's contract wants it. Knows no screen and no network.

mod stats;

pub use stats::{AudioStats, CodecNames, DirectionStats, StatsEvent, VideoStats};

use crate::media::frame::MediaKind;
use crate::nat::explain::Explanation;
use crate::nat::predict::Prediction;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Something the call did or saw.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum CallEvent {
    /// A code to hand to the friend.
    Code(CodeEvent),
    /// The life of the call moved on.
    State(StateEvent),
    /// Which path to expect, before a packet is sent to the friend; again when more is known.
    Prediction(Prediction),
    /// What was tried so far and what came of it, every two seconds of an attempt to connect.
    Pairs(Box<Explanation>),
    /// The path that packets take, on connect and at each change.
    Path(PathEvent),
    /// The first remote frame of a kind.
    Media {
        /// Sound or picture.
        kind: MediaKind,
        /// Milliseconds since `connected`.
        after_connect_ms: u64,
    },
    /// Once a second while connected.
    Stats(Box<StatsEvent>),
    /// A line of text, either way.
    Chat {
        /// Who wrote it.
        from: Side,
        /// The text, control characters removed.
        text: String,
    },
    /// A file that is offered, on its way, or settled.
    File(FileEvent),
    /// The call is recorded from now on, or no longer.
    Recording(RecordingEvent),
    /// The safety words.
    Verify {
        /// Four words, separated by spaces; the same on both screens when nobody sits in the middle.
        words: String,
        /// Whether a person said that they agree.
        verified: bool,
    },
    /// The friend's microphone or camera went on or off.
    Remote {
        /// Microphone off.
        muted: bool,
        /// Camera off.
        video_off: bool,
    },
    /// What a warning said is over.
    Mended {
        /// The warning's word.
        code: &'static str,
    },
    /// Something a person should know; the call goes on.
    Warning(Notice),
    /// Something went wrong; the call may not go on.
    Error(Notice),
}

/// Local or remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// This end.
    Local,
    /// The friend's end.
    Remote,
}

/// Somebody records both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordingEvent {
    /// Who.
    pub from: Side,
    /// From now on, or no longer.
    pub on: bool,
    /// In which file (own recordings).
    pub path: Option<String>,
}

/// A file between the two ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileEvent {
    /// Whose file it is.
    pub from: Side,
    /// How far it is.
    pub state: FileState,
    /// Its name, made harmless.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Bytes that have arrived.
    pub done: u64,
    /// Where it is kept (the receiving side, once it is whole).
    pub path: Option<String>,
}

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// The receiving side is asked.
    Offered,
    /// On its way.
    Moving,
    /// Arrived, whole and checked.
    Done,
    /// The receiving side did not want it.
    Refused,
    /// It does not arrive; a warning says why.
    Failed,
}

/// A code to hand over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodeEvent {
    /// Offer, or answer (a reply).
    pub kind: CodeKind,
    /// Which family of code.
    pub form: CodeForm,
    /// The text to share.
    pub code: String,
    /// Its length.
    pub chars: usize,
    /// Offers: `Some(false)` when one code surely suffices, `None` when it depends on the friend's network.
    /// Answers: `Some(true)`.
    pub reply_needed: Option<bool>,
    /// Seconds.
    pub expires_in: u64,
}

/// Whose code it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CodeKind {
    /// Made by `offer`.
    Offer,
    /// Made by `answer`.
    Answer,
}

/// Which family of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CodeForm {
    /// The short call code.
    P2p,
    /// A whole session description.
    Sdp,
}

/// A step in the call's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateEvent {
    /// Where the call is.
    pub state: CallState,
    /// The friend's name, from `answered` on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// One sentence for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What was tried, where a call did not come about.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Box<Explanation>>,
}

impl CallEvent {
    /// Whether the call is over: nothing comes after it.
    pub fn is_the_end(&self) -> bool {
        matches!(self, Self::State(state) if state.state == CallState::Ended)
    }

    /// Whether it is of no use once the next one of its kind is there.
    pub fn is_momentary(&self) -> bool {
        match self {
            Self::Stats(_) | Self::Pairs(_) => true,
            Self::File(file) => file.state == FileState::Moving,
            _ => false,
        }
    }
}

impl StateEvent {
    /// A step with nothing more to say.
    pub fn new(state: CallState, name: Option<String>) -> Self {
        Self { state, name, reason: None, message: None, help: None, explanation: None }
    }
}

/// A step with nothing more to say, as an event.
pub fn state(state: CallState, name: Option<String>) -> CallEvent {
    CallEvent::State(StateEvent::new(state, name))
}

/// Where the call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    /// Finding this end's addresses.
    Gathering,
    /// The code is out.
    Waiting,
    /// Someone authenticated.
    Answered,
    /// Looking for a path, or opening the media.
    Connecting,
    /// Media can flow.
    Connected,
    /// The path was lost; looking for another.
    Reconnecting,
    /// Over.
    Ended,
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// This end hung up.
    Hangup,
    /// The friend hung up.
    RemoteHangup,
    /// Nobody came in time.
    Timeout,
    /// The path was lost, or there was none.
    Failed,
    /// Anything else.
    Error,
}

/// Candidate kinds, best first (RFC 8445 §5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathKind {
    /// An address of the machine itself.
    Host,
    /// Learnt from a check.
    Prflx,
    /// Learnt from a STUN server.
    Srflx,
    /// Through a TURN relay.
    Relay,
}

/// How packets travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathEvent {
    /// The worse of the two ends'.
    pub kind: PathKind,
    /// This end's candidate.
    pub local: PathKind,
    /// The friend's candidate.
    pub remote: PathKind,
    /// udp, tcp or tls (to the relay where there is one).
    pub protocol: Protocol,
    /// 4 or 6.
    pub family: u8,
    /// Milliseconds.
    pub rtt_ms: Option<u32>,
    /// One sentence.
    pub why: String,
    /// This end's address.
    pub local_address: Option<SocketAddr>,
    /// The friend's address.
    pub remote_address: Option<SocketAddr>,
}

/// What carries packets to the relay, or to the friend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// A warning or an error for a person, with a stable word for scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// A stable `snake_case` word.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// What a person (or a script) tells the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A pasted text: a code with whatever stands around it.
    Paste(String),
    /// Microphone off or on.
    Mute(bool),
    /// The friend is heard by headphones, and no echo cancelled; or not.
    Headphones(bool),
    /// Camera on or off.
    Video(bool),
    /// Chat.
    Say(String),
    /// Send a file.
    Send(std::path::PathBuf),
    /// Record both sides, or stop it.
    Record {
        /// From now on.
        on: bool,
        /// Into this file or folder; `None`: where files are kept.
        path: Option<std::path::PathBuf>,
    },
    /// The safety words were compared and agree.
    Verify,
    /// Let in whoever answered.
    Accept,
    /// Don't.
    Refuse,
    /// A stats line now.
    Stats,
    /// End the call.
    Hangup,
}
