//! The program as a process that ends with the test.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A directory of this test's own, empty.
pub(crate) fn state(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// The program with its own state.
pub(crate) fn program(state: &Path, words: &[&str]) -> Command {
    program_in(&[], state, words)
}

/// The same behind a command that runs it, such as `ip netns exec NAME`.
pub(crate) fn program_in(before: &[&str], state: &Path, words: &[&str]) -> Command {
    let mut all = before.iter().copied().chain([env!("CARGO_BIN_EXE_p2pcall-relay")]);
    let mut command = Command::new(all.next().unwrap());
    command.args(all).args(words).arg("--state-dir").arg(state).stdin(Stdio::null());
    command
}

/// A relay that has said it is ready.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
    /// What it printed so far; the last line is the one that says ready.
    pub(crate) printed: Vec<String>,
}

impl Running {
    pub(crate) fn start(state: &Path, words: &[&str]) -> Self {
        Self::start_in(&[], state, words)
    }

    pub(crate) fn start_in(before: &[&str], state: &Path, words: &[&str]) -> Self {
        // Into a file: nobody has to read the log lest the relay should wait.
        let log = state.join("log");
        let mut command = program_in(before, state, words);
        let file = std::fs::File::create(&log).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let mut printed = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            printed.push(line.unwrap());
            if printed.last().is_some_and(|line| line.starts_with("ready ")) {
                break;
            }
        }
        let running = Self { child, log, printed };
        assert!(running.ready().starts_with("ready "), "it did not start: {}", running.log());
        running
    }

    /// The line that says what it serves.
    pub(crate) fn ready(&self) -> &str {
        self.printed.last().map_or("", String::as_str)
    }

    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Asks it to end; its exit code and its log.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let code = self.child.wait().unwrap().code();
        (code, self.log())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ = self.child.wait();
    }
}
