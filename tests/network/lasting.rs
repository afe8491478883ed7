//! Networks that fail in mid-call, and friends who do: what ends a call, and what does not.

use super::support;
use super::support::lab::Lab;
use super::support::pulse::Pulse;
use super::support::signal;
use super::{ALONE, Ends, SOON};
use std::time::{Duration, Instant};

/// Long enough for everything that waits with a back-off, on a machine that is busy.
const BACK: Duration = Duration::from_secs(30);

/// Two machines on one cable, in a call with sound.
fn on_a_cable() -> Option<(Lab, Ends)> {
    on_a_cable_with(ALONE)
}

fn on_a_cable_with(options: &[&str]) -> Option<(Lab, Ends)> {
    let lab = Lab::new(&["alice", "bob"])?;
    lab.cable("alice:eth0=10.9.0.1/24", "bob:eth0=10.9.0.2/24");
    let mut ends = Ends::begin_with_sound(&lab, options);
    ends.connected("before the trouble");
    ends.alice.hears(0.0, BACK);
    ends.bob.hears(0.0, BACK);
    Some((lab, ends))
}

/// Waits until both ends are in the call again, and says how long that took.
fn come_back(ends: &mut Ends, what: &str) {
    let since = Instant::now();
    for end in [&mut ends.alice, &mut ends.bob] {
        end.wait_for_state("connected", BACK);
        end.wait_for("path", BACK, |event| event["event"] == "path");
        end.hears(0.0, BACK);
    }
    support::measured(&format!("sound at both ends again, {what}"), since.elapsed());
}

/// No packet reaches this machine nor leaves it.
fn cut(lab: &Lab, machine: &str) {
    lab.rules(
        machine,
        "table inet cut {
           chain here {
             type filter hook input priority 0; policy drop;
           }
           chain outwards {
             type filter hook output priority 0; policy drop;
           }
         }",
    );
}

#[test]
fn a_network_that_is_gone_for_eight_seconds_interrupts_the_call_and_no_more() {
    let Some((lab, mut ends)) = on_a_cable() else { return };
    cut(&lab, "bob");
    for end in [&mut ends.alice, &mut ends.bob] {
        let said = end.wait_for_state("reconnecting", SOON);
        assert!(said["message"].as_str().is_some_and(|words| words.contains("120 seconds")), "{said}");
    }
    std::thread::sleep(Duration::from_secs(5));
    lab.run("bob", "nft delete table inet cut");
    come_back(&mut ends, "after 8 s without a network");
    ends.hang_up();
}

#[test]
fn a_friend_who_is_stopped_for_a_while_comes_back() {
    let Some((_lab, mut ends)) = on_a_cable() else { return };
    ends.bob.signal("STOP");
    ends.alice.wait_for_state("reconnecting", SOON);
    std::thread::sleep(Duration::from_secs(4));
    ends.bob.signal("CONT");
    let since = Instant::now();
    ends.alice.wait_for_state("connected", BACK);
    ends.alice.hears(0.0, BACK);
    support::measured("sound again, after a friend was stopped for 6.5 s", since.elapsed());
    ends.hang_up();
}

#[test]
fn a_friend_whose_program_was_killed_is_not_waited_for() {
    let Some((_lab, mut ends)) = on_a_cable() else { return };
    ends.bob.signal("KILL");
    let killed = Instant::now();
    let ended = ends.alice.wait_for_state("ended", SOON);
    support::measured("a killed friend noticed", killed.elapsed());
    assert!(ended["message"].as_str().is_some_and(|words| words.contains("refuses")), "{ended}");
    assert_eq!(ends.alice.exit(SOON), 4);
}

#[test]
fn a_network_that_does_not_come_back_ends_the_call_with_4_and_a_hangup_meanwhile_with_0() {
    let Some(lab) = Lab::new(&["alice", "bob"]) else { return };
    lab.cable("alice:eth0=10.9.0.1/24", "bob:eth0=10.9.0.2/24");
    let mut ends = Ends::begin(&lab, &[ALONE, &["--reconnect", "4"]].concat());
    ends.connected("before the cut");
    cut(&lab, "bob");
    for end in [&mut ends.alice, &mut ends.bob] {
        end.wait_for_state("reconnecting", SOON);
    }
    ends.bob.type_line("/hangup");
    assert_eq!(ends.bob.exit(SOON), 0);
    let ended = ends.alice.wait_for_state("ended", SOON);
    assert!(ended["message"].as_str().is_some_and(|words| words.contains("4 seconds")), "{ended}");
    assert_eq!(ends.alice.exit(SOON), 4);
}

#[test]
fn a_call_whose_network_dies_goes_on_over_the_other_one() {
    let Some(lab) = Lab::new(&["alice", "bob"]) else { return };
    lab.cable("alice:eth0=10.9.0.1/24", "bob:eth0=10.9.0.2/24");
    lab.cable("alice:eth1=10.20.0.1/24", "bob:eth1=10.20.0.2/24");
    let mut ends = Ends::begin_with_sound(&lab, ALONE);
    let first = ends.connected("two networks");
    println!("first by {first}");
    // There and back again: one of the two is the one in use.
    for interface in ["eth0", "eth1"] {
        lab.rules(
            "bob",
            &format!(
                "table inet cut {{
                   chain here {{ type filter hook input priority 0; iifname {interface} drop; }}
                   chain outwards {{ type filter hook output priority 0; oifname {interface} drop; }}
                 }}"
            ),
        );
        for end in [&mut ends.alice, &mut ends.bob] {
            // Whoever was heard until now is silent by then.
            end.hears(5.0, BACK);
        }
        lab.run("bob", "nft delete table inet cut");
    }
    assert!(ends.bob.of_kind("path").count() > 1, "by the other network");
    ends.bob.type_line("/say still here");
    ends.alice.wait_for("chat", SOON, |event| event["event"] == "chat" && event["text"] == "still here");
    ends.hang_up();
}

