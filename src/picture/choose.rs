//! Which mode, how many colours and how many bytes a second suit this terminal: a pure function of what was
//! asked for and what is known.
//!
//! It does not ask the terminal anything: who does puts the answers into [`Facts`].

use std::str::FromStr;

use super::{CellSize, ColorDepth};

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Two pixels a cell.
    Half,
    /// Two by two blocks a cell.
    Quadrant,
    /// Two by three blocks a cell (Unicode 13).
    Sextant,
    /// Two by four blocks a cell (Unicode 16).
    Octant,
    /// Two by four dots a cell.
    Braille,
    /// One glyph of a ramp a cell.
    Ascii,
    /// Pixels by kitty's graphics protocol.
    Kitty,
    /// Pixels by DEC's sixels, in 240 colours.
    Sixel,
    /// Pixels as JPEG, by iTerm2's inline images.
    Iterm,
}

/// What `--render` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Render {
    /// Whatever suits the terminal.
    #[default]
    Auto,
    /// This and nothing else.
    Only(Mode),
}

/// What `--color` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// Whatever the terminal has.
    #[default]
    Auto,
    /// So many.
    Only(ColorDepth),
}

impl FromStr for Render {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "auto" => Self::Auto,
            "half" => Self::Only(Mode::Half),
            "quadrant" => Self::Only(Mode::Quadrant),
            "sextant" => Self::Only(Mode::Sextant),
            "octant" => Self::Only(Mode::Octant),
            "braille" => Self::Only(Mode::Braille),
            "ascii" => Self::Only(Mode::Ascii),
            "kitty" => Self::Only(Mode::Kitty),
            "sixel" => Self::Only(Mode::Sixel),
            "iterm" => Self::Only(Mode::Iterm),
            _ => return Err(()),
        })
    }
}

impl FromStr for ColorChoice {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "auto" => Self::Auto,
            "true" => Self::Only(ColorDepth::True),
            "256" => Self::Only(ColorDepth::Indexed),
            "16" => Self::Only(ColorDepth::Ansi),
            "never" => Self::Only(ColorDepth::Never),
            _ => return Err(()),
        })
    }
}

/// What is known of the terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `TERM`.
    pub term: String,
    /// `COLORTERM`; ssh does not forward it.
    pub color_term: String,
    /// The terminal's name in lower case, as its own answer (XTVERSION), `TERM_PROGRAM` or a variable that
    /// only it sets give it away.
    pub program: String,
    /// `NO_COLOR` is set to something.
    pub no_color: bool,
    /// The shell was reached over ssh.
    pub ssh: bool,
    /// The locale's encoding; `None` where no locale is set.
    pub utf8: Option<bool>,
    /// tmux or screen sits between us and the terminal.
    pub multiplexed: bool,
    /// The answers to queries, where there were any.
    pub answers: Answers,
}

/// What the terminal said when it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// It took a query of kitty's graphics protocol.
    pub kitty: bool,
    /// Its primary device attributes contain 4.
    pub sixel: bool,
    /// The size of its cells.
    pub cell: Option<CellSize>,
}

