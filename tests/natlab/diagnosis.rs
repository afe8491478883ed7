//! What `p2pcall diagnose` says in a laboratory.

use super::kind::{Kind, Path, Side, expected};
use super::relay::Relay;
use super::world::{SERVER, SERVER_SECOND, World};
use crate::support::process::Process;
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

/// Whom `diagnose` may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Our relay and nobody else: it has two addresses.
    Relay,
    /// Two addresses, as if they were two plain servers: nobody can be asked to answer from elsewhere.
    Nobody,
}

/// What was said.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) said: Value,
    pub(crate) exit: i32,
    pub(crate) took: Duration,
}

impl Diagnosis {
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
    let relay = Relay::start(&world);
    let options = match asked {
        Asked::Relay => [Relay::stun(), relay.options()].concat(),
        // Discard: nobody answers there.
        Asked::Nobody => vec!["--stun".to_owned(), format!("{SERVER}:9")],
    };
    Some(run(&world, "alice", &options))
}

/// Alice makes a code, bob asks which path to expect: what is expected by the rule, and what was said.
pub(crate) fn predict(alice: Kind, bob: Kind) -> Option<(Path, Diagnosis)> {
    let sides: [Side; 2] = [alice.into(), bob.into()];
    let world = World::new(sides)?;
    let relay = Relay::start(&world);
    let stun = ["--stun", &format!("{SERVER}:3478"), "--stun", &format!("{SERVER_SECOND}:3478")];
    let mut options: Vec<String> = stun.map(str::to_owned).into();
    options.extend(relay.options());
    let words: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut offerer: Process = world.lab.p2pcall("alice", &[&["offer"], words.as_slice()].concat());
    let code = offerer.wait_for_code(SOON);
    options.extend(["--with".to_owned(), code]);
    Some((expected(sides[0], sides[1], true), run(&world, "bob", &options)))
}

fn run(world: &World, who: &str, options: &[String]) -> Diagnosis {
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
