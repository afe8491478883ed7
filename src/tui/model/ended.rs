//! How a call ended, and its last words on the terminal.

use crate::call::event::EndReason;
use std::time::Duration;

/// How the call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub reason: EndReason,
    /// One sentence.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
    /// How long it was connected, if ever.
    pub lasted: Option<Duration>,
    /// Ctrl-C or a signal ended it.
    pub interrupted: bool,
    /// Where it was recorded.
    pub recorded: Option<String>,
    /// What became of files, a line each.
    pub files: Vec<String>,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        if let Some(lasted) = self.lasted {
            write!(f, " The call lasted {}.", crate::tui::text::clock(lasted))?;
        }
        if let Some(path) = &self.recorded {
            write!(f, "\n  Recorded: {path}")?;
        }
        for file in &self.files {
            write!(f, "\n  {file}")?;
        }
        if self.help.is_empty() { Ok(()) } else { write!(f, "\n  {}", self.help) }
    }
}
