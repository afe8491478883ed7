//! Calls between two real processes on this machine: how they begin, are kept apart, and end.
#![expect(clippy::disallowed_methods, reason = "a test measures by the clock")]

#[path = "call/files.rs"]
mod files;
mod support;

use std::time::{Duration, Instant};
use support::process::{Process, QUIET, answer, connected, offer};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn one_code_suffices_on_one_machine_and_both_ends_agree() {
    let (mut alice, code) = offer(&["--name", "Alice"]);
    assert!(code.starts_with("P2P") && code.len() <= 114, "{code}");
    let mut bob = answer(&code, &["--name", "Bob"]);
    let answered = alice.wait_for_state("answered", SOON);
    assert_eq!(answered["name"], "Bob");
    assert_eq!(bob.wait_for_state("answered", SOON)["name"], "Alice");
    alice.wait_for_state("connected", SOON);
    bob.wait_for_state("connected", SOON);
    let path = alice.wait_for("path", SOON, |event| event["event"] == "path");
    assert_eq!((&path["kind"], &path["protocol"]), (&"host".into(), &"udp".into()), "{path}");
    let words: Vec<_> =
        [&alice, &bob].map(|end| end.of_kind("verify").next().expect("words")["words"].clone()).into();
    assert_eq!(words[0], words[1]);
    assert_eq!(words[0].as_str().expect("a text").split(' ').count(), 4);
}

