//! What a check found, as text. Pure.

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

/// One verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What was tested.
    pub name: StepName,
    /// How it came out.
    pub ok: bool,
    /// How long it took.
    pub ms: Option<f64>,
    /// One sentence: what was found, or what to do.
    pub text: String,
}

impl Step {
    pub(super) fn done(name: StepName, ms: f64, text: impl Into<String>) -> Self {
        Self { name, ok: true, ms: Some(ms), text: text.into() }
    }

    pub(super) fn failed(name: StepName, text: impl Into<String>) -> Self {
        Self { name, ok: false, ms: None, text: text.into() }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.ok { "ok  " } else { "FAIL" };
        write!(f, "{mark} {:<9}", self.name.as_str())?;
        match self.ms {
            Some(ms) => write!(f, "{ms:>7.1} ms  ")?,
            None => write!(f, "{:12}", "")?,
        }
        f.write_str(&self.text)
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
        let ok = |name| self.steps.iter().any(|step| step.name == name && step.ok);
        let reached = [StepName::Udp, StepName::Tcp, StepName::Tls].into_iter().any(ok);
        reached && [StepName::Auth, StepName::Allocate, StepName::Echo].into_iter().all(ok)
    }

    /// One sentence over all.
    pub fn summary(&self) -> &'static str {
        match (self.works(), self.outside) {
            (true, true) => "The relay works.",
            (true, false) => {
                "The relay works, as seen from its own network. Whether the world reaches it can only be \
                 tested from elsewhere: run this check there."
            }
            (false, _) => "The relay does not work.",
        }
    }
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
                .map(|&name| Step { name, ok: Some(name) != bad, ms: None, text: String::new() })
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
        assert_eq!(Step::failed(StepName::Auth, "no").to_string(), "FAIL auth                 no");
    }
}
