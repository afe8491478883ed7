//! The failures a person can act on, each with its exit code and its remedy. Knows nothing of where they
//! came from.

use std::fmt;

/// The exit codes of the command line's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The call took place, or the command did what it was asked.
    Ok = 0,
    /// Any other failure.
    Failure = 1,
    /// Bad usage or a bad code.
    Usage = 2,
    /// Nobody answered, or there is no path.
    NoConnection = 3,
    /// Lost after it had connected.
    Lost = 4,
    /// A device asked for by name is not there.
    NoDevice = 5,
    /// `diagnose`: calls need a relay, and one that works is configured.
    RelayNeeded = 10,
    /// `diagnose`: calls need a relay, and none works.
    RelayMissing = 20,
    /// `diagnose`: there is no network.
    Offline = 30,
    /// Ctrl-C before it connected.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// One failure at the edge: what failed, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The process's exit code.
    pub exit: Exit,
    /// A stable `snake_case` word for scripts.
    pub code: &'static str,
    /// What failed and the likely cause, one sentence.
    pub message: String,
    /// What to try.
    pub help: String,
}

impl Failure {
    /// A failure with its remedy.
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { exit, code, message: message.into(), help: help.into() }
    }

    /// Bad usage or a bad code.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message, help)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "\n  {}", self.help) }
    }
}

impl std::error::Error for Failure {}
