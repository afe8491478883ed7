//! What a check found, as text and as JSON. Pure, but for whom it writes to.

use std::io;

use serde_json::{Value, json};

use crate::link::Transport;

/// What was tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepName {
    /// The name has an address.
    Resolve,
    /// UDP reaches it.
    Udp,
    /// TCP reaches it.
    Tcp,
    /// TLS reaches it.
    Tls,
    /// The login is right.
    Auth,
    /// It gives an allocation.
    Allocate,
    /// Data comes back through it.
    Echo,
    /// A friend without an account can ring.
    Doorbell,
    /// A friend without an account can log in for one call.
    Guest,
}

impl StepName {
    /// The name in JSON and on the screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Allocate => "allocate",
            Self::Echo => "echo",
            Self::Doorbell => "doorbell",
            Self::Guest => "guest",
        }
    }

    pub(super) const fn of(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Tcp => Self::Tcp,
            Transport::Tls => Self::Tls,
        }
    }
}

/// How a step came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Not so, but a call can do without it.
    Note,
    /// Does not work.
    Fail,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Fail => "fail",
        }
    }
}

/// One verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What was tested.
    pub name: StepName,
    /// How it came out.
    pub level: Level,
    /// How long it took.
    pub ms: Option<f64>,
    /// One sentence: what was found, or what to do.
    pub text: String,
}

impl Step {
    pub(super) fn done(name: StepName, ms: f64, text: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, ms: Some(ms), text: text.into() }
    }

    pub(super) fn noted(name: StepName, text: impl Into<String>) -> Self {
        Self { name, level: Level::Note, ms: None, text: text.into() }
    }

    pub(super) fn failed(name: StepName, text: impl Into<String>) -> Self {
        Self { name, level: Level::Fail, ms: None, text: text.into() }
    }

    /// Whether what was tested works.
    pub fn ok(&self) -> bool {
        self.level == Level::Ok
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name.as_str(),
            "ok": self.ok(),
            "level": self.level.as_str(),
            "ms": self.ms.map(rounded),
            "text": self.text,
        })
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<4} {:<9}", self.level.as_str(), self.name.as_str())?;
        match self.ms {
            Some(ms) => write!(f, "{ms:>7.1} ms  ")?,
            None => write!(f, "{:12}", "")?,
        }
        f.write_str(&self.text)
    }
}

/// What a check tells while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'s> {
    /// This is tested now.
    Begins(StepName),
    /// This came of it.
    Done(&'s Step),
}

impl Progress<'_> {
    /// Writes one line a verdict. On a terminal what is being tested stands in the line until its verdict comes.
    pub fn write(&self, out: &mut impl io::Write, terminal: bool) -> io::Result<()> {
        match (self, terminal) {
            (Self::Begins(name), true) => write!(out, "     {} …", name.as_str())?,
            (Self::Begins(_), false) => {}
            (Self::Done(step), true) => writeln!(out, "\r\x1b[K{step}")?,
            (Self::Done(step), false) => writeln!(out, "{step}")?,
        }
        out.flush()
    }
}

/// All verdicts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// In the order they were made.
    pub steps: Vec<Step>,
    /// Fraction of echoes that did not come back.
    pub loss: Option<f64>,
    /// Mean difference of consecutive round-trip times.
    pub jitter_ms: Option<f64>,
    /// Whether it was tested from outside the relay's own network.
    pub outside: bool,
}

impl Report {
    /// Whether calls will get through: one transport works, and so do login, allocation and echo.
    pub fn works(&self) -> bool {
        let ok = |name| self.came_out(name, Level::Ok);
        let reached = [StepName::Udp, StepName::Tcp, StepName::Tls].into_iter().any(ok);
        reached && [StepName::Auth, StepName::Allocate, StepName::Echo].into_iter().all(ok)
    }

    fn came_out(&self, name: StepName, level: Level) -> bool {
        self.steps.iter().any(|step| step.name == name && step.level == level)
    }

    /// All in a sentence or two.
    pub fn summary(&self) -> &'static str {
        match (self.works(), self.outside) {
            (true, true) if self.came_out(StepName::Udp, Level::Fail) => {
                "The relay works, but not over UDP: calls through it stumble where packets are lost."
            }
            (true, true) => "The relay works.",
            (true, false) => {
                "The relay works, as seen from its own network. Whether the world reaches it can only be \
                 tested from elsewhere: run this check there."
            }
            (false, _) => "The relay does not work.",
        }
    }

    /// As `relay check --json` prints it.
    pub fn json(&self) -> Value {
        json!({
            "v": 1,
            "works": self.works(),
            "summary": self.summary(),
            "steps": self.steps.iter().map(Step::json).collect::<Vec<_>>(),
            "loss": self.loss,
            "jitter_ms": self.jitter_ms.map(rounded),
            "outside": self.outside,
        })
    }
}

/// To microseconds.
fn rounded(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_works_by_one_transport_but_not_without_an_echo() {
        let all = [StepName::Tcp, StepName::Auth, StepName::Allocate, StepName::Echo];
        let report = |bad: Option<StepName>| Report {
            steps: all
                .iter()
                .map(|&name| match Some(name) == bad {
                    true => Step::failed(name, ""),
                    false => Step::done(name, 1.0, ""),
                })
                .collect(),
            ..Report::default()
        };
        assert!(report(None).works());
        for name in all {
            assert!(!report(Some(name)).works(), "{name:?}");
        }
    }

    #[test]
    fn a_step_is_one_line() {
        let step = Step::done(StepName::Udp, 12.34, "answers");
        assert_eq!(step.to_string(), "ok   udp         12.3 ms  answers");
        assert_eq!(Step::failed(StepName::Auth, "no").to_string(), "fail auth                 no");
        assert_eq!(Step::noted(StepName::Guest, "no").to_string(), "note guest                no");
    }

    #[test]
    fn on_a_terminal_a_verdict_takes_the_place_of_what_was_under_way() {
        let step = Step::failed(StepName::Udp, "no");
        let written = |terminal| {
            let mut out = Vec::new();
            for progress in [Progress::Begins(StepName::Udp), Progress::Done(&step)] {
                progress.write(&mut out, terminal).unwrap();
            }
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(true), format!("     udp …\r\x1b[K{step}\n"));
        assert_eq!(written(false), format!("{step}\n"));
    }

    #[test]
    fn a_note_is_neither_ok_nor_a_failure_in_json() {
        let report = Report { steps: vec![Step::noted(StepName::Doorbell, "no")], ..Report::default() };
        let json = report.json();
        assert_eq!((&json["v"], &json["outside"], &json["loss"]), (&json!(1), &json!(false), &Value::Null));
        let step = json!({ "name": "doorbell", "ok": false, "level": "note", "ms": null, "text": "no" });
        assert_eq!(json["steps"], json!([step]));
    }
}
