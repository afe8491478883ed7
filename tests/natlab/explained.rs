//! What both ends of a call that cannot connect say of it, without a relay: the pairs that were tried, the likely cause,
//! one next command.

use super::attempt::GIVES_UP;
use super::kind::Kind;
use super::relay::Relay;
use super::world::{Who, World};
use crate::support::process::Process;
use serde_json::Value;
use std::time::{Duration, Instant};

/// What goes wrong besides, while the code travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mischance {
    None,
    /// The offerer's program is gone.
    OffererKilled,
    /// Something drops whatever goes to and comes from the offerer.
    OffererCut,
}

/// What one end said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) cause: String,
    pub(crate) next: String,
    /// Pairs on which something was sent.
    pub(crate) tried: usize,
    /// From the moment at which the reply was entered, or shown where nobody could enter it.
    pub(crate) took: Duration,
}

/// What both said; nothing of an end that is gone.
#[derive(Debug)]
pub(crate) struct Both {
    pub(crate) alice: Option<Said>,
    pub(crate) bob: Option<Said>,
}

/// Machines compete for few processors.
const SOON: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(60);

/// Tries; `None` where there can be no laboratory.
///
/// # Panics
/// When an end connects, or does not end as it should.
pub(crate) fn attempt(alice: Kind, bob: Kind, mischance: Mischance) -> Option<Both> {
    let world = World::new([alice.into(), bob.into()])?;
    let _relay = Relay::start(&world);
    let options = Relay::two_stun();
    let start = |machine: &str, words: &[&str]| {
        let all: Vec<&str> = words.iter().copied().chain(options.iter().map(String::as_str)).collect();
        world.lab.p2pcall(machine, &all)
    };
    let mut offerer = Some(start("alice", &["offer"]));
    let code = offerer.as_mut().expect("just started").wait_for_code(SOON);
    match mischance {
        Mischance::None => {}
        Mischance::OffererKilled => drop(offerer.take()),
        Mischance::OffererCut => world.cut(Who::Alice),
    }
    let mut answerer = start("bob", &["answer", &code]);
    let reply = answerer.wait_for_code(LONGEST);
    let began = Instant::now();
    let alice = offerer.as_mut().map(|alice| {
        alice.type_line(&reply);
        said(alice, began)
    });
    let bob = said(&mut answerer, began);
    for end in offerer.as_mut().into_iter().chain([&mut answerer]) {
        ends(end);
    }
    Some(Both { alice, bob: Some(bob) })
}

/// What an end says when it has given up hope: the warning, and before it the facts.
fn said(end: &mut Process, began: Instant) -> Said {
    end.wait_for("words why there is no path", GIVES_UP + SOON, |event| {
        assert_ne!(event["state"], "connected");
        event["code"] == "no_path"
    });
    let took = began.elapsed();
    let facts = end.of_kind("pairs").last().expect("the facts").clone();
    let text = |field: &str| facts[field].as_str().unwrap_or_default().to_owned();
    Said { cause: text("cause"), next: text("next"), tried: tried(&facts), took }
}

fn tried(facts: &Value) -> usize {
    let pairs = facts["pairs"].as_array().map(Vec::as_slice).unwrap_or_default();
    pairs.iter().filter(|pair| pair["sent"].as_u64() > Some(0)).count()
}

/// The last event has the same facts.
fn ends(end: &mut Process) {
    end.type_line("/hangup");
    let ended = end.wait_for_state("ended", SOON);
    assert!(tried(&ended) > 0 && ended["cause"].is_string() && ended["ours"].is_string(), "{ended}");
    assert_eq!(end.exit(SOON), 130, "stopped before it connected");
}
