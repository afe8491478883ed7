//! The full screen on a real terminal: tmux plays it, types and reads the screen back; where the terminal's own answers
//! count, the test is the terminal.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::panic,
    reason = "a test fails by panicking, waits by the clock, and says what it skips"
)]

#[path = "support/pty.rs"]
mod pty;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A call between two ends in one process takes some seconds on a slow machine.
const SOON: Duration = Duration::from_secs(30);

/// A shell in a terminal of its own.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// `None`, said aloud, without tmux.
    fn open(name: &str) -> Option<Self> {
        let socket = format!("p2pcall-{name}-{}", std::process::id());
        let terminal = Self { socket };
        let mut command = Command::new("tmux");
        command.args([
            "-u",
            "-L",
            &terminal.socket,
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "100",
            "-y",
            "30",
        ]);
        command.args(["bash", "--norc", "--noprofile", "-i"]);
        command
            .env("LANG", "C.UTF-8")
            .env("COLORTERM", "truecolor")
            .env("XDG_CONFIG_HOME", "/proc/none")
            .env("PS1", "$ ");
        if !command.status().is_ok_and(|status| status.success()) {
            println!("SKIPPED: tmux is not installed; scripts/test installs it");
            return None;
        }
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux").args(["-u", "-L", &self.socket]).args(args).output().expect("tmux");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types a line into the shell.
    fn run(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen shows a text.
    fn wait_for(&self, text: &str) -> String {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(began.elapsed() < SOON, "no {text:?} on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The terminal's settings, as the shell sees them.
    fn settings(&self, mark: &str) -> String {
        self.run(&format!("clear; stty -a; echo {mark}-'done'"));
        let screen = self.wait_for(&format!("{mark}-done"));
        let lines = screen
            .lines()
            .filter(|line| line.contains("echo") || line.contains("icanon") || line.contains("opost"));
        lines.filter(|line| !line.contains("stty")).collect::<Vec<_>>().join("\n")
    }

    fn demo(&self, options: &str) {
        self.run(&format!("clear; {} demo {options}; echo exit-$?", env!("CARGO_BIN_EXE_p2pcall")));
        self.wait_for("RTT");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

const QUIET: &str = "--speaker none --size 160x90";

#[test]
fn a_call_on_the_full_screen_lives_through_resizes_and_leaves_the_terminal_as_it_was() {
    let Some(terminal) = Terminal::open("screen") else { return };
    let before = terminal.settings("before");
    assert!(before.contains("icanon"), "{before}");
    terminal.demo(QUIET);
    for (columns, rows) in [("40", "12"), ("300", "100"), ("20", "5"), ("81", "24"), ("100", "30")] {
        terminal.tmux(&["resize-window", "-x", columns, "-y", rows]);
        std::thread::sleep(Duration::from_millis(150));
    }
    terminal.key("?");
    terminal.wait_for("microphone off or on");
    terminal.key("Escape");
    terminal.wait_for("H.264");
    terminal.key("q");
    terminal.wait_for("Hang up the call?");
    terminal.key("y");
    terminal.wait_for("exit-0");
    assert_eq!(terminal.settings("after"), before);
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let Some(terminal) = Terminal::open("signal") else { return };
    let before = terminal.settings("before");
    terminal.demo(QUIET);
    let pane = terminal.tmux(&["display-message", "-p", "#{pane_pid}"]);
    let killed = Command::new("pkill").args(["-TERM", "-P", pane.trim(), "p2pcall"]).status();
    assert!(killed.expect("pkill").success());
    terminal.wait_for("exit-");
    assert_eq!(terminal.settings("after"), before);
}

#[test]
fn ctrl_z_suspends_and_fg_brings_the_call_back() {
    let Some(terminal) = Terminal::open("stop") else { return };
    let before = terminal.settings("before");
    terminal.run(&format!("clear; {} demo {QUIET}", env!("CARGO_BIN_EXE_p2pcall")));
    terminal.wait_for("RTT");
    terminal.key("C-z");
    terminal.wait_for("Stopped");
    assert_eq!(terminal.settings("meanwhile"), before);
    terminal.run("clear; fg");
    terminal.wait_for("RTT");
    terminal.key("q");
    terminal.wait_for("Hang up the call?");
    terminal.key("y");
    terminal.wait_for("hung up");
    assert_eq!(terminal.settings("after"), before);
}

#[test]
fn without_a_terminal_the_full_screen_says_so() {
    let output = Command::new(env!("CARGO_BIN_EXE_p2pcall")).args(["demo", "--speaker", "none"]).output();
    let output = output.expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && words.contains("--headless"), "{words}");
}

/// A terminal that the test plays: what it is sent, and what it says.
struct Played {
    child: std::process::Child,
    sent: mpsc::Receiver<Vec<u8>>,
    seen: Vec<u8>,
    keyboard: File,
}

impl Played {
    fn demo() -> Self {
        let (ours, theirs) = pty::pseudo_terminal((100, 30)).expect("a pseudo-terminal");
        let mut command = pty::command_on(&theirs, env!("CARGO_BIN_EXE_p2pcall")).expect("its handles");
        let child = command.arg("demo").args(QUIET.split(' ')).spawn().expect("setsid starts");
        let mut output = File::from(ours);
        let keyboard = output.try_clone().expect("a handle");
        let (sender, sent) = mpsc::channel();
        std::thread::spawn(move || {
            let mut piece = vec![0; 65_536];
            while let Ok(count @ 1..) = output.read(&mut piece) {
                if sender.send(piece.get(..count).unwrap_or_default().to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, sent, seen: Vec::new(), keyboard }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.keyboard.write_all(bytes).expect("it reads");
    }

    fn await_sent(&mut self, what: &[u8]) {
        let deadline = Instant::now() + SOON;
        while !self.seen.windows(what.len()).any(|window| window == what) {
            let left = deadline.saturating_duration_since(Instant::now());
            self.seen.extend(self.sent.recv_timeout(left).unwrap_or_else(|error| {
                panic!("no {} in {} bytes: {error}", what.escape_ascii(), self.seen.len())
            }));
        }
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_terminal_that_says_it_takes_pixels_gets_them_and_what_was_typed_meanwhile_is_not_lost() {
    let end = b"\x1b[c";
    for (answers, pixels) in [
        (&b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c"[..], &b"\x1b_Ga=t,f=24"[..]),
        // Sixels are as large as they are: where the cells' size is not known there are none.
        (b"\x1b[?62;4;6c", "\u{2580}".as_bytes()),
    ] {
        let mut terminal = Played::demo();
        terminal.await_sent(end);
        terminal.say(&[b"?", answers].concat());
        terminal.await_sent(pixels);
        terminal.await_sent(b"microphone");
        // Back from the help, then out.
        terminal.say(b"qq");
        terminal.await_sent(b"Hang up");
        terminal.say(b"y");
        assert!(terminal.child.wait().expect("it ends").success());
    }
}

#[test]
fn a_signal_while_the_terminal_owes_an_answer_gives_it_back() {
    let mut terminal = Played::demo();
    terminal.await_sent(b"\x1b[c");
    std::thread::sleep(Duration::from_millis(200));
    let id = terminal.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
    terminal.await_sent(b"\x1b[?1049l");
    assert_eq!(terminal.child.wait().expect("it ends").signal(), None);
}
