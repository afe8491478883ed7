//! What strangers can do to a waiting offer: whatever they try, the friend still gets through, and nothing of
//! theirs reaches the screen.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, waits by the clock, and says what it measured"
)]

mod support;

use p2pcall::call::channel::{DescriptionKind, Message, Talk};
use p2pcall::code::OfferCode;
use p2pcall::code::facts::{Offer, Secret};
use p2pcall_relay::stun::{Builder, Class, Key, Method, Seal, TransactionId, attr};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use support::process::{Process, QUIET, answer, offer};
use support::stranger::{Stranger, addresses, read_code};

const SOON: Duration = Duration::from_secs(10);
/// The friend gets through within this, whatever strangers do.
const AT_LAST: Duration = Duration::from_secs(7);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Another address of this machine.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const BOUND: [&str; 2] = ["--bind", "127.0.0.1"];

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// A friend answers and is connected in time; says how long it took.
fn friend_gets_through(what: &str, alice: &mut Process, code: &str) {
    let began = Instant::now();
    let mut bob = answer(code, &["--bind", "127.0.0.1", "--name", "Bob"]);
    bob.wait_for_state("connected", AT_LAST);
    support::measured(what, began.elapsed());
    assert!(began.elapsed() <= AT_LAST, "{:?}", began.elapsed());
    assert_eq!(alice.wait_for_state("answered", SOON)["name"], "Bob");
    alice.wait_for_state("connected", SOON);
    alice.type_line("/hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
}

#[test]
fn a_stranger_who_stays_silent_does_not_keep_the_friend_out() {
    let (mut alice, code) = offer(&BOUND);
    let runtime = runtime();
    let strangers = runtime.block_on(async {
        let read = read_code(&code);
        [Stranger::ring(&read, HERE).await, Stranger::ring(&read, ELSEWHERE).await]
    });
    friend_gets_through("two silent strangers", &mut alice, &code);
    drop(strangers);
}

#[test]
fn a_stranger_with_a_wrong_authentication_does_not_keep_the_friend_out() {
    let (mut alice, code) = offer(&BOUND);
    let runtime = runtime();
    let _strangers = runtime.block_on(async {
        let read = read_code(&code);
        let mut strangers = Vec::new();
        let wrong: [&[u8]; 4] =
            [&Message::Auth([0x55; 32]).encode(), b"\x01", b"{\"type\":\"accepted\"}", &[0; 4_000]];
        for wrong in wrong {
            let stranger = Stranger::ring(&read, HERE).await;
            stranger.send(wrong).await;
            strangers.push(stranger);
        }
        strangers
    });
    friend_gets_through("wrong authentications", &mut alice, &code);
    assert_eq!(alice.of_kind("verify").count(), 1, "nobody but the friend was let that far");
}

#[test]
fn a_stranger_who_rings_again_and_again_does_not_keep_the_friend_out() {
    for from in [HERE, ELSEWHERE] {
        let (mut alice, code) = offer(&BOUND);
        let read = read_code(&code);
        let runtime = runtime();
        let ringing = runtime.spawn(async move {
            let mut strangers = std::collections::VecDeque::new();
            loop {
                strangers.push_back(Stranger::ring(&read, from).await);
                if strangers.len() > 12 {
                    strangers.pop_front();
                }
            }
        });
        std::thread::sleep(Duration::from_secs(2));
        friend_gets_through(&format!("a stranger ringing without end from {from}"), &mut alice, &code);
        ringing.abort();
    }
}

/// Sends what `datagram` makes, `rate` times a second, from `from`, until dropped or five seconds have passed.
struct Flood {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    fn begin(
        to: SocketAddr,
        from: IpAddr,
        rate: u32,
        datagram: impl Fn(u64) -> Vec<u8> + Clone + Send + 'static,
    ) -> Self {
        const SOCKETS: u32 = 4;
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..SOCKETS).map(|number| {
            let (stop, datagram) = (Arc::clone(&stop), datagram.clone());
            let socket = UdpSocket::bind((from, 0)).expect("a socket");
            std::thread::spawn(move || {
                let began = Instant::now();
                let mut sent = 0u32;
                while !stop.load(Ordering::Relaxed) && began.elapsed() < Duration::from_secs(5) {
                    let due = (began.elapsed().as_secs_f64() * f64::from(rate / SOCKETS)) as u32;
                    while sent < due {
                        sent += 1;
                        let bytes = datagram(u64::from(number) << 32 | u64::from(sent));
                        let _ = socket.send_to(&bytes, to);
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            })
        });
        Self { threads: threads.collect(), stop }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A check of an answerer with this tie-breaker.
fn check(code: &OfferCode, tie_breaker: u64, password: &str) -> Vec<u8> {
    let keys = code.keys();
    let mut id = [0; 12];
    id[..8].copy_from_slice(&tie_breaker.to_be_bytes());
    let name = format!("{}:{}", keys.offer_ice.ufrag, keys.answer_ice.ufrag);
    let mut buffer = [0; 256];
    Builder::new(&mut buffer, Class::Request, Method::BINDING, TransactionId(id))
        .put(attr::USERNAME, name.as_str())
        .put(attr::ICE_CONTROLLED, tie_breaker)
        .finish(Seal::signed(&Key::short_term(password)).with_fingerprint())
        .expect("it fits")
        .to_vec()
}

/// The friend answers in the middle of a flood.
fn through_a_flood(
    what: &str,
    from: IpAddr,
    rate: u32,
    datagram: impl Fn(&OfferCode, u64) -> Vec<u8> + Clone + Send + 'static,
) {
    let (mut alice, code) = offer(&BOUND);
    let read = read_code(&code);
    let to = addresses(&read)[0];
    let flood = Flood::begin(to, from, rate, move |number| datagram(&read, number));
    std::thread::sleep(Duration::from_secs(1));
    friend_gets_through(what, &mut alice, &code);
    drop(flood);
}

#[test]
fn a_flood_of_wrong_passwords_does_not_keep_the_friend_out() {
    through_a_flood("1,000 wrong passwords a second", HERE, 1_000, |code, number| {
        check(code, number, "not the password of this code")
    });
}

#[test]
fn a_flood_of_rings_does_not_keep_the_friend_out() {
    // Each of them is right, and would be a caller of its own.
    through_a_flood("1,000 rings a second", ELSEWHERE, 1_000, |code, number| {
        check(code, number, &code.keys().offer_ice.pwd)
    });
}

#[test]
fn garbage_does_not_keep_the_friend_out() {
    through_a_flood("garbage", HERE, 1_000, |code, number| {
        let good = check(code, number, &code.keys().offer_ice.pwd);
        let cut = (number as usize * 7) % good.len();
        match number % 5 {
            0 => good[..cut].to_vec(),
            1 => good.iter().map(|byte| byte ^ 0xA5).collect(),
            2 => vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255],
            3 => vec![0x80; 1 + cut * 11],
            _ => {
                let mut flipped = good;
                flipped[cut] ^= 0x40;
                flipped
            }
        }
    });
}

#[test]
fn where_a_stranger_was_first_the_friend_is_told_that_the_code_was_used() {
    let (mut alice, code) = offer(&BOUND);
    let runtime = runtime();
    let mut stranger = runtime.block_on(Stranger::ring(&read_code(&code), HERE));
    runtime.block_on(stranger.authenticate());
    let began = Instant::now();
    let mut bob = answer(&code, &BOUND);
    let ended = bob.wait_for_state("ended", SOON);
    support::measured("told that the code was used", began.elapsed());
    assert!(ended["message"].as_str().expect("words").contains("already used"), "{ended}");
    assert_eq!(bob.exit(SOON), 3);
    // The stranger never says who it is.
    assert_eq!(alice.wait_for_state("ended", SOON)["reason"], "error");
    assert_eq!(alice.exit(SOON), 3);
}

#[test]
fn a_code_of_another_call_finds_nobody_and_says_so() {
    let (mut alice, code) = offer(&BOUND);
    let read = read_code(&code);
    let other = Offer { secret: Secret([9; 16]), ..read.offer().clone() };
    let other = OfferCode::new(other).expect("a code").text();
    let began = Instant::now();
    let mut bob = answer(&other, &["--bind", "127.0.0.1", "--timeout", "6"]);
    let ended = bob.wait_for_state("ended", SOON);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(ended["message"].as_str().expect("words").contains("No path"), "{ended}");
    assert!(ended["help"].as_str().expect("words").contains("this very code"), "{ended}");
    assert_eq!(bob.exit(SOON), 3);
    friend_gets_through("after somebody with another code", &mut alice, &code);
}

#[test]
fn a_code_with_another_fingerprint_is_no_connection() {
    // Right addresses and secret, so other keys: nobody answers, whoever is there.
    let (_alice, code) = offer(&BOUND);
    let read = read_code(&code);
    let fingerprint = p2pcall::code::facts::Fingerprint::of(&[3; 32], false);
    let other = OfferCode::new(Offer { fingerprint, ..read.offer().clone() }).expect("a code").text();
    let mut bob = answer(&other, &["--bind", "127.0.0.1", "--timeout", "3"]);
    bob.wait_for_state("ended", SOON);
    assert_eq!(bob.exit(SOON), 3);
}

/// What a hostile friend says once it is let in.
fn hostilities() -> Vec<Vec<u8>> {
    let text = |text: &str| text.as_bytes().to_vec();
    let long = "x".repeat(60_000);
    vec![
        text("{\"type\":\"from_the_future\",\"text\":\"\u{1b}[31mred\"}"),
        text("{\"type\":\"chat\""),
        text("[[[[[[[[[[[[[[[["),
        "[".repeat(50_000).into_bytes(),
        text(
            "{\"type\":\"chat\",\"text\":\"\\u001b]0;owned\\u0007\\u001b[2Jand\\r\\nmore\\u0000\\u009b31m\\u202eevil\"}",
        ),
        format!("{{\"type\":\"chat\",\"text\":\"{long}\"}}").into_bytes(),
        vec![b'x'; 65_000],
        vec![0xFF; 1_000],
        vec![],
        vec![1],
        vec![1; 33],
        text("{\"type\":\"seen\",\"address\":\"[::ffff:0:0%\u{1b}]:1\"}"),
        text("{\"type\":\"sas_commit\",\"digest\":\"00\"}"),
        text("{\"type\":\"hello\",\"name\":\"another\",\"candidates\":[]}"),
        text("{\"type\":\"accepted\"}"),
        text("{\"type\":\"devices\",\"muted\":true,\"video_off\":true}"),
    ]
}

const HOSTILE_HELLO: &[u8] =
    b"{\"type\":\"hello\",\"name\":\"Mal\\u001b[31m\\u0007\\nlory\\u009b\",\"candidates\":[]}";

fn be_hostile(code: &str) -> (tokio::runtime::Runtime, Stranger) {
    let runtime = runtime();
    let stranger = runtime.block_on(async {
        let mut stranger = Stranger::ring(&read_code(code), HERE).await;
        stranger.join(HOSTILE_HELLO).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        for message in hostilities() {
            stranger.send(&message).await;
        }
        stranger.send(&Message::Talk(Talk::Chat { text: "the last word".into(), number: 1 }).encode()).await;
        stranger
    });
    (runtime, stranger)
}

fn is_clean(text: &str) -> bool {
    !text.chars().any(|c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c))
}

#[test]
fn hostile_messages_of_an_authenticated_friend_come_out_harmless_in_json() {
    let (mut alice, code) = offer(&BOUND);
    let (runtime, stranger) = be_hostile(&code);
    alice.wait_for("last word", SOON, |event| event["text"] == "the last word");
    for event in &alice.events {
        let mut strings = vec![event.clone()];
        while let Some(value) = strings.pop() {
            match value {
                serde_json::Value::String(text) => assert!(is_clean(&text), "{text:?}"),
                serde_json::Value::Array(items) => strings.extend(items),
                serde_json::Value::Object(fields) => {
                    strings.extend(fields.into_iter().map(|(_, value)| value));
                }
                _ => {}
            }
        }
    }
    assert_eq!(alice.of_kind("state").filter(|state| state["state"] == "answered").count(), 1);
    // Somebody else's certificate in mid-call ends it.
    let replaced =
        Talk::Description { kind: DescriptionKind::Offer, sdp: "v=0\r\na=fingerprint:sha-256 00\r\n".into() };
    runtime.block_on(stranger.send(&Message::Talk(replaced).encode()));
    let ended = alice.wait_for_state("ended", SOON);
    assert!(ended["message"].as_str().expect("words").contains("another certificate"), "{ended}");
    assert_eq!(alice.exit(SOON), 1);
}

#[test]
fn hostile_messages_of_an_authenticated_friend_come_out_harmless_in_plain_lines() {
    let mut alice = Command::new(env!("CARGO_BIN_EXE_p2pcall"))
        .args(["offer", "--headless"])
        .args(QUIET)
        .args(BOUND)
        .env("XDG_CONFIG_HOME", "/proc/none")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = BufReader::new(alice.stdout.take().expect("piped"));
    let mut said = String::new();
    let code = loop {
        let from = said.len();
        assert!(output.read_line(&mut said).expect("text") > 0, "{said}");
        if let Some(word) = said[from..].split_whitespace().find(|word| word.starts_with("P2P")) {
            break word.to_owned();
        }
    };
    let (_runtime, _stranger) = be_hostile(&code);
    while !said.ends_with("the last word\n") {
        assert!(output.read_line(&mut said).expect("text") > 0, "{said}");
    }
    writeln!(alice.stdin.take().expect("piped"), "/hangup").expect("it reads");
    output.read_to_string(&mut said).expect("text");
    assert!(is_clean(&said), "{said:?}");
    assert_eq!(alice.wait().expect("it ends").code(), Some(0));
}

/// Runs `answer -` with this on standard input.
fn refused(input: &[u8]) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_p2pcall"))
        .args(["answer", "-", "--headless", "--timeout", "1"])
        .args(QUIET)
        .env("XDG_CONFIG_HOME", "/proc/none")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // It need not read to the end.
    let _ = child.stdin.take().expect("piped").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn mutated_codes_are_refused_with_2_in_words() {
    let (_alice, code) = offer(&BOUND);
    let at = |position: usize, with: &str| {
        let mut text = code.clone();
        text.replace_range(position..=position, with);
        text
    };
    let mut wrong: Vec<Vec<u8>> = (3..code.len()).step_by(6).map(|cut| code[..cut].into()).collect();
    for position in (4..code.len()).step_by(7) {
        let other = if &code[position..=position] == "7" { "8" } else { "7" };
        wrong.push(at(position, other).into());
        wrong.push(at(position, "").into());
    }
    wrong.extend([
        b"Hello, shall we talk at eight?".to_vec(),
        "привет 你好 \u{1b}[31m".into(),
        vec![0; 5_000],
        vec![0xFF; 5_000],
        b"{\"type\":\"offer\",\"sdp\":\"\"}".to_vec(),
        b"P2P".repeat(300_000),
        (0..1_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
        vec![b'A'; 1 << 20],
    ]);
    for text in wrong {
        let began = Instant::now();
        let (exit, words) = refused(&text);
        let shown = String::from_utf8_lossy(&text[..text.len().min(150)]).into_owned();
        assert_eq!(exit, Some(2), "{shown:?}: {words}");
        assert!(!words.contains("panicked") && is_clean(&words) && words.len() > 10, "{shown:?}: {words:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{shown:?}: {:?}", began.elapsed());
    }
}
