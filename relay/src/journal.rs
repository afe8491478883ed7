//! The log: one line an event on standard error, as text or JSON. No secret gets here, and names were made
//! printable by the core.

use std::io::Write as _;

use serde_json::{Map, Value};

use crate::calendar::timestamp;
use crate::cli::LogFormat;
use crate::net::now;
use crate::server::Event;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Writes log lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Journal {
    format: LogFormat,
}

impl Journal {
    pub(crate) fn new(format: LogFormat) -> Self {
        Self { format }
    }

    /// Something about the relay as a whole.
    pub(crate) fn say(self, level: Level, message: &str) {
        self.write(level, message, &[]);
    }

    /// Something about one client.
    pub(crate) fn event(self, event: &Event) {
        match event {
            Event::Allocated { user, client, relayed } => {
                let fields = [
                    ("user", user.clone()),
                    ("client", client.to_string()),
                    ("relayed", relayed.to_string()),
                ];
                self.write(Level::Info, "allocated", &fields);
            }
            Event::Ended { user, client, reason, sent, received } => {
                let fields = [
                    ("user", user.clone()),
                    ("client", client.to_string()),
                    ("reason", format!("{reason:?}").to_lowercase()),
                    ("sent", sent.to_string()),
                    ("received", received.to_string()),
                ];
                self.write(Level::Info, "ended", &fields);
            }
            Event::Refused { user, client, code, reason } => {
                let fields = [
                    ("user", user.clone()),
                    ("client", client.to_string()),
                    ("code", code.to_string()),
                    ("reason", (*reason).to_owned()),
                ];
                self.write(Level::Warn, "refused", &fields);
            }
        }
    }

    fn write(self, level: Level, message: &str, fields: &[(&str, String)]) {
        let line = line(self.format, now().unix, level, message, fields);
        // If nobody reads the log there is nobody to tell.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

fn line(format: LogFormat, unix: u64, level: Level, message: &str, fields: &[(&str, String)]) -> String {
    let (time, level) = (timestamp(unix), level.name());
    match format {
        LogFormat::Text => {
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!(" {name}={value:?}")).collect();
            format!("{time} {level} {message}{}\n", fields.concat())
        }
        LogFormat::Json => {
            let head = [("time", time.as_str()), ("level", level), ("message", message)];
            let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
            let object: Map<_, _> = head
                .into_iter()
                .chain(fields)
                .map(|(name, value)| (name.to_owned(), Value::from(value)))
                .collect();
            format!("{}\n", Value::Object(object))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_in_both_formats() {
        let fields = [("user", "a\nb\"c".to_owned())];
        let text = line(LogFormat::Text, 0, Level::Warn, "refused", &fields);
        assert_eq!(text, "1970-01-01T00:00:00Z warn refused user=\"a\\nb\\\"c\"\n");
        let json = line(LogFormat::Json, 0, Level::Info, "allocated", &fields);
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((json.lines().count(), value["user"].as_str()), (1, Some("a\nb\"c")));
    }
}
