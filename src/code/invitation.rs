//! What is copied for the friend: one line of words with the command and the code in it, which `answer` accepts as
//! it is.

/// The line to send for an offer's text. Nothing that a chat or a shell would turn into something else.
pub fn invitation(code: &str) -> String {
    format!("Let us talk with p2pcall. In a terminal: p2pcall answer {code}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_line_that_holds_the_command() {
        let line = invitation("P2P4ABC");
        assert!(line.contains("p2pcall answer P2P4ABC") && line.ends_with("P2P4ABC"));
        assert!(!line.contains(['\n', '`', '"', '\'', '*', '_']));
    }
}
