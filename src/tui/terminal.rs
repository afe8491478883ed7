//! I/O: what is known of the terminal: by the environment, by its driver, and by its own answers.
#![expect(clippy::disallowed_methods, reason = "I/O: an answer is waited for by the clock")]

use crate::cli;
use crate::picture::query::{Heard, QUESTION, hear};
use crate::picture::{Answers, CellSize, Facts};
use crate::tui::guard;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

/// How long an answer is waited for: terminals on this machine answer within milliseconds, and one that comes when
/// nobody waits any more would be taken for keys.
const PATIENCE: Duration = Duration::from_secs(1);
/// An answer has less than this.
const MOST: usize = 512;

/// What is known of the terminal, and what was typed while it was asked: only where the answer decides how pictures
/// are drawn.
pub fn facts(render: cli::Render) -> (Facts, Vec<KeyEvent>) {
    let mut facts = known();
    let mut typed = Vec::new();
    let asked = render == cli::Render::Auto && facts.may_be_asked();
    if asked && io::stdin().is_terminal() && io::stdout().is_terminal() {
        match guard::raw(ask) {
            Ok(heard) => {
                facts.answers = Answers { cell: facts.answers.cell, ..heard.answers };
                typed = keys(&heard.typed);
            }
            Err(error) => log::debug!("the terminal was not asked: {error}"),
        }
    }
    (facts, typed)
}

/// What is known without asking.
pub fn known() -> Facts {
    let mut facts = Facts::from_env(|name| std::env::var(name).ok());
    facts.answers.cell = cell();
    facts
}

/// The size of a cell, where the driver was told.
fn cell() -> Option<CellSize> {
    let size = crossterm::terminal::window_size().ok()?;
    let side = |pixels: u16, cells: u16| pixels.checked_div(cells).filter(|pixels| *pixels > 0);
    side(size.width, size.columns)
        .zip(side(size.height, size.rows))
        .map(|(width, height)| CellSize { width, height })
}

/// Asks, and waits for the last answer. Not where something was typed already: it is for the screen.
fn ask() -> io::Result<Heard> {
    let mut bytes = Vec::new();
    if is_readable(Duration::ZERO)? {
        return Ok(hear(&bytes));
    }
    guard::ask(QUESTION)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let heard = hear(&bytes);
        let left = deadline.saturating_duration_since(Instant::now());
        if heard.complete || bytes.len() >= MOST || !is_readable(left)? {
            return Ok(heard);
        }
        let mut piece = [0; MOST];
        let count = rustix::io::read(rustix::stdio::stdin(), &mut piece)?;
        bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        if count == 0 {
            return Ok(hear(&bytes));
        }
    }
}

/// Whether there is something to read within so long.
fn is_readable(within: Duration) -> io::Result<bool> {
    let stdin = rustix::stdio::stdin();
    let mut wanted = [PollFd::new(&stdin, PollFlags::IN)];
    let within = Timespec { tv_sec: within.as_secs() as i64, tv_nsec: i64::from(within.subsec_nanos()) };
    match poll(&mut wanted, Some(&within)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Bytes as the keys they were typed by, Ctrl-C among them, up to the first of a key that sends a sequence.
fn keys(typed: &[u8]) -> Vec<KeyEvent> {
    let typed = typed.split(|byte| *byte == 0x1b).next().unwrap_or_default();
    let key = |typed| {
        let (code, modifiers) = match typed {
            '\r' => (KeyCode::Enter, KeyModifiers::NONE),
            '\x7f' => (KeyCode::Backspace, KeyModifiers::NONE),
            '\x01'..='\x1a' => (KeyCode::Char(char::from(typed as u8 | 0x60)), KeyModifiers::CONTROL),
            other if other.is_control() || other == char::REPLACEMENT_CHARACTER => return None,
            other => (KeyCode::Char(other), KeyModifiers::NONE),
        };
        Some(KeyEvent::new(code, modifiers))
    };
    String::from_utf8_lossy(typed).chars().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_becomes_keys_up_to_a_sequence() {
        let codes = |typed: &[u8]| keys(typed).iter().map(|key| key.code).collect::<Vec<_>>();
        assert_eq!(codes("ä1\r".as_bytes()), [KeyCode::Char('ä'), KeyCode::Char('1'), KeyCode::Enter]);
        assert_eq!(codes(b"a\x1b[?62;4"), [KeyCode::Char('a')]);
        assert_eq!(codes(b"\x7f\xff\0"), [KeyCode::Backspace]);
        assert_eq!(keys(b"\x03"), [KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)]);
    }
}
