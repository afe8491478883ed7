//! How things look: which colours the terminal has and whether it shows UTF-8, found out from the
//! environment's values. Colours only ever add to what bold, dim and reversed text say already.

use crate::cli;
use ratatui::style::{Color, Modifier, Style};

/// How many colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Colors {
    /// None: bold, dim and reversed only.
    None,
    /// The 16 named ones.
    Named,
    /// The 256-colour palette.
    Palette,
    /// 24 bits.
    True,
}

/// What a piece of text is, not how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Ordinary text.
    Plain,
    /// Less important.
    Dim,
    /// A heading, a name.
    Title,
    /// A key to press.
    Key,
    /// All is well.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// A code, the safety words: what is copied or read aloud.
    Code,
    /// The bar at the bottom.
    Bar,
}

/// What this terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub colors: Colors,
    /// Whether characters beyond ASCII are shown.
    pub utf8: bool,
}

impl Look {
    /// Decides from what was asked for and from the environment: `NO_COLOR` (no-color.org), `COLORTERM`, `TERM`, and
    /// the locale's variables in POSIX's order.
    pub fn detect(asked: cli::Color, env: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| env(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| value(name)).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8") || cfg!(windows);
        let term = value("TERM").unwrap_or_default();
        let colorterm = value("COLORTERM").unwrap_or_default();
        let colors = match asked {
            cli::Color::True => Colors::True,
            cli::Color::Palette => Colors::Palette,
            cli::Color::Never => Colors::None,
            cli::Color::Auto if value("NO_COLOR").is_some() || term == "dumb" => Colors::None,
            cli::Color::Auto if colorterm == "truecolor" || colorterm == "24bit" => Colors::True,
            cli::Color::Auto if term.contains("direct") || term.contains("kitty") => Colors::True,
            cli::Color::Auto if term.contains("256color") => Colors::Palette,
            cli::Color::Named | cli::Color::Auto => Colors::Named,
        };
        Self { colors, utf8 }
    }

    /// The style of a tone.
    pub fn style(self, tone: Tone) -> Style {
        let plain = Style::new();
        let (color, modifier) = match tone {
            Tone::Plain => (None, Modifier::empty()),
            Tone::Dim => (None, Modifier::DIM),
            Tone::Title => (None, Modifier::BOLD),
            Tone::Key => (Some(Color::Cyan), Modifier::BOLD),
            Tone::Good => (Some(Color::Green), Modifier::empty()),
            Tone::Warn => (Some(Color::Yellow), Modifier::BOLD),
            Tone::Bad => (Some(Color::Red), Modifier::BOLD),
            Tone::Code => (Some(Color::Green), Modifier::BOLD),
            Tone::Bar => (None, Modifier::REVERSED),
        };
        match color {
            Some(color) if self.colors > Colors::None => plain.fg(color).add_modifier(modifier),
            _ => plain.add_modifier(modifier),
        }
    }

    /// The two colours of a QR, black and white. Explicit even where colours are unwanted: in a theme's own
    /// colours no reader finds it. The palette's fixed entries where there is one, for themes change the named.
    pub fn qr_colors(self) -> (Color, Color) {
        match self.colors {
            Colors::Palette | Colors::True => (Color::Indexed(16), Color::Indexed(231)),
            Colors::None | Colors::Named => (Color::Black, Color::White),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(asked: cli::Color, env: &[(&str, &str)]) -> (Colors, bool) {
        let look = Look::detect(asked, |name| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        (look.colors, look.utf8)
    }

    #[test]
    fn colours_follow_the_wish_then_the_environment() {
        let auto = cli::Color::Auto;
        for (asked, env, want) in [
            (auto, &[("TERM", "xterm-256color")][..], Colors::Palette),
            (auto, &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], Colors::True),
            (auto, &[("TERM", "xterm")], Colors::Named),
            (auto, &[("TERM", "xterm-256color"), ("NO_COLOR", "1")], Colors::None),
            (auto, &[("TERM", "xterm-256color"), ("NO_COLOR", "")], Colors::Palette),
            (auto, &[("TERM", "dumb")], Colors::None),
            (cli::Color::True, &[("NO_COLOR", "1")], Colors::True),
            (cli::Color::Never, &[("COLORTERM", "truecolor")], Colors::None),
        ] {
            assert_eq!(detect(asked, env).0, want, "{env:?}");
        }
    }

    #[test]
    fn utf8_is_what_the_locale_says() {
        for (env, want) in [
            (&[("LANG", "de_DE.UTF-8")][..], true),
            (&[("LANG", "C")], false),
            (&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")], false),
            (&[("LANG", "C"), ("LC_CTYPE", "C.utf8")], true),
            (&[], false),
        ] {
            assert_eq!(detect(cli::Color::Auto, env).1, want, "{env:?}");
        }
    }

    #[test]
    fn without_colours_no_tone_has_one() {
        let look = Look { colors: Colors::None, utf8: true };
        for tone in [Tone::Key, Tone::Good, Tone::Warn, Tone::Bad, Tone::Code, Tone::Bar, Tone::Dim] {
            assert_eq!((look.style(tone).fg, look.style(tone).bg), (None, None), "{tone:?}");
        }
    }
}