impl Facts {
    /// What the environment tells; `var` looks up a variable.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).unwrap_or_default();
        let term = text("TERM");
        let signs =
            [("KITTY_WINDOW_ID", "kitty"), ("WT_SESSION", "windows terminal"), ("VTE_VERSION", "vte")];
        let sign =
            signs.into_iter().find(|(name, _)| set(name).is_some()).map(|(_, program)| program.to_owned());
        let multiplexed = set("TMUX").is_some() || set("STY").is_some();
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).map(|locale| locale.to_lowercase());
        Self {
            multiplexed: multiplexed || term.starts_with("tmux") || term.starts_with("screen"),
            color_term: text("COLORTERM"),
            program: sign.unwrap_or_else(|| text("TERM_PROGRAM").to_lowercase()),
            no_color: set("NO_COLOR").is_some(),
            ssh: ["SSH_TTY", "SSH_CONNECTION"].into_iter().any(|name| set(name).is_some()),
            utf8: locale.map(|locale| locale.contains("utf-8") || locale.contains("utf8")),
            answers: Answers::default(),
            term,
        }
    }

    /// Whether its answers would change anything, and it is near: far away they might come when nobody waits for
    /// them any more, and be taken for keys.
    pub fn may_be_asked(&self) -> bool {
        !self.ssh && !self.multiplexed && !["", "dumb", "linux"].contains(&self.term.as_str())
    }

    /// Is it one of these, by its own name or by `TERM`?
    fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.program.contains(name) || self.term.contains(name))
    }

    /// A terminal that is known, or says that it can show 24 bits, is from an age in which all of them
    /// understand UTF-8: that decides where no locale is set, as in a bare container.
    fn utf8(&self) -> bool {
        self.utf8.unwrap_or_else(|| !self.color_term.is_empty() || self.is_one_of(DRAW_SEXTANTS))
    }

    fn color(&self) -> ColorDepth {
        if self.no_color || self.term == "dumb" || self.term.is_empty() && self.program.is_empty() {
            ColorDepth::Never
        } else if ["truecolor", "24bit"].contains(&self.color_term.as_str()) || self.has_true_color() {
            ColorDepth::True
        } else if self.term.contains("256") {
            ColorDepth::Indexed
        } else {
            ColorDepth::Ansi
        }
    }

    /// Known by name to show 24 bits, where `COLORTERM` did not come through.
    fn has_true_color(&self) -> bool {
        let known = ["direct", "windows terminal", "vte", "konsole", "iterm", "mintty", "vscode"];
        !self.multiplexed && (self.is_one_of(DRAW_SEXTANTS) || self.is_one_of(&known))
    }

    fn mode(&self, color: ColorDepth) -> Mode {
        // The Linux console has a font of at most 512 glyphs: half blocks, but no Braille.
        let console = self.term == "linux" || self.term == "dumb";
        match color {
            _ if !self.utf8() => Mode::Ascii,
            ColorDepth::Never if console => Mode::Ascii,
            ColorDepth::Never => Mode::Braille,
            _ if self.program.contains("iterm") && !self.multiplexed => Mode::Iterm,
            _ if self.ssh || self.multiplexed => self.glyphs(),
            _ if self.answers.kitty => Mode::Kitty,
            _ if self.answers.sixel && self.answers.cell.is_some() => Mode::Sixel,
            _ => self.glyphs(),
        }
    }

    fn glyphs(&self) -> Mode {
        if self.is_one_of(DRAW_SEXTANTS) { Mode::Sextant } else { Mode::Half }
    }
}

/// Terminals that draw sextants themselves instead of hoping for a font.
const DRAW_SEXTANTS: &[&str] = &["kitty", "wezterm", "foot", "ghostty", "alacritty", "contour"];

/// How to draw, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// With which glyphs.
    pub mode: Mode,
    /// In which colours.
    pub color: ColorDepth,
    /// Of which size a cell is taken to be.
    pub cell: CellSize,
    /// What may be sent.
    pub bytes_per_second: u32,
}

/// A terminal on this machine takes this much without falling behind.
const LOCAL_RATE: u32 = 1_500_000;

/// Pixels without loss take more; kitty reads ten times this.
const LOCAL_PIXEL_RATE: u32 = 4_000_000;

/// What a decent link carries beside the call itself.
const SSH_RATE: u32 = 250_000;

