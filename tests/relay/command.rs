//! `p2pcall relay`: what is stored, in a home of its own, and what a test of a relay says.

use super::support::own_relay::OwnRelay;
use super::support::process::Process;
use super::{BARE, SOON, path};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A home with nothing in it.
struct Home(tempfile::TempDir);

/// What came of a command.
struct Said {
    exit: Option<i32>,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("p2pcall/config.toml")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file()).expect("it is there")
    }

    /// `p2pcall relay ARGS` with something on standard input.
    fn relay(&self, args: &[&str], input: &str) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_p2pcall"))
            .arg("relay")
            .args(args)
            .env("XDG_CONFIG_HOME", self.0.path())
            .env_remove("P2PCALL_RELAY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        // One that does not read has ended before, which is no harm.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { exit: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

#[test]
fn a_relay_is_stored_for_its_owner_only_listed_without_its_secret_and_forgotten() {
    let home = Home::new();
    let mine = "# how I am called\nname = \"Alice\"\n";
    std::fs::create_dir_all(home.file().parent().expect("a folder")).expect("made");
    std::fs::write(home.file(), mine).expect("written");

    // As `p2pcall-relay link | p2pcall relay add -` brings it.
    let printed = "turn:relay.example.org:3478?secret=hush\nturns:relay.example.org:443?secret=hush\n\u{1b}[30m▀▀\u{1b}[0m\n";
    let added = home.relay(&["add", "-"], printed);
    assert_eq!(added.exit, Some(0), "{}", added.err);
    let file = home.file().display().to_string();
    assert!(added.out.contains("`relay.example.org`") && added.out.contains(&file), "{}", added.out);
    assert!(added.out.contains("`relay.example.org-tls`") && !added.out.contains("hush"), "{}", added.out);
    assert!(home.text().starts_with(mine), "{}", home.text());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(home.file()).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    let listed = home.relay(&["list"], "").out;
    assert!(listed.contains("turns:relay.example.org:443") && !listed.contains("hush"), "{listed}");
    let again = home.relay(&["add", "turn:relay.example.org?secret=hush", "--name", "again"], "");
    assert!(again.exit == Some(2) && again.err.contains("stored already"), "{}", again.err);
    let unknown = home.relay(&["remove", "nobody"], "");
    assert!(unknown.exit == Some(2) && unknown.err.contains("relay.example.org-tls"), "{}", unknown.err);
    for name in ["relay.example.org", "relay.example.org-tls"] {
        assert_eq!(home.relay(&["remove", name], "").exit, Some(0));
    }
    assert!(home.text().starts_with(mine) && !home.text().contains("turn"), "{}", home.text());
    assert!(home.relay(&["list"], "").out.contains("relay add"));
}

#[test]
fn what_is_no_link_is_refused_in_words_and_nothing_is_written() {
    let home = Home::new();
    for (link, says) in [
        ("relay.example.org", "begins with turn: or turns:"),
        ("turn:h?secret=", "its secret is empty"),
        ("turn:alice@h", "USER:PASSWORD"),
    ] {
        for (args, input) in [(["add", link], ""), (["add", "-"], link), (["check", "-"], link)] {
            let said = home.relay(&args, input);
            assert!(said.exit == Some(2) && said.err.contains(says), "{args:?}: {}", said.err);
        }
    }
    assert!(!home.file().exists());
}

#[test]
fn a_call_takes_its_relay_from_the_config_file() {
    let (home, relay) = (Home::new(), OwnRelay::here());
    assert_eq!(home.relay(&["add", "-", "--name", "mine"], &relay.udp_link()).exit, Some(0));
    let environment = [("XDG_CONFIG_HOME", home.0.path().to_owned())];
    let start = |words: &[&str]| {
        Process::start_with(&environment, &[], &[words, &BARE, &["--relay-only"][..]].concat())
    };
    let mut alice = start(&["offer"]);
    let code = alice.wait_for_code(SOON);
    let mut bob = start(&["answer", &code]);
    for end in [&mut alice, &mut bob] {
        end.wait_for_state("connected", SOON);
        assert_eq!(path(end)["kind"], "relay");
    }
    super::hang_up(alice, bob);
}

#[test]
fn a_relay_that_works_is_said_to_work_step_by_step() {
    let (home, relay) = (Home::new(), OwnRelay::here());
    let said = home.relay(&["check", &relay.udp_link(), "--json"], "");
    assert_eq!(said.exit, Some(0), "{}{}", said.out, said.err);
    let report: serde_json::Value = serde_json::from_str(&said.out).expect("one object");
    let steps = report["steps"].as_array().expect("a list");
    let names: Vec<_> = steps.iter().filter_map(|step| step["name"].as_str()).collect();
    assert_eq!(names, ["resolve", "udp", "auth", "allocate", "echo", "doorbell", "guest"]);
    assert!(steps.iter().all(|step| step["ok"] == true), "{report}");
    assert_eq!((&report["v"], &report["outside"]), (&1.into(), &false.into()));
    assert!(report["loss"].is_number() && report["jitter_ms"].is_number(), "{report}");
    assert!(!said.out.contains("north"));

    // Without a link: all that are stored, in words.
    assert_eq!(home.relay(&["add", &relay.udp_link(), "--name", "mine"], "").exit, Some(0));
    let said = home.relay(&["check"], "");
    assert!(said.exit == Some(0) && said.out.starts_with("mine: turn:127.0.0.1"), "{}", said.out);
    assert!(said.out.contains("The relay works, as seen from its own network."), "{}", said.out);
}

#[test]
fn a_relay_that_does_not_work_is_named_with_what_to_do() {
    let (home, relay) = (Home::new(), OwnRelay::here());
    let closed = format!("turn:127.0.0.1:{}?secret=north", super::support::coturn::free_port());
    for (link, says) in [
        (format!("{}&transport=udp", relay.link_of("south")), "another secret than the link;"),
        (closed, "nothing listens for udp"),
        ("turn:127.0.0.1:9".to_owned(), "The relay does not work."),
    ] {
        let said = home.relay(&["check", &link], "");
        assert!(said.exit == Some(1) && said.out.contains(says), "{}{}", said.out, said.err);
    }
    let unknown = home.relay(&["check", "nobody"], "");
    assert!(unknown.exit == Some(2) && unknown.err.contains("no relay `nobody`"), "{}", unknown.err);
    assert_eq!(home.relay(&["check"], "").exit, Some(2));
}
