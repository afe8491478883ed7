//! One end of a call: a p2pcall process without a screen, each of its events with the moment it was read.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// What went wrong, for whoever reads the table.
pub(crate) type Trouble = String;

/// The release binary that cargo built beside the benchmark.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_p2pcall");
/// Nothing that is measured takes so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often an ending process is looked at.
const STEP: Duration = Duration::from_millis(5);

/// A running p2pcall with `--json`.
pub(crate) struct End {
    child: Child,
    input: ChildStdin,
    events: Receiver<(Duration, Value)>,
    seen: Vec<(Duration, Value)>,
}

impl End {
    /// Starts `p2pcall ARGS --json` with an empty configuration. Times count from here.
    pub(crate) fn start<S: AsRef<str>>(args: &[S]) -> Result<Self, Trouble> {
        Self::start_with(args, &[])
    }

    /// The same, with this in its environment.
    pub(crate) fn start_with<S: AsRef<str>>(
        args: &[S],
        environment: &[(&str, PathBuf)],
    ) -> Result<Self, Trouble> {
        let mut command = Command::new(BINARY);
        command.args(args.iter().map(AsRef::as_ref)).arg("--json").env("XDG_CONFIG_HOME", "/nonexistent");
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("{BINARY} does not start: {error}"))?;
        let (Some(output), Some(input)) = (child.stdout.take(), child.stdin.take()) else {
            return Err("a process without pipes".to_owned());
        };
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let at = started.elapsed();
                if serde_json::from_str(&line).is_ok_and(|event| sender.send((at, event)).is_err()) {
                    return;
                }
            }
        });
        Ok(Self { child, input, events, seen: Vec::new() })
    }

    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The first event that has these texts in its fields, now or later, and when it came.
    pub(crate) fn event(&mut self, fields: &[(&str, &str)]) -> Result<(Duration, Value), Trouble> {
        let fits = |event: &Value| {
            fields.iter().all(|(name, text)| event.get(name).and_then(Value::as_str) == Some(text))
        };
        if let Some(found) = self.seen.iter().find(|(_, event)| fits(event)) {
            return Ok(found.clone());
        }
        let deadline = Instant::now() + PATIENCE;
        while let Ok((at, event)) =
            self.events.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.seen.push((at, event.clone()));
            if fits(&event) {
                return Ok((at, event));
            }
        }
        let story: Vec<String> = self.seen.iter().map(|(at, event)| format!("{at:?} {event}")).collect();
        Err(format!("{fields:?} did not come; instead:\n{}", story.join("\n")))
    }

    /// The last event of this kind that came by now; those before it are forgotten.
    pub(crate) fn latest(&mut self, kind: &str) -> Option<Value> {
        self.seen.extend(self.events.try_iter());
        let is = |(_, event): &(Duration, Value)| event.get("event").and_then(Value::as_str) == Some(kind);
        let found = self.seen.iter().rfind(|event| is(event)).map(|(_, event)| event.clone());
        self.seen.retain(|event| !is(event));
        found
    }

    /// Waits for the code.
    pub(crate) fn code(&mut self) -> Result<(Duration, String), Trouble> {
        let (at, event) = self.event(&[("event", "code")])?;
        let code = event.get("code").and_then(Value::as_str);
        code.map(|code| (at, code.to_owned())).ok_or_else(|| format!("a code event without a code: {event}"))
    }

    /// Waits until the call is connected.
    pub(crate) fn connected(&mut self) -> Result<Duration, Trouble> {
        Ok(self.event(&[("event", "state"), ("state", "connected")])?.0)
    }

    /// Waits for the first remote `audio` or `video`.
    pub(crate) fn first(&mut self, kind: &str) -> Result<Duration, Trouble> {
        Ok(self.event(&[("event", "media"), ("kind", kind)])?.0)
    }

    /// Hangs up, and waits until the process is gone.
    pub(crate) fn hang_up(mut self) -> Result<(), Trouble> {
        // One that ended already needs no telling.
        let _ = writeln!(self.input, "/hangup");
        await_end(&mut self.child)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a process that was told to end.
pub(crate) fn await_end(child: &mut Child) -> Result<(), Trouble> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => std::thread::sleep(STEP),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("a process does not end".to_owned())
}
