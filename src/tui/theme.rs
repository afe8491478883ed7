//! How things look: what a tone is drawn like with the colours there are. Colours only ever add to what bold, dim and
//! reversed text say already.

use crate::cli;
use crate::picture::{self, CellSize, ColorChoice, ColorDepth, Facts, Mode};
use ratatui::style::{Color, Modifier, Style};

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
    /// Not to be overlooked, as long as it lasts.
    Alarm,
    /// A code, the safety words: what is copied or read aloud.
    Code,
    /// The bar at the bottom.
    Bar,
}

/// What this terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub colors: ColorDepth,
    /// Whether characters beyond ASCII are shown.
    pub utf8: bool,
    /// The shape of a cell.
    pub cell: CellSize,
}

/// How cells and pictures look, by what was asked for and what is known of the terminal.
pub fn looks(render: cli::Render, color: cli::Color, facts: &Facts) -> (Look, picture::Look) {
    let render = match render {
        cli::Render::Auto => picture::Render::Auto,
        cli::Render::Kitty => picture::Render::Only(Mode::Kitty),
        cli::Render::Sixel => picture::Render::Only(Mode::Sixel),
        cli::Render::Half => picture::Render::Only(Mode::Half),
        cli::Render::Sextant => picture::Render::Only(Mode::Sextant),
        cli::Render::Braille => picture::Render::Only(Mode::Braille),
        cli::Render::Ascii => picture::Render::Only(Mode::Ascii),
    };
    let color = match color {
        cli::Color::Auto => ColorChoice::Auto,
        cli::Color::True => ColorChoice::Only(ColorDepth::True),
        cli::Color::Palette => ColorChoice::Only(ColorDepth::Indexed),
        cli::Color::Named => ColorChoice::Only(ColorDepth::Ansi),
        cli::Color::Never => ColorChoice::Only(ColorDepth::Never),
    };
    let picture = picture::choose(render, color, facts);
    // Where the locale says nothing, whoever draws pictures in block characters takes it to be UTF-8.
    let utf8 = facts.utf8.unwrap_or(picture.mode != Mode::Ascii);
    (Look { colors: picture.color, utf8, cell: picture.cell }, picture)
}

impl Look {
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
            Tone::Alarm => (Some(Color::Red), Modifier::BOLD.union(Modifier::REVERSED)),
            Tone::Code => (Some(Color::Green), Modifier::BOLD),
            Tone::Bar => (None, Modifier::REVERSED),
        };
        match color {
            Some(color) if self.colors != ColorDepth::Never => plain.fg(color).add_modifier(modifier),
            _ => plain.add_modifier(modifier),
        }
    }

    /// The two colours of a QR, black and white. Explicit even where colours are unwanted: in a theme's own
    /// colours no reader finds it. The palette's fixed entries where there is one, for themes change the named.
    pub fn qr_colors(self) -> (Color, Color) {
        match self.colors {
            ColorDepth::Indexed | ColorDepth::True => (Color::Indexed(16), Color::Indexed(231)),
            ColorDepth::Never | ColorDepth::Ansi => (Color::Black, Color::White),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(color: cli::Color, env: &[(&str, &str)]) -> (ColorDepth, bool) {
        let value =
            |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let (look, picture) = looks(cli::Render::Auto, color, &Facts::from_env(value));
        assert_eq!(look.colors, picture.color);
        (look.colors, look.utf8)
    }

    #[test]
    fn the_wish_comes_before_the_environment() {
        let auto = cli::Color::Auto;
        for (asked, env, want) in [
            (auto, &[("TERM", "xterm-256color"), ("LANG", "de_DE.UTF-8")][..], (ColorDepth::Indexed, true)),
            (auto, &[("TERM", "xterm"), ("LANG", "C")], (ColorDepth::Ansi, false)),
            (auto, &[("TERM", "xterm"), ("NO_COLOR", "1")], (ColorDepth::Never, false)),
            (auto, &[("TERM", "xterm"), ("COLORTERM", "truecolor")], (ColorDepth::True, true)),
            (cli::Color::Palette, &[("TERM", "xterm"), ("NO_COLOR", "1")], (ColorDepth::Indexed, false)),
        ] {
            assert_eq!(detect(asked, env), want, "{env:?}");
        }
    }

    #[test]
    fn without_colours_no_tone_has_one() {
        let look = Look { colors: ColorDepth::Never, utf8: true, cell: CellSize::default() };
        for tone in [Tone::Key, Tone::Good, Tone::Warn, Tone::Bad, Tone::Code, Tone::Bar, Tone::Dim] {
            assert_eq!((look.style(tone).fg, look.style(tone).bg), (None, None), "{tone:?}");
        }
    }
}
