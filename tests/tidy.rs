//! The invariants of the house (`src/README.md`), held by reading its source: which layer may name what, and
//! how long a file may be.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// A file is at most so long, without its tests.
const MAX_LINES: usize = 400;

/// Files that know no task, socket, clock or file: prefixes of paths from the project's root.
const PURE: &[&str] = &[
    "src/code/",
    "src/code.rs",
    "src/call.rs",
    "src/call/channel.rs",
    "src/call/ending.rs",
    "src/call/event",
    "src/call/path.rs",
    "src/call/peer/follow.rs",
    "src/call/peer/ledger.rs",
    "src/call/peer/nacks.rs",
    "src/call/rate",
    "src/call/recording.rs",
    "src/call/said.rs",
    "src/call/silence.rs",
    "src/call/stats.rs",
    "src/call/verify.rs",
    "src/config.rs",
    "src/config/proxy.rs",
    "src/config/relays.rs",
    "src/config/settle.rs",
    "src/error.rs",
    "src/share.rs",
    "src/share/",
    "src/headless/",
    "src/media/assemble",
    "src/media/audio/merge.rs",
    "src/media/echo",
    "src/media/frame.rs",
    "src/media/device/format.rs",
    "src/media/jitter",
    "src/media/level.rs",
    "src/media/record/",
    "src/media/resample.rs",
    "src/media/sound/pace.rs",
    "src/media/sound/player.rs",
    "src/media/source/tone.rs",
    "src/media/stretch.rs",
    "src/nat/classify.rs",
    "src/nat/explain",
    "src/nat/glance.rs",
    "src/nat/facts.rs",
    "src/nat/meet.rs",
    "src/nat/portmap/http.rs",
    "src/nat/portmap/natpmp.rs",
    "src/nat/portmap/pcp.rs",
    "src/nat/portmap/upnp.rs",
    "src/nat/portmap/xml.rs",
    "src/nat/predict",
    "src/nat/probe",
    "src/nat/report",
    "src/nat/turns.rs",
    "src/picture",
    "src/transport/binding",
    "src/transport/candidate.rs",
    "src/transport/knock.rs",
    "src/transport/ledger.rs",
    "src/transport/nat64.rs",
    "src/transport/punch.rs",
    "src/transport/router",
    "src/transport/tally.rs",
    "src/transport/turn",
    "src/transport/ways.rs",
    "src/tui/keys.rs",
    "src/tui/model",
    "src/tui/theme.rs",
    "src/tui/update",
    "src/tui/view",
    "relay/src/link.rs",
    "relay/src/stun",
    "relay/src/server",
];

/// What a pure file never names.
const IMPURE_NAMES: &[&str] =
    &["tokio", "std::net::UdpSocket", "std::net::TcpStream", "Instant::now", "std::fs", "std::thread"];

/// All Rust files below a folder, with their text up to their inline tests.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the project") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name =
                    path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
                let text = fs::read_to_string(&path).expect("UTF-8");
                found.push((name, before_tests(&text)));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found.sort();
    found
}

/// A file without its inline tests, which stand at the bottom.
fn before_tests(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        if line == "#[cfg(test)]" {
            break;
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// Whether a file is nothing but tests, or serves tests only.
fn is_test(name: &str) -> bool {
    let tests = ["tests.rs", "testing.rs", "vectors.rs", "test_pictures.rs", "harness.rs", "simulator.rs"];
    tests.iter().any(|end| name.ends_with(end)) || name.contains("/tests/")
}

/// The code of a line: neither comment nor documentation.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn report(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn only_the_peer_names_the_webrtc_stack() {
    let mut complaints = Vec::new();
    for (name, text) in sources("src") {
        if name.starts_with("src/call/peer") {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if ["webrtc::", "rtc::", "use webrtc", "use rtc"].iter().any(|stack| {
                line.match_indices(stack)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            }) {
                complaints.push(format!("{name}:{number} names the WebRTC stack: {line}"));
            }
        }
    }
    report(&complaints);
}

#[test]
fn only_the_tui_touches_terminal_modes() {
    let mut complaints = Vec::new();
    for (name, text) in sources("src") {
        if name.starts_with("src/tui") {
            continue;
        }
        for (number, line) in code_lines(&text) {
            if ["enable_raw_mode", "EnterAlternateScreen", "LeaveAlternateScreen"]
                .iter()
                .any(|mode| line.contains(mode))
            {
                complaints.push(format!("{name}:{number} touches the terminal's mode: {line}"));
            }
        }
    }
    report(&complaints);
}

#[test]
fn pure_files_know_no_task_socket_clock_or_file() {
    let mut complaints = Vec::new();
    for (name, text) in sources("src").into_iter().chain(sources("relay/src")) {
        if is_test(&name) || !PURE.iter().any(|pure| name.starts_with(pure)) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            for impure in IMPURE_NAMES {
                if line.contains(impure) {
                    complaints.push(format!("{name}:{number} is pure and names {impure}: {line}"));
                }
            }
        }
    }
    report(&complaints);
}

#[test]
fn every_pure_path_exists() {
    let names: Vec<String> =
        sources("src").into_iter().chain(sources("relay/src")).map(|(name, _)| name).collect();
    for pure in PURE {
        assert!(names.iter().any(|name| name.starts_with(pure)), "no file begins with {pure}");
    }
}

#[test]
fn the_relay_does_not_know_the_call_tool() {
    for (name, text) in sources("relay/src") {
        for (number, line) in code_lines(&text) {
            assert!(!line.contains("p2pcall::"), "{name}:{number} names the root package: {line}");
        }
    }
}

#[test]
fn no_file_is_longer_than_it_can_be_read() {
    let mut complaints = Vec::new();
    for (name, text) in sources("src").into_iter().chain(sources("relay/src")) {
        let lines = text.lines().count();
        if !is_test(&name) && lines > MAX_LINES {
            complaints.push(format!("{name} has {lines} lines without its tests"));
        }
    }
    report(&complaints);
}

#[test]
fn every_file_says_what_it_is() {
    for (name, text) in sources("src").into_iter().chain(sources("relay/src")) {
        if is_test(&name) {
            continue;
        }
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//!") || first.starts_with("#!["), "{name} begins with {first:?}");
    }
}
