//! A call for every pair of kinds, as a table: the path that was found and the seconds it took.

use super::super::natlab::attempt::{Outcome, Scenario, Servers};
use super::super::natlab::crowd::{self, Ran};
use super::super::natlab::kind::{Kind, Path};
use std::sync::Mutex;
use std::time::Instant;

/// Attempts all pairs and prints the table; whether every path was the one that the rule names.
pub(crate) fn measure(servers: Servers, at_once: usize) -> bool {
    let kinds = Kind::MATRIX;
    let pairs = kinds.iter().flat_map(|a| kinds.iter().map(move |b| (*a, *b)));
    let scenarios: Vec<Scenario> = pairs.map(|(a, b)| Scenario::new(a, b, servers)).collect();
    let began = Instant::now();
    let outcomes = attempt(&scenarios, at_once);
    println!("\n## {}\n", title(servers));
    println!("| offers \\ answers | {} |", kinds.map(Kind::name).join(" | "));
    println!("|---{}|", "|---".repeat(kinds.len()));
    for (kind, row) in kinds.iter().zip(outcomes.chunks(kinds.len())) {
        let cells: Vec<String> = row.iter().map(|outcome| cell(outcome.as_ref(), servers)).collect();
        println!("| {} | {} |", kind.name(), cells.join(" | "));
    }
    println!("\n{} pairs in {} s, {at_once} at a time", scenarios.len(), began.elapsed().as_secs());
    complain(&scenarios, &outcomes)
}

/// Attempts these and prints a line each; whether every path was the one that the rule names.
pub(crate) fn list(scenarios: &[Scenario], at_once: usize) -> bool {
    let outcomes = attempt(scenarios, at_once);
    for (scenario, outcome) in scenarios.iter().zip(&outcomes) {
        println!("- {}: {}", scenario.name(), cell(outcome.as_ref(), scenario.servers));
    }
    complain(scenarios, &outcomes)
}

fn title(servers: Servers) -> &'static str {
    match servers {
        Servers::Relay => "With our relay: path, seconds from the answer to connected",
        Servers::Stun => "Without a relay: path, seconds from the reply code (or the answer: \"at once\")",
        Servers::Nothing => "Without any server",
    }
}

fn attempt(scenarios: &[Scenario], at_once: usize) -> Vec<Option<Outcome>> {
    let outcomes = Mutex::new(vec![None; scenarios.len()]);
    crowd::run(scenarios, at_once, |index, ran| {
        if let Ran::Done(outcome) = ran {
            outcomes.lock().expect("nobody panics with it")[index] = Some(outcome);
        }
    });
    outcomes.into_inner().expect("nobody panics with it")
}

fn cell(outcome: Option<&Outcome>, servers: Servers) -> String {
    let Some(outcome) = outcome else { return "BROKE".to_owned() };
    let seconds = outcome.took.as_secs_f64();
    let alone = servers == Servers::Stun && outcome.path == Path::Direct;
    let at_once = if alone && !outcome.replied { " at once" } else { "" };
    format!("{} {seconds:.1}{at_once}", outcome.kind)
}

/// Those that did not go as the rule says, one a line.
fn complain(scenarios: &[Scenario], outcomes: &[Option<Outcome>]) -> bool {
    let wrong: Vec<String> = scenarios
        .iter()
        .zip(outcomes)
        .filter(|(scenario, outcome)| {
            outcome.as_ref().is_none_or(|outcome| outcome.path != scenario.expected())
        })
        .map(|(scenario, outcome)| {
            format!("- {}: {:?} expected, {outcome:?}", scenario.name(), scenario.expected())
        })
        .collect();
    println!("{} of {} went as the rule says", scenarios.len() - wrong.len(), scenarios.len());
    println!("{}", wrong.join("\n"));
    wrong.is_empty()
}
