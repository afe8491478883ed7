//! Files handed over in a call between two real processes.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says aloud what it skips"
)]

use super::SOON;
use super::support::process::{Process, connected};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// For a few megabytes on a busy machine.
const ARRIVAL: Duration = Duration::from_secs(60);

/// Two ends in a call; what Bob takes goes to the folder.
fn call(folder: &Path) -> (Process, Process) {
    connected(&["--save-to", folder.to_str().expect("UTF-8")])
}

fn file(end: &mut Process, state: &str) -> Value {
    end.wait_for(state, ARRIVAL, |event| event["event"] == "file" && event["state"] == state)
}

fn warned(end: &mut Process, code: &str) -> String {
    let event = end.wait_for(code, SOON, |event| event["event"] == "warning" && event["code"] == code);
    event["message"].as_str().expect("a text").to_owned()
}

/// Bytes without a pattern, the same every time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_asked_for_and_arrives_as_it_was_beside_whatever_was_there() {
    let (home, away) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let content = noise(5_000_000);
    let path = home.path().join("my notes.bin");
    std::fs::write(&path, &content).expect("written");
    std::fs::write(away.path().join("my notes.bin"), "older").expect("written");
    let (mut alice, mut bob) = call(away.path());
    alice.type_line(&format!("/send '{}'", path.display()));
    let offered = file(&mut bob, "offered");
    assert_eq!((&offered["from"], &offered["name"]), (&"remote".into(), &"my notes.bin".into()), "{offered}");
    assert_eq!(offered["bytes"], 5_000_000);
    bob.type_line("/accept");
    let done = file(&mut bob, "done");
    assert_eq!(done["done"], 5_000_000);
    let kept = std::fs::canonicalize(done["path"].as_str().expect("a path")).expect("it is there");
    assert_eq!(std::fs::read(kept).expect("read"), content);
    assert_eq!(file(&mut alice, "done")["from"], "local");
    assert_eq!(names(away.path()), ["my notes (2).bin", "my notes.bin"]);
    assert_eq!(std::fs::read(away.path().join("my notes.bin")).expect("read"), b"older");
    // The call goes on, and files go the other way, too; one without a byte as well.
    std::fs::write(home.path().join("empty"), "").expect("written");
    bob.type_line(&format!("/send {}", home.path().join("empty").display()));
    file(&mut alice, "offered");
    alice.type_line("/accept");
    let kept = file(&mut alice, "done");
    assert_eq!(std::fs::read(kept["path"].as_str().expect("a path")).expect("read"), b"");
    alice.type_line("/hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
}

#[test]
fn what_is_refused_stopped_or_no_file_leaves_nothing_and_says_so() {
    let (home, away) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let path = home.path().join(".bashrc");
    std::fs::write(&path, "export EVIL=1").expect("written");
    let (mut alice, mut bob) = call(away.path());
    alice.type_line(&format!("/send {}", path.display()));
    assert_eq!(file(&mut bob, "offered")["name"], "bashrc");
    bob.type_line("/refuse");
    assert!(warned(&mut alice, "file_refused").contains("does not want bashrc"));
    for (typed, words) in [
        (home.path().join("nothing"), "No such file"),
        (home.path().to_owned(), "a folder"),
        ("/dev/zero".into(), "not a plain file"),
    ] {
        alice.type_line(&format!("/send {}", typed.display()));
        let message = warned(&mut alice, "file_unreadable");
        assert!(message.contains(words), "{message}");
    }
    alice.type_line(&format!("/send {}", path.display()));
    file(&mut bob, "offered");
    alice.type_line("/refuse");
    assert!(warned(&mut bob, "file_stopped").contains("Your friend stopped bashrc"));
    assert_eq!(names(away.path()), [""; 0]);
}

#[test]
fn a_hangup_on_the_way_leaves_nothing_of_the_file_and_is_told() {
    for hangs_up in ["alice", "bob"] {
        let (home, away) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let path = home.path().join("big.bin");
        std::fs::File::create(&path).and_then(|file| file.set_len(10_000_000_000)).expect("a file");
        let (mut alice, mut bob) = call(away.path());
        alice.type_line(&format!("/send {}", path.display()));
        file(&mut bob, "offered");
        bob.type_line("/accept");
        file(&mut bob, "moving");
        let ends = if hangs_up == "alice" { &mut alice } else { &mut bob };
        ends.type_line("/hangup");
        for end in [&mut alice, &mut bob] {
            file(end, "failed");
            assert!(warned(end, "file_unfinished").contains("big.bin"));
            let over = end.of_kind("state").any(|event| event["state"] == "ended");
            assert!(!over, "it is told before the end");
            assert_eq!(end.exit(SOON), 0, "{hangs_up} hangs up");
        }
        assert_eq!(names(away.path()), [""; 0], "{hangs_up} hangs up");
    }
}

#[test]
fn a_full_disk_is_named_at_both_ends_and_holds_nothing_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(folder.path())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("SKIPPED: a small disk can't be mounted here (it takes root)");
        return;
    }
    let _unmount = Unmount(folder.path());
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("big.bin");
    std::fs::write(&path, noise(1_000_000)).expect("written");
    let (mut alice, mut bob) = call(folder.path());
    alice.type_line(&format!("/send {}", path.display()));
    file(&mut bob, "offered");
    bob.type_line("/accept");
    assert!(warned(&mut bob, "disk_full").contains("this disk is full"));
    assert!(warned(&mut alice, "disk_full").contains("your friend's disk is full"));
    assert_eq!(names(folder.path()), [""; 0]);
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_place_for_files_that_is_no_folder_is_named_before_there_is_a_code() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let place = file.path().to_str().expect("UTF-8");
    let mut alice = Process::start(&["offer", "--no-servers", "--save-to", place]);
    assert_eq!(alice.exit(SOON), 1);
    assert!(alice.of_kind("code").next().is_none());
}
