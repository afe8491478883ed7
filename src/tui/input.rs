//! A line being typed: its text, its cursor, and what the editing keys do to it. Knows no screen.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One line of text under the cursor, never longer than its limit and free of control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextInput {
    text: String,
    /// Bytes before the cursor, always at a character's boundary.
    cursor: usize,
    /// Characters at the most.
    limit: usize,
}

impl TextInput {
    /// An empty line that takes up to `limit` characters.
    pub fn new(limit: usize) -> Self {
        Self { text: String::new(), cursor: 0, limit }
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor.
    pub fn before_cursor(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    /// What stands from the cursor on.
    pub fn after_cursor(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }

    /// Empties the line and gives what was in it.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Puts text in at the cursor: control characters become spaces, what passes the limit is dropped.
    pub fn insert(&mut self, text: &str) {
        let room = self.limit.saturating_sub(self.text.chars().count());
        let text: String = text.chars().take(room).map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
    }

    /// Applies an editing key; false when it is none.
    pub fn edit(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if control => drop(self.text.drain(..std::mem::take(&mut self.cursor))),
            KeyCode::Char('w') if control => self.cut_back_to(self.word_start()),
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char('k') if control => self.text.truncate(self.cursor),
            KeyCode::Char(character) if !control && !key.modifiers.contains(KeyModifiers::ALT) => {
                self.insert(character.encode_utf8(&mut [0; 4]));
            }
            KeyCode::Backspace => self.cut_back_to(self.left()),
            KeyCode::Delete if self.cursor < self.text.len() => drop(self.text.remove(self.cursor)),
            KeyCode::Left => self.cursor = self.left(),
            KeyCode::Right => self.cursor += self.after_cursor().chars().next().map_or(0, char::len_utf8),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => return false,
        }
        true
    }

    fn left(&self) -> usize {
        self.cursor - self.before_cursor().chars().next_back().map_or(0, char::len_utf8)
    }

    fn word_start(&self) -> usize {
        self.before_cursor().trim_end().rfind(' ').map_or(0, |space| space + 1)
    }

    fn cut_back_to(&mut self, from: usize) {
        self.text.drain(from..self.cursor);
        self.cursor = from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(input: &mut TextInput, keys: &[(KeyCode, KeyModifiers)]) {
        for &(code, modifiers) in keys {
            input.edit(KeyEvent::new(code, modifiers));
        }
    }

    #[test]
    fn a_line_is_edited_as_in_a_shell() {
        let (plain, control) = (KeyModifiers::NONE, KeyModifiers::CONTROL);
        let mut line = TextInput::new(20);
        line.insert("grüße an alle");
        keys(&mut line, &[(KeyCode::Char('w'), control)]);
        assert_eq!(line.text(), "grüße an ");
        keys(&mut line, &[(KeyCode::Home, plain), (KeyCode::Right, plain), (KeyCode::Delete, plain)]);
        assert_eq!(line.text(), "güße an ");
        keys(&mut line, &[(KeyCode::Right, plain), (KeyCode::Backspace, plain)]);
        assert_eq!((line.text(), line.before_cursor()), ("gße an ", "g"));
        keys(&mut line, &[(KeyCode::End, plain), (KeyCode::Char('u'), control)]);
        assert_eq!(line.text(), "");
    }

    #[test]
    fn a_line_takes_no_more_than_its_limit() {
        let mut line = TextInput::new(5);
        line.insert("a\x1bb\ncdefg");
        assert_eq!(line.text(), "a b c");
    }

    proptest! {
        #[test]
        fn any_keys_in_any_order_are_survived(texts in proptest::collection::vec((0_u8..12, any::<char>()), 0..60)) {
            let mut line = TextInput::new(30);
            for (kind, character) in texts {
                let (code, modifiers) = match kind {
                    0 => (KeyCode::Backspace, KeyModifiers::NONE),
                    1 => (KeyCode::Delete, KeyModifiers::NONE),
                    2 => (KeyCode::Left, KeyModifiers::NONE),
                    3 => (KeyCode::Right, KeyModifiers::NONE),
                    4 => (KeyCode::Char('w'), KeyModifiers::CONTROL),
                    5 => (KeyCode::Home, KeyModifiers::NONE),
                    6 => (KeyCode::Char('k'), KeyModifiers::CONTROL),
                    _ => (KeyCode::Char(character), KeyModifiers::NONE),
                };
                line.edit(KeyEvent::new(code, modifiers));
                prop_assert!(line.text().chars().count() <= 30);
                prop_assert_eq!(format!("{}{}", line.before_cursor(), line.after_cursor()), line.text());
            }
        }
    }
}
