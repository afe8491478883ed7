//! The program as somebody runs it: what it prints, what it keeps, how it ends.
#![cfg(all(unix, feature = "server"))]
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

#[path = "support/running.rs"]
mod running;

use std::path::Path;
use std::process::{Command, Output};

use p2pcall_relay::link::{Link, Login};
use running::{Running, program, state};

fn run(state: &Path, words: &[&str]) -> Output {
    program(state, words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_relay_makes_its_secret_once_and_shows_it_once() {
    let state = state("secret");
    let listen = ["--listen", "127.0.0.1:0", "--tls", "127.0.0.1:0"];
    let first = Running::start(&state, &listen);
    let link: Link = first.printed.first().unwrap().parse().unwrap();
    assert!(matches!(link.login, Login::Secret(_)));
    assert!(first.ready().starts_with("ready udp ") || first.ready().starts_with("ready udp+tcp "));
    assert_eq!(first.end().0, Some(0));
    let second = Running::start(&state, &listen);
    assert_eq!(second.printed.len(), 1, "only that it is ready: {:?}", second.printed);
    assert_eq!(second.end().0, Some(0));
    let again = text(&run(&state, &["link", "--listen", "127.0.0.1:3478"]).stdout);
    let again: Link = again.lines().next().unwrap().parse().unwrap();
    assert_eq!(again.login, link.login);
    let credentials = text(&run(&state, &["credentials", "--name", "bob", "--ttl", "1h"]).stdout);
    let lines: Vec<_> = credentials.lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert!(matches!(lines.as_slice(), [("user", user), ("password", _)] if user.ends_with(":bob")));
}

#[test]
#[cfg(target_os = "linux")]
fn a_new_secret_is_not_told_to_a_journal() {
    use std::os::unix::fs::MetadataExt as _;
    let state = state("journal");
    let journal = state.join("journal");
    let file = std::fs::File::create(&journal).unwrap();
    let about = file.metadata().unwrap();
    let mut relay = program(&state, &["--listen", "127.0.0.1:0"]);
    relay.env("JOURNAL_STREAM", format!("{}:{}", about.dev(), about.ino()));
    let mut relay = relay.stdout(file).spawn().unwrap();
    let written = || std::fs::read_to_string(&journal).unwrap();
    let ready = (0..600).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        written().contains("ready ")
    });
    relay.kill().unwrap();
    relay.wait().unwrap();
    assert!(ready && !written().contains("secret="), "{}", written());
}

#[test]
fn a_running_relay_reads_its_users_again_and_passes_a_check() {
    let state = state("reload");
    let users = state.join("users");
    std::fs::write(&users, "# friends\nalice:one\n").unwrap();
    let path = users.display().to_string();
    // The same port for UDP and TCP, as the link wants it: one that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let relay =
        Running::start(&state, &["--listen", &address, "--users-file", &path, "--log-format", "json"]);
    let check = |password: &str| {
        let link = format!("turn:alice:{password}@{address}");
        let output = run(&state, &["check", &link, "--json"]);
        (output.status.success(), text(&output.stdout))
    };
    let (works, report) = check("one");
    assert!(works && report.starts_with('{') && report.contains("\"name\":\"echo\",\"ok\":true"), "{report}");
    std::fs::write(&users, "alice:two\n").unwrap();
    relay.signal("-HUP");
    let tries = (0..50).find(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        check("two").0
    });
    assert!(tries.is_some(), "the new password is taken");
    assert!(!check("one").0, "the old one is not");
    let (code, log) = relay.end();
    assert_eq!(code, Some(0));
    assert!(log.contains("\"message\":\"allocated\"") && !log.contains("two"), "{log}");
}

#[test]
fn what_is_wrong_is_named_and_told_by_the_exit_code() {
    let state = state("wrong");
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let holder = std::net::UdpSocket::bind(taken).unwrap();
    let busy = run(&state, &["--listen", &holder.local_addr().unwrap().to_string()]);
    assert_eq!(busy.status.code(), Some(1));
    assert!(text(&busy.stderr).contains(&taken.to_string()), "{}", text(&busy.stderr));
    for (words, said) in [
        (&["--listen", "nonsense"][..], "--listen"),
        (&["--port-range", "9-1"], "--port-range"),
        (&["--user", "alice"], "--user"),
        (&["check", "http://x"], "turn:"),
        (&["--config", "/nowhere/at/all.toml"], "/nowhere/at/all.toml"),
    ] {
        let output = run(&state, words);
        let expect = if words.contains(&"--config") { 1 } else { 2 };
        assert_eq!(output.status.code(), Some(expect), "{words:?}");
        assert!(text(&output.stderr).contains(said), "{words:?}: {}", text(&output.stderr));
    }
}

#[test]
fn manual_and_completions_come_out_of_the_program() {
    let program =
        |words: &[&str]| Command::new(env!("CARGO_BIN_EXE_p2pcall-relay")).args(words).output().unwrap();
    assert!(text(&program(&["man"]).stdout).contains(".TH p2pcall-relay 1"));
    assert!(text(&program(&["completions", "bash"]).stdout).contains("complete -F"));
}
