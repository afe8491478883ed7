//! Keeps libraries that print to standard error (ALSA, JACK, OpenH264) off the screen: points file
//! descriptor 2 somewhere else for as long as a guard lives. Knows nothing of who prints.
//!
//! Guards of several threads may overlap: the first one in saves what descriptor 2 was, the last one out
//! restores it. While one lives, what this program itself writes to standard error goes elsewhere too.

use std::fs::File;

/// Standard error goes elsewhere while this lives.
#[derive(Debug)]
#[must_use = "standard error is back when this is dropped"]
pub struct Quiet(());

/// Discards standard error. Does nothing but count where it is pointed elsewhere already. `None` when the
/// platform cannot.
pub fn discard_stderr() -> Option<Quiet> {
    imp::begin(None).then_some(Quiet(()))
}

/// Sends standard error to a file (the log), for the time of a full screen. `None` when the platform cannot.
pub fn stderr_to(file: &File) -> Option<Quiet> {
    imp::begin(Some(file)).then_some(Quiet(()))
}

impl Drop for Quiet {
    fn drop(&mut self) {
        imp::end();
    }
}

#[cfg(unix)]
mod imp {
    use rustix::stdio::{dup2_stderr, stderr};
    use std::fs::{File, OpenOptions};
    use std::os::fd::OwnedFd;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    struct State {
        guards: usize,
        /// What descriptor 2 was before the first guard.
        saved: Option<OwnedFd>,
    }

    static STATE: Mutex<State> = Mutex::new(State { guards: 0, saved: None });

    fn state() -> MutexGuard<'static, State> {
        STATE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a guard; false when there is none to add.
    pub(super) fn begin(target: Option<&File>) -> bool {
        let mut state = state();
        if state.guards > 0 && target.is_none() {
            state.guards += 1;
            return true;
        }
        if state.guards == 0 {
            state.saved = rustix::io::dup(stderr()).ok();
        }
        let pointed = match target {
            Some(file) => dup2_stderr(file).is_ok(),
            None => {
                OpenOptions::new().write(true).open("/dev/null").is_ok_and(|null| dup2_stderr(null).is_ok())
            }
        };
        if pointed {
            state.guards += 1;
        }
        pointed
    }

    /// Removes a guard; the last one restores standard error.
    pub(super) fn end() {
        let mut state = state();
        state.guards = state.guards.saturating_sub(1);
        if state.guards == 0
            && let Some(saved) = state.saved.take()
        {
            // Should this fail there is no place left to say so.
            let _failed = dup2_stderr(saved);
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use std::fs::File;

    pub(super) fn begin(_target: Option<&File>) -> bool {
        false
    }

    pub(super) fn end() {}
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};

    #[test]
    fn what_is_printed_meanwhile_goes_to_the_file_and_afterwards_to_standard_error_again() {
        let path = std::env::temp_dir().join(format!("p2pcall-quiet-{}", std::process::id()));
        let mut file =
            File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
        let outer = stderr_to(&file).unwrap();
        let inner = discard_stderr().unwrap();
        std::io::stderr().write_all(b"inside\n").unwrap();
        drop(outer);
        drop(inner);
        std::io::stderr().write_all(b"").unwrap();
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(text.contains("inside"), "{text}");
    }
}