/// What suits the terminal; what was asked for comes first.
pub fn choose(render: Render, color: ColorChoice, facts: &Facts) -> Look {
    let color = match color {
        ColorChoice::Only(depth) => depth,
        ColorChoice::Auto => facts.color(),
    };
    let mode = match render {
        Render::Only(mode) => mode,
        Render::Auto => facts.mode(color),
    };
    let bytes_per_second = match mode {
        _ if facts.ssh => SSH_RATE,
        Mode::Kitty => LOCAL_PIXEL_RATE,
        _ => LOCAL_RATE,
    };
    Look { mode, color, cell: facts.answers.cell.unwrap_or_default(), bytes_per_second }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &str) -> (Mode, ColorDepth, u32) {
        let variables: Vec<_> = variables.split(' ').filter_map(|pair| pair.split_once('=')).collect();
        let facts = Facts::from_env(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        let look = choose(Render::Auto, ColorChoice::Auto, &facts);
        (look.mode, look.color, look.bytes_per_second)
    }

    #[test]
    fn the_environment_decides() {
        use ColorDepth::{Ansi, Indexed, Never, True};
        use Mode::{Ascii, Braille, Half, Sextant};
        for (variables, mode, color) in [
            ("TERM=xterm-256color COLORTERM=truecolor LANG=C.UTF-8", Half, True),
            ("TERM=xterm-256color LANG=en_US.utf8", Half, Indexed),
            ("TERM=xterm-256color LANG=en_US.UTF-8 LC_ALL=C", Ascii, Indexed),
            ("TERM=xterm LANG=de_DE.ISO-8859-1", Ascii, Ansi),
            ("TERM=xterm-kitty KITTY_WINDOW_ID=1 LANG=C.UTF-8", Sextant, True),
            ("TERM=xterm-256color TERM_PROGRAM=WezTerm LANG=C.UTF-8", Sextant, True),
            ("TERM=foot", Sextant, True),
            ("TERM=xterm-256color", Ascii, Indexed),
            ("TERM=xterm-256color COLORTERM=truecolor", Half, True),
            ("TERM=tmux-256color TMUX=/tmp/tmux LANG=C.UTF-8", Half, Indexed),
            ("TERM=linux LANG=C.UTF-8", Half, Ansi),
            ("TERM=linux LANG=C.UTF-8 NO_COLOR=1", Ascii, Never),
            ("TERM=xterm-256color LANG=C.UTF-8 NO_COLOR=1", Braille, Never),
            ("TERM=xterm-256color LANG=C.UTF-8 NO_COLOR=", Half, Indexed),
            ("TERM=dumb LANG=C.UTF-8", Ascii, Never),
            ("WT_SESSION=1 LANG=C.UTF-8", Half, True),
            ("", Ascii, Never),
        ] {
            let (got_mode, got_color, _) = chosen(variables);
            assert_eq!((got_mode, got_color), (mode, color), "{variables}");
        }
    }

    #[test]
    fn pixels_are_for_terminals_that_said_so_and_are_near() {
        let cell = Some(CellSize { width: 10, height: 20 });
        let near = Facts {
            term: "foot".into(),
            answers: Answers { kitty: false, sixel: true, cell },
            ..Facts::default()
        };
        let check = |facts: &Facts| choose(Render::Auto, ColorChoice::Auto, facts).mode;
        assert_eq!(check(&near), Mode::Sixel);
        assert_eq!(check(&Facts { ssh: true, ..near.clone() }), Mode::Sextant);
        let unmeasured = Answers { cell: None, ..near.answers };
        assert_eq!(check(&Facts { answers: unmeasured, ..near.clone() }), Mode::Sextant);
        let kitty = Answers { kitty: true, ..near.answers };
        assert_eq!(check(&Facts { answers: kitty, ..near.clone() }), Mode::Kitty);
        assert_eq!(check(&Facts { answers: kitty, multiplexed: true, ..near }), Mode::Sextant);
    }

    #[test]
    fn a_remote_terminal_is_sent_less() {
        assert_eq!(chosen("TERM=xterm LANG=C.UTF-8").2, 1_500_000);
        assert_eq!(chosen("TERM=xterm LANG=C.UTF-8 SSH_TTY=/dev/pts/1").2, 250_000);
    }

    #[test]
    fn what_was_asked_for_comes_first() {
        let facts = Facts { no_color: true, ..Facts::default() };
        let look = choose("half".parse().unwrap(), "256".parse().unwrap(), &facts);
        assert_eq!((look.mode, look.color), (Mode::Half, ColorDepth::Indexed));
        assert_eq!("neon".parse::<Render>(), Err(()));
    }
}
