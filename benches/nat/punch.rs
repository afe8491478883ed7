//! How often, and how soon, a call that begins by the relay becomes direct because the ports of a NAT that gives each
//! peer another one are guessed.

use super::super::figure::{quantile, sorted};
use super::super::natlab::improve::improve;
use super::super::natlab::kind::Kind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// In 19 of 20 calls it takes no longer, from connected to a direct path at both ends.
const TARGET: Duration = Duration::from_secs(5);
/// Longer is not waited for: the second try would be counted.
const LIMIT: Duration = Duration::from_millis(5_900);

/// Calls so often between each of these and prints a row each; whether 19 of 20 were direct in time.
pub(crate) fn measure(runs: u32, at_once: usize) -> bool {
    let pairs = [
        (Kind::Symmetric, Kind::PortRestricted),
        (Kind::PortRestricted, Kind::Symmetric),
        (Kind::Firewalled, Kind::SymmetricByAddress),
    ];
    println!(
        "\n## Symmetric to port-restricted, from the relayed call to the direct one, {runs} calls each\n"
    );
    println!(
        "| offers -> answers | direct within {} s | median | from … to | sound invented, at most |\n|---|---|---|---|---|",
        TARGET.as_secs()
    );
    let right = pairs.map(|pair| row(pair, runs, at_once));
    right.into_iter().all(|right| right)
}

fn row((offers, answers): (Kind, Kind), runs: u32, at_once: usize) -> bool {
    let took = Mutex::new(Vec::new());
    let left = Mutex::new(0..runs);
    let invented = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while left.lock().expect("nobody panics with it").next().is_some() {
                    let Some(improved) = improve(offers.into(), answers.into(), LIMIT) else { return };
                    let seconds = improved.direct.map(|_| improved.after.as_secs_f64());
                    took.lock().expect("nobody panics with it").extend(seconds);
                    invented.fetch_max(improved.invented_ms, Ordering::Relaxed);
                }
            });
        }
    });
    let took = sorted(&took.into_inner().expect("nobody panics with it"));
    let in_time = took.iter().filter(|seconds| **seconds <= TARGET.as_secs_f64()).count();
    let [least, middle, greatest] = [0.0, 0.5, 1.0].map(|fraction| quantile(&took, fraction));
    let names = format!("{} -> {}", offers.name(), answers.name());
    println!(
        "| {names} | {in_time} of {runs} | {middle:.1} s | {least:.1} … {greatest:.1} | {} ms |",
        invented.into_inner()
    );
    in_time * 20 >= runs as usize * 19
}