#[test]
fn a_hangup_is_seen_at_once_by_the_other_end() {
    let (mut alice, mut bob) = connected(&[]);
    let began = Instant::now();
    alice.type_line("/hangup");
    let ended = bob.wait_for_state("ended", SOON);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(ended["reason"], "remote_hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
}

#[test]
fn who_stops_reading_what_it_is_told_stays_in_the_call() {
    let (mut alice, mut bob) = connected(&[]);
    alice.stop_reading();
    // Over a megabyte, of which a pipe holds 64 kB.
    for _ in 0..2_000 {
        alice.type_line("/stats");
    }
    alice.type_line("/say still here");
    bob.wait_for("chat", SOON * 2, |event| event["event"] == "chat" && event["text"] == "still here");
    bob.type_line("/hangup");
    assert_eq!(bob.exit(SOON), 0);
    // The call is over, and what is still to be printed waits for a reader: a signal ends that.
    std::thread::sleep(Duration::from_secs(1));
    alice.signal("INT");
    assert_eq!(alice.exit(SOON), 0);
}

#[test]
fn ctrl_c_in_a_call_tells_the_friend() {
    let (mut alice, mut bob) = connected(&[]);
    bob.signal("INT");
    assert_eq!(alice.wait_for_state("ended", SOON)["reason"], "remote_hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
}

#[test]
fn a_killed_end_is_noticed_within_six_seconds() {
    let (mut alice, bob) = connected(&[]);
    let began = Instant::now();
    bob.signal("KILL");
    let ended = alice.wait_for_state("ended", SOON);
    assert!(began.elapsed() <= Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(ended["reason"], "failed");
    assert_eq!(alice.exit(SOON), 4);
}

#[test]
fn ctrl_c_while_waiting_ends_with_130() {
    for signal in ["INT", "TERM", "HUP"] {
        let (mut alice, _) = offer(&[]);
        alice.signal(signal);
        assert_eq!(alice.exit(SOON), 130, "{signal}");
    }
}

#[test]
fn an_offer_nobody_answers_ends_with_3() {
    let (mut alice, _) = offer(&["--timeout", "1"]);
    assert_eq!(alice.wait_for_state("ended", SOON)["reason"], "timeout");
    assert_eq!(alice.exit(SOON), 3);
}

#[test]
fn a_code_whose_offer_is_gone_shows_a_reply_code_and_ends_with_3() {
    let (mut alice, code) = offer(&[]);
    alice.signal("INT");
    alice.exit(SOON);
    let mut bob = answer(&code, &["--timeout", "6"]);
    let began = Instant::now();
    let reply = bob.wait_for("reply code", SOON, |event| event["event"] == "code");
    assert!((3..6).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!((&reply["kind"], &reply["reply_needed"]), (&"answer".into(), &true.into()));
    assert_eq!(bob.exit(SOON), 3);
}

#[test]
fn a_code_works_once() {
    let (mut alice, code) = offer(&[]);
    let mut bob = answer(&code, &[]);
    alice.wait_for_state("connected", SOON);
    bob.wait_for_state("connected", SOON);
    let mut carol = answer(&code, &[]);
    let ended = carol.wait_for_state("ended", SOON);
    assert!(ended["message"].as_str().expect("words").contains("already used"), "{ended}");
    assert_eq!(carol.exit(SOON), 3);
    alice.type_line("/hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
}

#[test]
fn two_calls_at_once_do_not_disturb_each_other() {
    let (mut alice, mut bob) = connected(&["--name", "first"]);
    let (mut carol, mut dave) = connected(&["--name", "second"]);
    alice.type_line("/say for bob");
    carol.type_line("/say for dave");
    for (end, text) in [(&mut bob, "for bob"), (&mut dave, "for dave")] {
        let chat = end.wait_for("chat", SOON, |event| event["event"] == "chat" && event["from"] == "remote");
        assert_eq!(chat["text"], text);
    }
    dave.type_line("/hangup");
    assert_eq!((carol.exit(SOON), dave.exit(SOON)), (0, 0));
    bob.type_line("/hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
}

#[test]
fn the_duration_ends_the_call_well() {
    let (mut alice, code) = offer(&["--duration", "1"]);
    let mut bob = answer(&code, &[]);
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
}

#[test]
fn whole_descriptions_are_exchanged_by_hand() {
    let (mut alice, description) = offer(&["--sdp"]);
    let description: serde_json::Value = serde_json::from_str(&description).expect("one line of JSON");
    assert_eq!(description["type"], "offer");
    let mut bob = answer(&description.to_string(), &[]);
    let reply = bob.wait_for_code(SOON);
    alice.type_line(&reply);
    for end in [&mut alice, &mut bob] {
        end.wait_for_state("connected", SOON);
    }
    alice.type_line("/hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
}

#[test]
fn a_wrong_paste_is_answered_and_the_offer_goes_on() {
    let (mut alice, code) = offer(&[]);
    for (text, says) in [
        (code.as_str(), "code of this very call"),
        ("531N-2G66-6DJ4-VQ7E", "not the reply"),
        ("/frobnicate", "not a command"),
    ] {
        alice.type_line(text);
        let warning = alice.wait_for("warning", SOON, |event| event["event"] == "warning");
        assert!(warning["message"].as_str().expect("words").contains(says), "{warning}");
        alice.type_line("");
    }
    let mut bob = answer(&code, &[]);
    bob.wait_for_state("connected", SOON);
}

#[test]
fn a_replaced_code_gives_other_safety_words_at_the_two_ends() {
    // Mallory answers Alice's code and gives Bob one of her own.
    let (mut alice, code) = offer(&[]);
    let (mut mallory_b, replaced) = offer(&[]);
    let mut mallory_a = answer(&code, &[]);
    let mut bob = answer(&replaced, &[]);
    let words: Vec<_> = [&mut alice, &mut bob, &mut mallory_a, &mut mallory_b]
        .map(|end| end.wait_for("words", SOON, |event| event["event"] == "verify")["words"].clone())
        .into();
    assert_ne!(words[0], words[1]);
}

#[test]
fn bad_codes_are_refused_with_2_and_the_right_words() {
    let (mut alice, code) = offer(&[]);
    let mut wrong = code.clone();
    wrong.replace_range(20..21, if &code[20..21] == "7" { "8" } else { "7" });
    for (text, says) in [
        (&code[..40], "cut off after 40 characters"),
        (wrong.as_str(), "character is wrong"),
        ("hello there", "no code"),
        ("", "no code"),
        ("531N-2G66-6DJ4-VQ7E", "is a reply"),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_p2pcall"))
            .args(["answer", text, "--headless"])
            .args(QUIET)
            .output()
            .expect("it runs");
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}: {words}");
        assert!(words.contains(says), "{text}: {words}");
    }
    alice.signal("INT");
    assert_eq!(alice.exit(SOON), 130);
}

#[test]
fn a_code_survives_chat_markup_and_line_wraps() {
    let (_alice, code) = offer(&[]);
    let (first, second) = code.split_at(50);
    let pasted = format!("> Let us talk:\n> `p2pcall answer {}`\n> `{}`\n", first.to_lowercase(), second);
    let mut bob = Process::start(&[&["answer", "-"][..], &QUIET].concat());
    bob.type_line(&pasted);
    bob.close_input();
    bob.wait_for_state("connected", SOON);
}

/// A call with oneself, without devices; the path it took.
fn demo(more: &[&str]) -> serde_json::Value {
    let devices = ["--video", "none", "--audio", "none", "--speaker", "none"];
    let mut demo = Process::start(&[&["demo"][..], &devices, more].concat());
    let path = demo.wait_for("path", SOON, |event| event["event"] == "path");
    demo.type_line("/hangup");
    assert_eq!(demo.exit(SOON), 0);
    path
}

#[test]
fn a_demo_takes_the_direct_path_though_it_has_a_relay() {
    let path = demo(&[]);
    assert_eq!((&path["kind"], &path["protocol"]), (&"host".into(), &"udp".into()), "{path}");
}

#[test]
fn a_demo_can_be_forced_through_its_relay() {
    let path = demo(&["--relay-only"]);
    let said = [&path["kind"], &path["local"], &path["remote"]];
    assert!(said.iter().all(|kind| *kind == "relay"), "{path}");
}
