//! What was said, sent and recorded in a call, as the screen keeps it. Clean text only.

use crate::call::event::Side;
use std::time::Duration;

/// One chat line, or what became of a file or a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatLine {
    /// Who wrote it.
    pub from: Side,
    /// One clean line.
    pub text: String,
    /// It says what was done, not what was said.
    pub did: bool,
    /// When it came.
    pub at: Duration,
}

/// A file on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Its clean name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Bytes so far.
    pub done: u64,
}

/// Who records the call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// This end.
    pub own: bool,
    /// The friend.
    pub friend: bool,
    /// This end was told to, and may still ask the friend's.
    pub wished: bool,
    /// The last file of this end's.
    pub path: Option<String>,
}
