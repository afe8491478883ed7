//! What `p2pcall diagnose` says in a laboratory.

use super::kind::{Kind, Path};
use super::relay::Relay;
use super::servant::{Manner, Servant};
use super::truth::{Asked, Truth};
use super::world::{SERVER, SERVER_SECOND, World};
use crate::support::process::{Process, said};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

/// What was said.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) said: Value,
    pub(crate) exit: i32,
    pub(crate) took: Duration,
}

impl Diagnosis {
    /// What of it is true of a network of this kind; the laboratory's own routers are passed twice, by their kernel:
    /// where that hides the next one, "no" can't be known, and must not be said.
    pub(crate) fn is(&self, truth: &Truth) -> bool {
        let nat = ["/nat/mapping", "/nat/filtering", "/nat/ports"].map(|at| self.word(at));
        let cgnat = self.word("/nat/cgnat");
        self.word("/verdict") == truth.verdict
            && self.exit == truth.exit
            && nat == [truth.mapping, truth.filtering, truth.ports]
            && (cgnat == truth.cgnat || (truth.cgnat == "no" && cgnat == "unknown"))
    }

    /// The line about something, if there is one.
    pub(crate) fn line(&self, area: &str) -> &str {
        let lines = self.said["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
        let line = lines.iter().find(|line| line["area"] == area);
        line.and_then(|line| line["text"].as_str()).unwrap_or_default()
    }

    /// A text in it, by its path.
    pub(crate) fn word(&self, pointer: &str) -> &str {
        self.said.pointer(pointer).and_then(Value::as_str).unwrap_or("")
    }
}

/// Whether a code takes too long on a slow machine.
const SOON: Duration = Duration::from_secs(20);

/// Diagnoses this kind of network; `None` where there can be no laboratory.
pub(crate) fn diagnose(kind: Kind, asked: Asked) -> Option<Diagnosis> {
    let world = World::new([kind.into(), Kind::Public.into()])?;
    Some(diagnose_in(&world, asked))
}

/// The same of a network that is there.
pub(crate) fn diagnose_in(world: &World, asked: Asked) -> Diagnosis {
    let servers = |addresses: &[&str]| -> Vec<String> {
        addresses.iter().flat_map(|address| ["--stun".to_owned(), (*address).to_owned()]).collect()
    };
    let [first, second] = [SERVER, SERVER_SECOND].map(|ip| format!("{ip}:3478"));
    match asked {
        Asked::Relay => {
            let relay = Relay::start(world);
            run(world, "alice", &[Relay::stun(), relay.options()].concat())
        }
        Asked::RelayWithOneAddress => {
            let relay = Relay::with_one_address(world);
            run(world, "alice", &[Relay::stun(), relay.options()].concat())
        }
        Asked::TwoPorts => {
            let _relay = Relay::with_one_address(world);
            run(world, "alice", &Relay::stun())
        }
        Asked::Plain => {
            let _both = [&first, &second].map(|at| Servant::stun(world, "server", at, Manner::Plain));
            run(world, "alice", &servers(&[&first, &second]))
        }
        Asked::Nobody => {
            // Discard: nobody answers there.
            let _relay = Relay::start(world);
            run(world, "alice", &servers(&[&format!("{SERVER}:9")]))
        }
    }
}

/// Which path somebody expects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub(crate) path: Path,
    pub(crate) sure: bool,
}

impl Said {
    fn of(prediction: &Value) -> Self {
        let path = match prediction["path"].as_str() {
            Some("direct" | "direct_ipv6") => Path::Direct,
            Some("relay") => Path::Relay,
            Some("none") => Path::None,
            other => panic!("{other:?} is no path: {prediction}"),
        };
        Self { path, sure: prediction["sure"] == true }
    }
}

/// Which path a call of two takes, and what was said of it beforehand.
#[derive(Debug)]
pub(crate) struct Foreseen {
    pub(crate) found: Path,
    /// By `p2pcall code`, which knows the code alone.
    pub(crate) code: Said,
    pub(crate) diagnose: Said,
    /// By `p2pcall answer`, which measures nothing for it.
    pub(crate) answer: Said,
}

/// Alice makes a code, bob asks everybody which path to expect, and calls.
pub(crate) fn foresee(alice: Kind, bob: Kind) -> Option<Foreseen> {
    let world = World::new([alice.into(), bob.into()])?;
    let relay = Relay::start(&world);
    let stun = ["--stun", &format!("{SERVER}:3478"), "--stun", &format!("{SERVER_SECOND}:3478")];
    let mut options: Vec<String> = stun.map(str::to_owned).into();
    options.extend(relay.options());
    let words: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut offerer: Process = world.lab.p2pcall("alice", &[&["offer"], words.as_slice()].concat());
    let code = offerer.wait_for_code(SOON);
    let by_code = said(&["code", &code]);
    let asked = [&options[..], &["--with".to_owned(), code.clone()]].concat();
    let diagnosed = run(&world, "bob", &asked);
    let mut answerer = world.lab.p2pcall("bob", &[&["answer", &code], words.as_slice()].concat());
    let path = answerer.latest("path", SOON);
    let expected = answerer.latest("prediction", SOON);
    Some(Foreseen {
        found: if path["kind"] == "relay" { Path::Relay } else { Path::Direct },
        code: Said::of(&by_code["prediction"]),
        diagnose: Said::of(&diagnosed.said["prediction"]),
        answer: Said::of(&expected),
    })
}

/// `p2pcall diagnose --json` with these options on somebody's machine.
pub(crate) fn run(world: &World, who: &str, options: &[String]) -> Diagnosis {
    let before = world.lab.before(who);
    let began = Instant::now();
    let output = Command::new(&before[0])
        .args(&before[1..])
        .args([env!("CARGO_BIN_EXE_p2pcall"), "diagnose", "--json"])
        .args(options)
        .env("XDG_CONFIG_HOME", "/proc/none")
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let said = serde_json::from_str(&text).unwrap_or_else(|_| {
        panic!("no JSON: {text}{}", String::from_utf8_lossy(&output.stderr));
    });
    Diagnosis { said, exit: output.status.code().unwrap_or(-1), took: began.elapsed() }
}
