//! PURE: verdicts line by line, for commands that examine something: as text for a person, as JSON for a script.
//! Knows nothing of what is examined.

use serde::Serialize;
use std::fmt::Write as _;

/// What every terminal has.
const WIDTH: usize = 80;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// A call will suffer.
    Warn,
    /// Does not work.
    Fail,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What was looked at.
    pub area: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was seen.
    pub text: String,
    /// What it means, or what to do.
    pub why: String,
}

impl Line {
    /// A verdict.
    pub fn new(area: &'static str, level: Level, text: impl Into<String>, why: impl Into<String>) -> Self {
        Self { area, level, text: text.into(), why: why.into() }
    }

    /// One or two lines for a person.
    pub fn text(&self) -> String {
        let mut out = format!("{:<4} {:<11} {}\n", self.level.word(), self.area, self.text);
        if !self.why.is_empty() {
            let _ = writeln!(out, "{:17}{}", "", self.why);
        }
        out
    }
}

/// All verdicts as one JSON object.
pub fn json(lines: &[Line]) -> String {
    #[derive(Serialize)]
    struct Whole<'a> {
        v: u8,
        lines: &'a [Line],
    }
    serde_json::to_string(&Whole { v: 1, lines }).unwrap_or_default() + "\n"
}

/// Words in lines of at most 80 columns; `label` stands before the first, the others are indented.
pub fn wrapped(text: &str, indent: usize, label: &str) -> String {
    let mut out = format!("{label:<indent$}");
    let mut column = out.chars().count();
    let mut empty = true;
    for word in text.split_whitespace() {
        let length = visible(word);
        if !empty && column + 1 + length > WIDTH {
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
            empty = true;
        }
        if !empty {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += length;
        empty = false;
    }
    out.push('\n');
    out
}

/// Columns that a word takes; the colours around a headline take none.
fn visible(word: &str) -> usize {
    let mut inside = false;
    let mut count = 0;
    for c in word.chars() {
        match c {
            '\x1b' => inside = true,
            'm' if inside => inside = false,
            _ if inside => {}
            _ => count += 1,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_its_level_first_and_what_to_do_below() {
        let line = Line::new("speaker", Level::Fail, "there is none", "Plug one in.");
        assert_eq!(line.text(), "fail speaker     there is none\n                 Plug one in.\n");
        assert_eq!(
            json(&[line]),
            "{\"v\":1,\"lines\":[{\"area\":\"speaker\",\"level\":\"fail\",\"text\":\"there is none\",\"why\":\"Plug one in.\"}]}\n"
        );
    }

    #[test]
    fn long_texts_wrap_beside_their_label_and_colours_take_no_room() {
        let text = wrapped(&"word ".repeat(30), 4, "a:");
        assert!(text.starts_with("a:  word word") && text.lines().all(|line| line.len() <= 80), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")), "{text}");
        let colored = wrapped(&format!("\x1b[1;32m{}\x1b[0m", "x".repeat(80)), 0, "");
        assert_eq!(colored.lines().count(), 1);
    }
}
