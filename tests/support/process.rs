//! A p2pcall process whose events are read line by line, for tests with real ends.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A running p2pcall with `--json`.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Nobody reads its standard output any more.
    unread: Arc<AtomicBool>,
    /// Every event so far.
    pub(crate) events: Vec<Value>,
}

impl Process {
    /// Starts `p2pcall ARGS --json` with an empty configuration.
    pub(crate) fn start<S: AsRef<str>>(args: &[S]) -> Self {
        Self::start_in(&[], args)
    }

    /// The same with some variables in its environment.
    pub(crate) fn start_with<S: AsRef<str>>(
        environment: &[(&str, std::path::PathBuf)],
        before: &[&str],
        args: &[S],
    ) -> Self {
        Self::spawn(environment, before, args)
    }

    /// The same behind a command that runs it, such as `ip netns exec NAME`.
    pub(crate) fn start_in<S: AsRef<str>>(before: &[&str], args: &[S]) -> Self {
        Self::spawn(&[], before, args)
    }

    fn spawn<S: AsRef<str>>(environment: &[(&str, std::path::PathBuf)], before: &[&str], args: &[S]) -> Self {
        let binary = env!("CARGO_BIN_EXE_p2pcall");
        let mut words: Vec<&str> = before.to_vec();
        words.push(binary);
        words.extend(args.iter().map(AsRef::as_ref));
        words.push("--json");
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env("XDG_CONFIG_HOME", "/proc/none").env_remove("P2PCALL_NAME");
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("p2pcall starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        let unread = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&unread);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
                while stopped.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        });
        let input = child.stdin.take();
        Self { child, input, lines, unread, events: Vec::new() }
    }

    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("still open");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("it reads");
    }

    /// Leaves what it writes unread from now on.
    pub(crate) fn stop_reading(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// Ends its standard input.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits for an event that fits; those before it are kept in `events`.
    ///
    /// # Panics
    /// When it does not come in time, with all that came instead.
    pub(crate) fn wait_for(&mut self, what: &str, limit: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let event: Value =
                        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
                    self.events.push(event.clone());
                    if fits(&event) {
                        return event;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no {what} within {limit:?}; instead:\n{}", self.story())
                }
                Err(RecvTimeoutError::Disconnected) => panic!("it ended before {what}:\n{}", self.story()),
            }
        }
    }

    /// Takes what has come by now, without waiting.
    pub(crate) fn take_what_came(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.events.extend(serde_json::from_str::<Value>(&line));
        }
    }

    /// Waits for a state.
    pub(crate) fn wait_for_state(&mut self, state: &str, limit: Duration) -> Value {
        self.wait_for(state, limit, |event| event["event"] == "state" && event["state"] == state)
    }

    /// Waits for a code.
    pub(crate) fn wait_for_code(&mut self, limit: Duration) -> String {
        let event = self.wait_for("code", limit, |event| event["event"] == "code");
        event["code"].as_str().expect("a text").to_owned()
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// When it does not end in time.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(200)) {
                    self.events.extend(serde_json::from_str::<Value>(&line));
                }
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.story());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until it tells of sound from the friend, so many seconds after what it told last.
    pub(crate) fn hears(&mut self, seconds: f64, limit: Duration) {
        let time = |event: &Value| event["t"].as_f64().unwrap_or_default();
        self.take_what_came();
        let then = self.events.last().map_or(0.0, time) + seconds;
        self.wait_for("sound", limit, |event| is_heard(event) && time(event) >= then);
    }

    /// The exit code.
    pub(crate) fn exit(&mut self, limit: Duration) -> i32 {
        self.wait(limit).code().unwrap_or(-1)
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }

    /// What it has told last of this, or will tell.
    pub(crate) fn latest(&mut self, kind: &str, limit: Duration) -> Value {
        let known = self.of_kind(kind).last().cloned();
        known.unwrap_or_else(|| self.wait_for(kind, limit, |event| event["event"] == kind))
    }

    /// The events of one kind.
    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |event| event["event"] == kind)
    }

    fn story(&self) -> String {
        self.events.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }
}

/// Whether these are statistics of a second in which sound came from the friend.
pub(crate) fn is_heard(event: &Value) -> bool {
    event["event"] == "stats" && event["received"]["audio_kbps"].as_u64().is_some_and(|rate| rate > 0)
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command says that ends by itself, `p2pcall ARGS --json`.
pub(crate) fn said(args: &[&str]) -> Value {
    let output =
        Command::new(env!("CARGO_BIN_EXE_p2pcall")).args(args).arg("--json").output().expect("it runs");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Options of a call that touches no device and no server.
pub(crate) const QUIET: [&str; 7] =
    ["--no-servers", "--video", "none", "--audio", "none", "--speaker", "none"];

/// An offer and its code.
pub(crate) fn offer(more: &[&str]) -> (Process, String) {
    let args: Vec<&str> = ["offer"].iter().chain(&QUIET).chain(more).copied().collect();
    let mut process = Process::start(&args);
    let code = process.wait_for_code(Duration::from_secs(10));
    (process, code)
}

/// An answer to a code.
pub(crate) fn answer(code: &str, more: &[&str]) -> Process {
    let args: Vec<&str> = ["answer", code].iter().chain(&QUIET).chain(more).copied().collect();
    Process::start(&args)
}

/// A connected pair.
pub(crate) fn connected(more: &[&str]) -> (Process, Process) {
    let (mut alice, code) = offer(more);
    let mut bob = answer(&code, more);
    for end in [&mut alice, &mut bob] {
        end.wait_for_state("connected", Duration::from_secs(15));
    }
    (alice, bob)
}
