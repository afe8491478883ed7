//! PURE: a line of standard input -> a command. A code may be wrapped over several lines.

use crate::call::event::{Command, Notice};

/// Reads commands line by line.
#[derive(Debug, Default)]
pub struct Parser {
    /// Lines of a code that is not whole yet.
    pending: String,
}

/// A code wrapped over more lines than this is not a code.
const MAX_PENDING: usize = 256 * 1024;

impl Parser {
    /// Takes one line; `None`: nothing to do (an empty line, or a code that goes on).
    pub fn line(&mut self, line: &str) -> Result<Option<Command>, Notice> {
        let line = line.trim();
        if line.is_empty() {
            self.pending.clear();
            return Ok(None);
        }
        if let Some(rest) = line.strip_prefix('/') {
            self.pending.clear();
            return command(rest).map(Some);
        }
        if self.pending.len() + line.len() > MAX_PENDING {
            self.pending.clear();
        }
        self.pending.push_str(line);
        self.pending.push('\n');
        Ok(Some(Command::Paste(self.pending.clone())))
    }
}

/// One `/command`, without its slash.
fn command(text: &str) -> Result<Command, Notice> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    match (word, rest) {
        ("mute", "") => Ok(Command::Mute(true)),
        ("unmute", "") => Ok(Command::Mute(false)),
        ("headphones", "on") => Ok(Command::Headphones(true)),
        ("headphones", "off") => Ok(Command::Headphones(false)),
        ("headphones", _) => {
            Err(notice("`/headphones` takes `on` or `off`.", "Type /headphones on, or /headphones off."))
        }
        ("video", "on") => Ok(Command::Video(true)),
        ("video", "off") => Ok(Command::Video(false)),
        ("video", _) => Err(notice("`/video` takes `on` or `off`.", "Type /video on, or /video off.")),
        ("say", "") => Err(notice("`/say` needs a text.", "Type /say and what to say.")),
        ("say", text) => Ok(Command::Say(text.into())),
        ("send", "") => Err(notice("`/send` needs a file's path.", "Type /send and the path.")),
        ("send", path) => Ok(Command::Send(path.into())),
        ("record", "on") => Ok(Command::Record { on: true, path: None }),
        ("record", "off") => Ok(Command::Record { on: false, path: None }),
        ("record", rest) => match rest.split_once(char::is_whitespace) {
            Some(("on", path)) => Ok(Command::Record { on: true, path: Some(path.trim().into()) }),
            _ => Err(notice(
                "`/record` takes `on`, with a path or without, or `off`.",
                "Type /record on, or /record off.",
            )),
        },
        ("verify", "") => Ok(Command::Verify),
        ("accept", "") => Ok(Command::Accept),
        ("refuse", "") => Ok(Command::Refuse),
        ("stats", "") => Ok(Command::Stats),
        ("hangup", "") => Ok(Command::Hangup),
        _ => Err(notice(
            &format!("`/{}` is not a command.", crate::call::channel::clean(text, 40)),
            "Commands: /mute /unmute /headphones on|off /video on|off /say TEXT /send PATH /record on [PATH]|off /verify /accept /refuse /stats /hangup",
        )),
    }
}

fn notice(message: &str, help: &str) -> Notice {
    Notice { code: "bad_command", message: message.into(), help: help.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_contract_is_understood() {
        let table = [
            ("/mute", Command::Mute(true)),
            ("/unmute", Command::Mute(false)),
            ("/headphones on", Command::Headphones(true)),
            ("/headphones off", Command::Headphones(false)),
            ("/video on", Command::Video(true)),
            ("  /video off\r\n", Command::Video(false)),
            ("/say  hello there ", Command::Say("hello there".into())),
            ("/send a b.txt", Command::Send("a b.txt".into())),
            ("/record on", Command::Record { on: true, path: None }),
            ("/record on  my call.mkv ", Command::Record { on: true, path: Some("my call.mkv".into()) }),
            ("/record off", Command::Record { on: false, path: None }),
            ("/verify", Command::Verify),
            ("/accept", Command::Accept),
            ("/refuse", Command::Refuse),
            ("/stats", Command::Stats),
            ("/hangup", Command::Hangup),
        ];
        for (line, command) in table {
            assert_eq!(Parser::default().line(line), Ok(Some(command)), "{line}");
        }
    }

    #[test]
    fn a_typo_is_answered_with_the_list() {
        for line in ["/mut", "/video", "/say", "/send", "/record", "/record maybe", "/hangup now"] {
            assert!(Parser::default().line(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_wrapped_code_grows_line_by_line() {
        let mut parser = Parser::default();
        assert_eq!(parser.line("> 531N-2G66"), Ok(Some(Command::Paste("> 531N-2G66\n".into()))));
        assert_eq!(parser.line("> 6DJ4-VQ7E"), Ok(Some(Command::Paste("> 531N-2G66\n> 6DJ4-VQ7E\n".into()))));
        assert_eq!(parser.line(""), Ok(None));
        assert_eq!(parser.line("x"), Ok(Some(Command::Paste("x\n".into()))));
    }
}
