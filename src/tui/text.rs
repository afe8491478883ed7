//! Text from outside made fit for a screen: cleaned, cut to a width, and the few formats that several panes
//! share. Knows no pane.

use ratatui::text::Span;
use std::time::Duration;

/// Marks without a width of their own (accents) that may follow one character; the rest of a pile is dropped.
const MARKS_AT_MOST: usize = 2;

/// The columns a text takes.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// A text from outside as one harmless line of at most `columns` columns: control characters, direction
/// overrides and invisible joiners are dropped, white space becomes single spaces, piles of accents are cut.
pub fn clean(text: &str, columns: usize) -> String {
    let mut out = String::new();
    let (mut used, mut marks, mut space) = (0, 0, false);
    for character in text.chars() {
        if character.is_whitespace() {
            space = !out.is_empty();
            continue;
        }
        if is_harmful(character) {
            continue;
        }
        let columns_of_it = width(character.encode_utf8(&mut [0; 4]));
        marks = if columns_of_it == 0 { marks + 1 } else { 0 };
        if marks > MARKS_AT_MOST || (columns_of_it == 0 && (out.is_empty() || space)) {
            continue;
        }
        if used + columns_of_it + usize::from(space) > columns {
            break;
        }
        if space {
            out.push(' ');
            used += 1;
            space = false;
        }
        out.push(character);
        used += columns_of_it;
    }
    out
}

/// Control characters, and the format characters that reorder or hide text (bidirectional controls, joiners,
/// variation selectors, tags, byte order mark, soft hyphen, interlinear marks).
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The text cut to `columns`, its last column an ellipsis where something was cut.
pub fn clip(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for character in text.chars() {
        let columns_of_it = width(character.encode_utf8(&mut [0; 4]));
        if used + columns_of_it + 1 > columns {
            break;
        }
        out.push(character);
        used += columns_of_it;
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// The end of a text, as many columns as fit: what an input line shows.
pub fn tail(text: &str, columns: usize) -> &str {
    let mut from = text.len();
    let mut used = 0;
    for (index, character) in text.char_indices().rev() {
        used += width(character.encode_utf8(&mut [0; 4]));
        if used > columns {
            break;
        }
        from = index;
    }
    text.get(from..).unwrap_or_default()
}

/// Minutes and seconds, with hours where there are any: `14:32`, `1:02:09`.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A fraction as a percentage with one decimal where it matters: `0 %`, `0.4 %`, `12 %`.
pub fn percent(fraction: f32) -> String {
    let percent = (fraction * 100.0).clamp(0.0, 100.0);
    if (0.05..9.95).contains(&percent) { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// Bytes in the unit that reads best.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

/// The nearest thing to a symbol of ours that a terminal without UTF-8 can show.
pub fn ascii(symbol: &str) -> &'static str {
    match symbol {
        "…" => "~",
        "─" | "━" | "–" | "—" | "╌" => "-",
        "│" | "┃" => "|",
        "┌" | "┐" | "└" | "┘" | "╭" | "╮" | "╰" | "╯" | "├" | "┤" | "┬" | "┴" | "┼" | "✓" => {
            "+"
        }
        "·" | "•" | "●" => "*",
        "↓" => "v",
        "↑" => "^",
        "→" | "▸" | "›" => ">",
        "▏" => "_",
        "█" | "▀" | "▄" => "#",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_text_becomes_one_harmless_line() {
        for (text, want) in [
            ("hello", "hello"),
            ("\x1b[2Jhi\x07", "[2Jhi"),
            ("a\nb\r\n\tc", "a b c"),
            ("  spaced  ", "spaced"),
            ("\u{202e}evil\u{2066}", "evil"),
            ("\u{9b}31mred", "31mred"),
            ("zu\u{300}\u{301}\u{302}\u{303}\u{304}x", "zu\u{300}\u{301}x"),
            ("日本語テキスト", "日本語テキ"),
        ] {
            assert_eq!(clean(text, 10), want, "{text:?}");
        }
    }

    #[test]
    fn formats_read_as_people_write() {
        assert_eq!(clock(Duration::from_secs(872)), "14:32");
        assert_eq!(clock(Duration::from_secs(3729)), "1:02:09");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.004), "0.4 %");
        assert_eq!(percent(0.12), "12 %");
        assert_eq!(bytes(1_500_000), "1.5 MB");
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(clip("abcd", 4), "abcd");
        assert_eq!(tail("abcdef", 3), "def");
    }

    proptest! {
        #[test]
        fn cleaning_keeps_the_width_and_drops_controls(text in any::<String>(), columns in 0_usize..40) {
            let cleaned = clean(&text, columns);
            prop_assert!(width(&cleaned) <= columns);
            prop_assert!(!cleaned.chars().any(char::is_control));
            prop_assert!(width(&clip(&text, columns)) <= columns.max(width(&text).min(columns)));
        }
    }
}
