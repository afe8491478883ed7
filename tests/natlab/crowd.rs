//! Several attempts at a time, each in a laboratory of its own: most of their time is waiting.

use super::attempt::{Outcome, Scenario};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// What became of a scenario.
pub(crate) enum Ran {
    /// It came to an end.
    Done(Outcome),
    /// Something happened that never should; it has been printed.
    Broke,
    /// There can be no laboratory here.
    Skipped,
}

/// Runs scenarios, `at_once` at a time, and hands each over when it is done.
pub(crate) fn run(scenarios: &[Scenario], at_once: usize, done: impl Fn(usize, Ran) + Sync) {
    let next = Mutex::new(0..scenarios.len());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let index = next.lock().expect("nobody panics with it").next();
                    let Some((index, scenario)) = index.and_then(|i| Some((i, scenarios.get(i)?))) else {
                        return;
                    };
                    let ran = match catch_unwind(AssertUnwindSafe(|| scenario.run())) {
                        Ok(Some(outcome)) => Ran::Done(outcome),
                        Ok(None) => Ran::Skipped,
                        Err(_) => Ran::Broke,
                    };
                    done(index, ran);
                }
            });
        }
    });
}
