//! Relays: calls through a real coturn, by every transport and every way to log in, what is said when it fails,
//! and the command that keeps and tests them.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, waits by the clock, and says what it measured"
)]

#[path = "relay/command.rs"]
mod command;
#[path = "relay/own.rs"]
mod own;
mod support;

use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};
use support::coturn::{ACCOUNTS, Coturn};
use support::process::Process;

const SOON: Duration = Duration::from_secs(10);
/// No device, and one address.
const BARE: [&str; 8] = ["--video", "none", "--audio", "none", "--speaker", "none", "--bind", "127.0.0.1"];

fn start(words: &[&str], more: &[&str]) -> Process {
    Process::start(&[words, &BARE, more].concat())
}

fn offer(more: &[&str]) -> (Process, String) {
    let mut process = start(&["offer"], more);
    let code = process.wait_for_code(SOON);
    (process, code)
}

/// A connected pair; prints how long it took from the answer's start.
fn connected(what: &str, offerer: &[&str], answerer: &[&str]) -> (Process, Process) {
    let (mut alice, code) = offer(offerer);
    let began = Instant::now();
    let mut bob = start(&["answer", &code], answerer);
    bob.wait_for_state("connected", SOON);
    support::measured(what, began.elapsed());
    alice.wait_for_state("connected", SOON);
    (alice, bob)
}

fn path(end: &mut Process) -> serde_json::Value {
    end.wait_for("path", SOON, |event| event["event"] == "path")
}

fn hang_up(mut alice: Process, mut bob: Process) {
    alice.type_line("/hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
}

/// Ends with 3; the last words.
fn refused(mut end: Process) -> String {
    let ended = end.wait_for_state("ended", SOON);
    assert_eq!(end.exit(SOON), 3);
    ended["message"].as_str().expect("words").to_owned()
}

fn warned_of(end: &Process, code: &str) -> bool {
    end.of_kind("warning").any(|warning| warning["code"] == code)
}

/// Relayed at both ends, by one transport.
fn relayed(transport: &str) {
    let Some(relay) = Coturn::start(ACCOUNTS) else { return };
    let link = relay.link(transport);
    let options = ["--relay-only", "--relay", &link];
    let (mut alice, mut bob) = connected(&format!("relay only, {transport}"), &options, &options);
    for end in [&mut alice, &mut bob] {
        let path = path(end);
        let said =
            [&path["kind"], &path["local"], &path["remote"], &path["protocol"]].map(|word| word.as_str());
        assert_eq!(said, ["relay", "relay", "relay", transport].map(Some), "{path}");
        assert!(!warned_of(end, "relay_silent"));
    }
    hang_up(alice, bob);
}

#[test]
fn a_call_goes_through_a_relay_over_udp() {
    relayed("udp");
}

#[test]
fn a_call_goes_through_a_relay_over_tcp() {
    relayed("tcp");
}

#[test]
fn a_call_goes_through_a_relay_over_tls_by_a_pin() {
    relayed("tls");
}

#[test]
fn the_ends_may_reach_the_relay_differently() {
    let Some(relay) = Coturn::start(ACCOUNTS) else { return };
    let (udp, tls) = (relay.link("udp"), relay.link("tls"));
    let (mut alice, mut bob) =
        connected("udp and tls", &["--relay-only", "--relay", &udp], &["--relay-only", "--relay", &tls]);
    assert_eq!((&path(&mut alice)["protocol"], &path(&mut bob)["protocol"]), (&"udp".into(), &"tls".into()));
    hang_up(alice, bob);
}

#[test]
fn a_direct_path_is_preferred_to_a_relay_at_either_end_or_both() {
    let Some(relay) = Coturn::start(ACCOUNTS) else { return };
    let (link, stun) = (relay.link("udp"), relay.stun());
    let with = ["--relay", &link, "--stun", &stun];
    let without = ["--stun", &stun];
    let ends: [(&str, &[&str], &[&str]); 3] =
        [("both", &with, &with), ("the offerer", &with, &without), ("the answerer", &without, &with)];
    for (who, offerer, answerer) in ends {
        let (mut alice, mut bob) = connected(&format!("direct, relay at {who}"), offerer, answerer);
        for end in [&mut alice, &mut bob] {
            let path = path(end);
            assert_eq!((&path["kind"], &path["protocol"]), (&"host".into(), &"udp".into()), "{who}: {path}");
        }
        hang_up(alice, bob);
    }
}

#[test]
fn a_shared_secret_is_a_login() {
    let Some(relay) = Coturn::start(&["--use-auth-secret", "--static-auth-secret=north/west"]) else {
        return;
    };
    let link = |secret: &str| format!("turn:127.0.0.1:{}?secret={secret}&transport=udp", relay.port);
    let right = link("north%2Fwest");
    let options = ["--relay-only", "--relay", &right];
    let (mut alice, bob) = connected("a secret", &options, &options);
    assert_eq!(path(&mut alice)["kind"], "relay");
    hang_up(alice, bob);
    let message = refused(start(&["offer"], &["--relay-only", "--relay", &link("south")]));
    assert!(message.contains("another secret, or a clock is wrong"), "{message}");
}

#[test]
fn a_wrong_password_is_named_at_both_ends_and_is_final_only_where_nothing_else_is_allowed() {
    let Some(relay) = Coturn::start(ACCOUNTS) else { return };
    let (right, wrong) = (relay.link("udp"), relay.link_of("alice:wrong", "udp"));
    let began = Instant::now();
    let mut alice = start(&["offer"], &["--relay-only", "--relay", &wrong]);
    alice.wait_for("warning", SOON, |event| event["code"] == "relay_password");
    assert!(refused(alice).contains("refused the password"));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());

    let (_alice, code) = offer(&["--relay-only", "--relay", &right]);
    let mut bob = start(&["answer", &code], &["--relay-only", "--relay", &wrong]);
    bob.wait_for("warning", SOON, |event| event["code"] == "relay_password");
    assert!(refused(bob).contains("refused the password"));

    let stun = relay.stun();
    let mistaken = ["--relay", &wrong, "--stun", &stun];
    let (alice, bob) = connected("direct, wrong passwords", &mistaken, &mistaken);
    for end in [&alice, &bob] {
        let said = end.of_kind("warning").filter(|warning| warning["code"] == "relay_password").count();
        assert_eq!(said, 1);
    }
    hang_up(alice, bob);
}

