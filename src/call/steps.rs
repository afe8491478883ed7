//! What goes into the life of a call and what comes out of it, and how long each step may take. Only values.

use super::channel::{Candidate, DescriptionKind, FileTalk, RecordingTalk, Talk};
use super::ending::Ending;
use super::event::{CallEvent, Command, Notice};
use super::verify::Verification;
use crate::nat::explain::Explanation;
use std::time::Duration;

/// Without a path the answerer shows a reply code after so long (design: most direct paths take under 2 s).
pub const REPLY_AFTER: Duration = Duration::from_secs(4);
/// An answerer gives up after so long, unless it showed a reply code.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Whoever authenticated says hello and exchanges the safety words' nonces within this.
pub(super) const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// A person decides about the consent within this.
pub(super) const CONSENT_TIMEOUT: Duration = Duration::from_secs(120);
/// Descriptions are exchanged within this.
pub(super) const OPENING_TIMEOUT: Duration = Duration::from_secs(20);

/// Which end of the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Made the code.
    Offerer,
    /// Was given the code.
    Answerer,
}

/// What the life depends on besides its inputs.
#[derive(Debug, Clone)]
pub struct LifeConfig {
    /// Which end this is.
    pub role: Role,
    /// How the other side sees this one.
    pub name: String,
    /// This end's own candidates, told to whoever authenticated.
    pub candidates: Vec<Candidate>,
    /// Let in whoever authenticated.
    pub auto_accept: bool,
    /// The last moment at which a path may still be found.
    pub deadline: Duration,
    /// The last moment once a reply code was shown; `None`: a reply is of no use (relayed only, no sockets).
    pub reply_deadline: Option<Duration>,
    /// Hang up after so long connected.
    pub duration: Option<Duration>,
    /// How long a silent path is waited for in mid-call; zero: no longer than it takes to be sure.
    pub reconnect: Duration,
}

/// What happens to a call.
#[derive(Debug)]
pub enum Input {
    /// The other end proved that it holds the code (or, for the classic exchange, the connection stands).
    Verified(Verification),
    /// It said something.
    Heard(Talk),
    /// Descriptions are exchanged: media can flow. (In the classic exchange this comes first.)
    MediaReady,
    /// The path came back.
    PathUp,
    /// Nothing came for [`super::silence::NOTICED_AFTER`].
    PathDown {
        /// It goes through a relay, at this end or the other.
        relayed: bool,
    },
    /// The friend's machine says that nobody has the friend's port open: told at least once a second as long as
    /// it is so, and packets go there.
    PortRefuses,
    /// The path is gone for good.
    PathFailed {
        /// It went through a relay, at this end or the other.
        relayed: bool,
    },
    /// Somebody else used the code first.
    CodeUsed,
    /// A person, a script or a signal speaks.
    Told(Command),
    /// Something at this end broke.
    Broke(crate::error::Failure),
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Tell the person.
    Emit(CallEvent),
    /// Tell the other end.
    Send(Talk),
    /// Show a reply code: no path was found yet.
    ShowReply,
    /// Open the devices: both persons want the call.
    OpenMedia,
    /// Describe the media to the other end.
    OfferMedia,
    /// The other end described its media.
    TakeDescription(DescriptionKind, String),
    /// Send silence, or not.
    Mute(bool),
    /// Cancel no echo, or do.
    Headphones(bool),
    /// Send a picture, or not.
    Video(bool),
    /// Offer this file to the friend.
    SendFile(std::path::PathBuf),
    /// The person decided about the file that is asked for.
    DecideFile(bool),
    /// The friend speaks of a file.
    FileHeard(FileTalk),
    /// Record both sides, or stop it.
    Record {
        /// From now on.
        on: bool,
        /// Into this file or folder.
        path: Option<std::path::PathBuf>,
    },
    /// The friend speaks of a recording.
    RecordingHeard(RecordingTalk),
    /// The path is silent: look for the friend on every other.
    Seek,
    /// The path is back: show it, and ask for a whole picture.
    Resume,
    /// It is over.
    Finish(Ending),
}

impl super::Call {
    /// This end's candidates are known better than at the beginning; the friend is told of them when it is met.
    pub fn set_candidates(&mut self, candidates: Vec<Candidate>) {
        self.config.candidates = candidates;
    }

    /// What is to be said if the call does not come about.
    pub fn explain(&mut self, explanation: Option<Explanation>) {
        self.explanation = explanation;
    }
}

impl Effect {
    /// Tells the person that what was asked for takes a friend.
    pub(super) fn nobody_yet() -> Self {
        Self::warning("not_connected", "There is nobody to talk to yet.", "Wait for `connected`.")
    }

    /// Tells the person of something that is not as it should be.
    pub fn warning(code: &'static str, message: &str, help: &str) -> Self {
        Self::Emit(CallEvent::Warning(Notice { code, message: message.into(), help: help.into() }))
    }
}
