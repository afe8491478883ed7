//! The report for a person: 80 columns, colour only as an addition.

use super::{Report, Verdict};
use crate::report::{Level, Line, wrapped};

/// Level and area before each line's text.
const INDENT: usize = 17;

/// How to write it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Levels in colour.
    pub color: bool,
    /// How each line was found out.
    pub explain: bool,
}

impl Report {
    /// The verdict, the lines, what to do.
    pub fn to_text(&self, style: Style) -> String {
        let mut out = wrapped(&self.headline(style), 0, "");
        if let Some(prediction) = &self.prediction {
            out += &wrapped(&format!("With this friend expect {}", prediction.sentence()), 0, "");
        }
        out.push('\n');
        for line in &self.lines {
            out += &one(line, style);
        }
        out += "\nWhat to do:\n";
        for (number, advice) in self.advice.iter().enumerate() {
            out += &wrapped(advice, 3, &format!("{}. ", number + 1));
        }
        out
    }

    /// The same with addresses and names removed, to show to strangers.
    pub fn to_public_text(&self) -> String {
        let system = format!("p2pcall {} on {}\n", env!("CARGO_PKG_VERSION"), std::env::consts::OS);
        let text = self.to_text(Style { color: false, explain: false });
        system + &super::redact::redact(&text, &self.facts)
    }

    fn headline(&self, style: Style) -> String {
        let color = match self.verdict {
            Verdict::Direct | Verdict::DirectIpv6 => "32",
            Verdict::Relay => "33",
            Verdict::RelayMissing | Verdict::Offline => "31",
        };
        if style.color { format!("\x1b[1;{color}m{}\x1b[0m", self.summary) } else { self.summary.clone() }
    }
}

fn one(line: &Line, style: Style) -> String {
    let (word, color) = match line.level {
        Level::Ok => ("ok", "32"),
        Level::Note => ("note", "36"),
        Level::Warn => ("warn", "33"),
        Level::Fail => ("fail", "31"),
    };
    let label = format!("{word:<4} {:<12}", line.area);
    let mut text = wrapped(&line.text, INDENT, &label);
    if style.color {
        text = text.replacen(word, &format!("\x1b[{color}m{word}\x1b[0m"), 1);
    }
    if style.explain && !line.why.is_empty() {
        text += &wrapped(&line.why, INDENT + 2, "");
    }
    text
}