/// Takes everything and says nothing, over UDP and TCP.
fn black_hole() -> (UdpSocket, TcpListener, String) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = tcp.local_addr().expect("bound");
        if let Ok(udp) = UdpSocket::bind(address) {
            return (udp, tcp, address.to_string());
        }
    }
}

#[test]
fn servers_that_say_nothing_hold_an_offer_up_for_less_than_three_seconds() {
    let (_udp, _tcp, nobody) = black_hole();
    let link = format!("turn:alice:right@{nobody}");
    let silent: [&[&str]; 2] =
        [&["--relay", &link, "--stun", "127.0.0.1:9"], &["--relay", &link, "--stun", &nobody]];
    for options in silent {
        let began = Instant::now();
        let (mut alice, code) = offer(options);
        let took = began.elapsed();
        support::measured("code with silent servers", took);
        assert!(took < Duration::from_secs(3), "{took:?}");
        let relay_silent = |event: &serde_json::Value| event["code"] == "relay_silent";
        if !warned_of(&alice, "relay_silent") {
            alice.wait_for("warning", SOON, relay_silent);
        }
        let began = Instant::now();
        let mut bob = start(&["answer", &code], options);
        bob.wait_for_state("connected", SOON);
        support::measured("direct, silent servers", began.elapsed());
        alice.wait_for_state("connected", SOON);
        hang_up(alice, bob);
    }
    let message = refused(start(&["offer"], &["--relay-only", "--relay", &link]));
    assert!(message.contains("does not answer over UDP or TCP"), "{message}");
}

#[test]
fn a_relay_only_code_tells_nothing_but_the_relay() {
    let Some(relay) = Coturn::start(ACCOUNTS) else { return };
    let link = relay.link("udp");
    let (_alice, code) = offer(&["--relay-only", "--relay", &link]);
    let output = Command::new(env!("CARGO_BIN_EXE_p2pcall")).args(["code", &code, "--json"]).output();
    let said: serde_json::Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("JSON");
    let addresses = said["addresses"].as_array().expect("a list");
    assert!(!addresses.is_empty() && addresses.iter().all(|item| item["type"] == "relay"), "{said}");
    assert_eq!(said["relay"], true, "{said}");
}

#[test]
fn a_relay_that_is_started_again_while_an_offer_waits_means_another_code() {
    for only in [true, false] {
        let Some(mut relay) = Coturn::start(ACCOUNTS) else { return };
        let (link, stun) = (relay.link("tcp"), relay.stun());
        let more: &[&str] = if only { &["--relay-only"] } else { &["--stun", &stun] };
        let options = [&["--relay", &link], more].concat();
        let (mut alice, old) = offer(&options);
        relay.kill();
        alice.wait_for("warning", SOON, |event| event["code"] == "relay_lost");
        // As long as it is away, the code's other addresses are good.
        assert!(
            alice.of_kind("code").count() == 1
                && alice.of_kind("state").all(|state| state["state"] != "ended")
        );
        // Its certificate is another one, its ports are the same.
        let Some(_again) = relay.again(ACCOUNTS) else { return };
        let code = alice.wait_for_code(SOON);
        assert_ne!(code, old);
        let mut bob = start(&["answer", &code], &options);
        bob.wait_for_state("connected", SOON);
        alice.wait_for_state("connected", SOON);
        hang_up(alice, bob);
    }
}

#[test]
fn a_relay_that_dies_in_mid_call_and_stays_dead_ends_the_call_with_4_and_is_suspected() {
    for transport in ["udp", "tcp"] {
        let Some(mut relay) = Coturn::start(ACCOUNTS) else { return };
        let link = relay.link(transport);
        let options = ["--relay-only", "--relay", &link, "--reconnect", "4"];
        let (mut alice, mut bob) = connected("relay only, to be killed", &options, &options);
        relay.kill();
        let began = Instant::now();
        for end in [&mut alice, &mut bob] {
            let ended = end.wait_for_state("ended", SOON);
            assert_eq!(ended["reason"], "failed");
            assert!(ended["message"].as_str().expect("words").contains("relay"), "{ended}");
            assert_eq!(end.exit(SOON), 4);
        }
        support::measured(&format!("a dead relay noticed, {transport}"), began.elapsed());
    }
}
