//! What `diagnose` says of every kind of network, by whom it may ask, as tables.

use super::super::natlab::diagnosis::{self, Diagnosis};
use super::super::natlab::kind::Kind;
use super::super::natlab::other;
use super::super::natlab::relay::Relay;
use super::super::natlab::truth::{Asked, Truth};
use super::super::natlab::world::World;
use std::sync::Mutex;

/// Diagnoses all and prints the tables; whether all of it was right.
pub(crate) fn measure(at_once: usize) -> bool {
    let mut right = agrees(at_once);
    for asked in Asked::ALL {
        println!("\n## Asked: {}\n", asked.title());
        println!("| network | verdict, exit code | mapping | filtering | ports | CGNAT | s |");
        println!("|---|---|---|---|---|---|---|");
        for (kind, found) in Kind::ALL.iter().zip(all(at_once, |kind| diagnosis::diagnose(kind, asked))) {
            let Some(found) = found else { return false };
            println!("| {} | {} |", kind.name(), cells(&found).join(" | "));
            let truth = Truth::of(*kind, asked);
            if !found.is(&truth) {
                right = false;
                println!("WRONG: {truth:?}");
            }
        }
    }
    right
}

/// Beside another tool, asking the same server, a coturn with two addresses.
fn agrees(at_once: usize) -> bool {
    println!("\n## Beside turnutils_natdiscovery\n");
    println!(
        "| network | mapping: diagnose | turnutils_natdiscovery | filtering: diagnose | turnutils_natdiscovery |"
    );
    println!("|---|---|---|---|---|");
    let both = all(at_once, |kind| {
        let world = World::new([kind.into(), Kind::Public.into()])?;
        let _server = other::server(&world)?;
        let theirs = other::opinion(&world)?;
        Some((diagnosis::run(&world, "alice", &Relay::stun()), theirs))
    });
    let mut agree = true;
    for (kind, both) in Kind::ALL.iter().zip(both) {
        let Some((ours, theirs)) = both else { return false };
        let ours = [ours.word("/nat/mapping"), ours.word("/nat/filtering")];
        agree &= ours == [theirs.mapping, theirs.filtering];
        let cells = [ours[0], theirs.mapping, ours[1], theirs.filtering].map(|word| word.replace('_', "-"));
        println!("| {} | {} |", kind.name(), cells.join(" | "));
    }
    agree
}

fn all<T: Send>(at_once: usize, each: impl Fn(Kind) -> Option<T> + Sync) -> Vec<Option<T>> {
    let next = Mutex::new(Kind::ALL.into_iter().enumerate());
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let Some((index, kind)) = next.lock().expect("nobody panics with it").next() else {
                        return;
                    };
                    let one = each(kind);
                    found.lock().expect("nobody panics with it").push((index, one));
                }
            });
        }
    });
    let mut found = found.into_inner().expect("nobody panics with it");
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, one)| one).collect()
}

fn cells(found: &Diagnosis) -> Vec<String> {
    let mut cells = vec![format!("{}, {}", found.word("/verdict"), found.exit).replace('_', " ")];
    if found.said["nat"]["present"] == false {
        cells.push("none".to_owned());
    } else {
        cells.push(found.word("/nat/mapping").replace('_', "-"));
    }
    let by_port = &found.said["nat"]["filtering_by_port"];
    let mut filtering = found.word("/nat/filtering").replace('_', "-");
    if filtering == "unknown" && by_port == false {
        filtering = "not by port; by address unknown".to_owned();
    }
    cells.push(filtering);
    cells.extend(["/nat/ports", "/nat/cgnat"].map(|at| found.word(at).to_owned()));
    cells.push(format!("{:.1}", found.took.as_secs_f64()));
    cells
}
