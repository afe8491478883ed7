//! PURE: what a file is called: a foreign name made harmless, a typed or dropped path made a path.

use crate::call::channel::clean;
use std::path::PathBuf;

/// The longest name kept, bytes: what every file system takes, with room for a number and an ending of ours.
const MAX_BYTES: usize = 120;
/// The longest extension that survives the shortening, bytes.
const MAX_EXTENSION: usize = 12;
/// What Windows takes for a device, whatever the extension.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// A foreign name as a plain one: the last part of a path, visible, neither hidden nor a device, never empty.
pub fn harmless(name: &str) -> String {
    let last = name.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String =
        clean(last, usize::MAX).chars().map(|c| if "<>:\"|?*".contains(c) { '_' } else { c }).collect();
    let plain = visible.trim_start_matches(['.', ' ', '-']).trim_end_matches(['.', ' ']);
    let stem = plain.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let device = DEVICES.contains(&stem.trim_end_matches(|c: char| c.is_ascii_digit()));
    match shortened(plain) {
        name if name.is_empty() => "file".into(),
        name if device => format!("_{name}"),
        name => name,
    }
}

/// The `nth` name to try where the first ones are taken: `photo.jpg`, `photo (2).jpg`, …
pub fn numbered(name: &str, nth: u32) -> String {
    let (stem, extension) = halves(name);
    if nth < 2 { name.to_owned() } else { format!("{stem} ({nth}){extension}") }
}

/// What a recording that began then is called, seconds since 1970: `p2pcall-2026-11-23T06-33-04Z.mkv`.
pub fn recording_name(unix: u64) -> String {
    let (days, seconds) = (unix / 86_400, unix % 86_400);
    // The calendar counted from the 1st of March of the year 0, in eras of 400 years, so that leap days come last.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year + u64::from(month >= 10), (month + 2) % 12 + 1);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("p2pcall-{year:04}-{month:02}-{date:02}T{hour:02}-{minute:02}-{second:02}Z.mkv")
}

/// The path in a line typed, pasted or dropped on the terminal: quoted, escaped, as a `file://` address, with `~`.
/// `home` is the person's folder.
pub fn typed_path(text: &str, home: Option<&str>) -> PathBuf {
    let text = text.trim();
    if let Some(address) = text.strip_prefix("file://") {
        let path = address.find('/').and_then(|at| address.get(at..)).unwrap_or(address);
        return percent_encoding::percent_decode_str(path).decode_utf8_lossy().as_ref().into();
    }
    let unquoted = ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    let path = match unquoted {
        Some(inner) => inner.to_owned(),
        None if cfg!(windows) => text.to_owned(),
        None => unescaped(text),
    };
    match (path.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => PathBuf::from(home).join(below),
        _ => path.into(),
    }
}

/// Whether a pasted text can only be a path: that is what a terminal makes of a dropped file.
pub fn is_dropped_file(text: &str) -> bool {
    let text = text.trim();
    let path = text.trim_start_matches(['\'', '"']);
    let drive = path.get(1..3).is_some_and(|colon| colon == ":\\");
    !text.contains('\n')
        && text.len() < 4_096
        && (path.starts_with('/') || text.starts_with("file://") || drive)
}

/// Without the backslashes that a terminal puts before spaces and quotes.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(if letter == '\\' { letters.next().unwrap_or('\\') } else { letter });
    }
    plain
}

/// Stem and extension, the extension with its dot.
fn halves(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= MAX_EXTENSION => name.split_at(at),
        _ => (name, ""),
    }
}

fn shortened(name: &str) -> String {
    let (stem, extension) = halves(name);
    let mut end = stem.len().min(MAX_BYTES - extension.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", stem.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn foreign_names_do_no_harm() {
        for (name, want) in [
            ("photo.jpg", "photo.jpg"),
            ("../../.bashrc", "bashrc"),
            ("..\\..\\evil.exe", "evil.exe"),
            ("/etc/passwd", "passwd"),
            ("a/b/", "b"),
            ("..", "file"),
            ("", "file"),
            ("-rf", "rf"),
            ("   ", "file"),
            ("\u{1b}[2Jx\u{202e}gpj.exe", "[2Jx gpj.exe"),
            ("a:b|c?.txt", "a_b_c_.txt"),
            ("NUL.txt", "_NUL.txt"),
            ("com1", "_com1"),
            ("common.txt", "common.txt"),
            ("name.", "name"),
            ("Grüße 😀.pdf", "Grüße 😀.pdf"),
        ] {
            assert_eq!(harmless(name), want, "{name:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let long = harmless(&format!("{}.tar.gz", "ü".repeat(500)));
        assert!(long.len() <= MAX_BYTES && halves(&long).1 == ".gz", "{long}");
    }

    #[test]
    fn taken_names_are_numbered_before_the_extension() {
        assert_eq!(numbered("a.b.jpg", 1), "a.b.jpg");
        assert_eq!(numbered("a.b.jpg", 2), "a.b (2).jpg");
        assert_eq!(numbered("plain", 3), "plain (3)");
    }

    #[test]
    fn a_recording_is_called_by_its_date() {
        for (unix, want) in [
            (0, "p2pcall-1970-01-01T00-00-00Z.mkv"),
            (951_782_400, "p2pcall-2000-02-29T00-00-00Z.mkv"),
            (1_709_251_199, "p2pcall-2024-02-29T23-59-59Z.mkv"),
            (1_709_251_200, "p2pcall-2024-03-01T00-00-00Z.mkv"),
            (1_798_761_599, "p2pcall-2026-12-31T23-59-59Z.mkv"),
            (4_107_542_400, "p2pcall-2100-03-01T00-00-00Z.mkv"),
        ] {
            assert_eq!(recording_name(unix), want);
        }
    }

    #[test]
    fn dropped_paths_are_read_as_terminals_write_them() {
        for (text, want) in [
            ("/tmp/a.txt", "/tmp/a.txt"),
            ("  /tmp/a.txt \n", "/tmp/a.txt"),
            ("'/tmp/my file.txt'", "/tmp/my file.txt"),
            ("\"/tmp/my file.txt\"", "/tmp/my file.txt"),
            ("/tmp/my\\ file\\'s.txt", "/tmp/my file's.txt"),
            ("file:///tmp/my%20file.txt", "/tmp/my file.txt"),
            ("file://localhost/tmp/a", "/tmp/a"),
            ("~/a.txt", "/home/p/a.txt"),
            ("notes.txt", "notes.txt"),
        ] {
            assert_eq!(typed_path(text, Some("/home/p")), PathBuf::from(want), "{text:?}");
        }
        assert!(is_dropped_file("'/tmp/my file.txt'") && is_dropped_file("file:///a"));
        assert!(!is_dropped_file("see /tmp") && !is_dropped_file("/a\n/b") && !is_dropped_file("P2PABC"));
    }

    proptest! {
        #[test]
        fn whatever_it_is_called_it_stays_in_its_folder(name in "\\PC{0,200}|.{0,200}") {
            let name = harmless(&name);
            prop_assert!(!name.is_empty() && name.len() <= MAX_BYTES + 1);
            prop_assert!(!name.contains(['/', '\\', '\0']) && !name.starts_with('.'));
            prop_assert!(name.chars().all(|c| !c.is_control()));
        }
    }
}