#[test]
fn a_machine_whose_address_changes_stays_in_its_call() {
    let Some((lab, mut ends)) = on_a_cable() else { return };
    for (machine, from, to) in [("alice", "10.9.0.1", "10.9.0.7"), ("bob", "10.9.0.2", "10.9.0.8")] {
        lab.run(machine, &format!("ip addr del {from}/24 dev eth0 && ip addr add {to}/24 dev eth0"));
        let moved = Instant::now();
        // Said into the connection that is of no use any more, before anybody has noticed.
        ends.alice.type_line(&format!("/say from {from}"));
        ends.alice.type_line(if machine == "alice" { "/video off" } else { "/video on" });
        for end in [&mut ends.alice, &mut ends.bob] {
            end.wait_for("path", BACK, |event| {
                let at = |end: &str| event[end].as_str().is_some_and(|address| address.starts_with(to));
                event["event"] == "path" && (at("local_address") || at("remote_address"))
            });
            end.hears(0.0, BACK);
        }
        support::measured(&format!("sound again after {machine} has another address"), moved.elapsed());
        let off = machine == "alice";
        let all = |event: &serde_json::Value| event["event"] == "remote" && event["video_off"] == off;
        if !ends.bob.of_kind("remote").any(all) {
            ends.bob.wait_for("what alice's camera does", SOON, all);
        }
    }
    let is_last = |event: &serde_json::Value| event["text"] == "from 10.9.0.2";
    if !ends.bob.of_kind("chat").any(is_last) {
        ends.bob.wait_for("alice's last line", SOON, is_last);
    }
    let lines: Vec<&str> = ends.bob.of_kind("chat").filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(lines, ["from 10.9.0.1", "from 10.9.0.2"], "each line once, and in order");
    ends.hang_up();
}

#[test]
fn a_sound_server_that_is_killed_and_started_again_is_all_that_falls_silent() {
    let (Some(mut pulse), Some(lab)) = (Pulse::start(), Lab::new(&["alice", "bob"])) else { return };
    lab.cable("alice:eth0=10.9.0.1/24", "bob:eth0=10.9.0.2/24");
    let folder = tempfile::tempdir().expect("a folder");
    let words = folder.path().join("words.wav");
    signal::write_wav(&words, 48_000, &signal::syllables(60, 500.0));
    let mut alice =
        lab.start_with("alice", &pulse.environment(), &["offer", "--no-servers", "--video", "none"]);
    let code = alice.wait_for_code(SOON);
    let bob = lab.p2pcall_with_a_tone("bob", &["answer", &code, "--no-servers"]);
    let mut ends = Ends { alice, bob, code, answered: Instant::now() };
    ends.connected("with devices");
    let is_loud = |event: &serde_json::Value| {
        event["audio"]["level_out_dbfs"].as_f64().is_some_and(|level| level > -40.0)
    };
    let mut speech = pulse.speak(&words);
    ends.bob.wait_for("what alice says", BACK, is_loud);
    pulse.kill();
    speech.wait().expect("a child");
    while !["microphone_lost", "speaker_lost"]
        .iter()
        .all(|code| ends.alice.events.iter().any(|event| event["code"] == *code))
    {
        ends.alice.wait_for("what is lost", BACK, |event| event["event"] == "warning");
    }
    pulse.restart();
    let since = Instant::now();
    let mut speech = pulse.speak(&words);
    ends.bob.wait_for("what alice says", BACK, is_loud);
    support::measured("heard again after the sound server was started again", since.elapsed());
    speech.kill().expect("a child");
    speech.wait().expect("a child");
    ends.hang_up();
}

#[test]
fn a_file_goes_on_where_it_stood_after_a_reconnection_on_a_bad_path() {
    let (home, away) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let path = home.path().join("film.bin");
    let content = vec![7; 10_000_000];
    std::fs::write(&path, &content).expect("written");
    let folder = ["--save-to", away.path().to_str().expect("UTF-8")];
    let Some((lab, mut ends)) = on_a_cable_with(&[ALONE, &folder].concat()) else { return };
    for machine in ["alice", "bob"] {
        lab.lose(machine, 2);
    }
    let is = |state: &'static str| {
        move |event: &serde_json::Value| event["event"] == "file" && event["state"] == state
    };
    ends.alice.type_line(&format!("/send {}", path.display()));
    ends.bob.wait_for("question", SOON, is("offered"));
    ends.bob.type_line("/accept");
    ends.bob.wait_for("a part of it", BACK, |event| {
        is("moving")(event) && event["done"].as_u64().is_some_and(|done| done > 1_000_000)
    });
    // Another address: only another connection leads on.
    lab.run("bob", "ip addr del 10.9.0.2/24 dev eth0; ip addr add 10.9.0.3/24 dev eth0");
    ends.bob.wait_for("another path", BACK, |event| {
        let at = event["local_address"].as_str();
        event["event"] == "path" && at.is_some_and(|address| address.starts_with("10.9.0.3"))
    });
    let done = ends.bob.wait_for("all of it", BACK * 4, is("done"));
    let kept = done["path"].as_str().expect("a path");
    assert!(std::fs::read(kept).expect("it is there") == content, "it is another");
    ends.alice.wait_for("the same at the sender", SOON, is("done"));
    ends.hang_up();
}
