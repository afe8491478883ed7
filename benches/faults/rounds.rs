//! One call that goes through fault after fault: does it last, and does it leave anything behind each time?

use super::fault::What;
use super::stage::{Scene, Stage};
use crate::natlab::kind::Kind::PortRestricted;
use crate::natlab::world::Who;
use crate::support::process::is_heard;
use std::fs;
use std::time::{Duration, Instant};

/// In this order, over and over. A direct path that is blocked opens again afterwards.
const ORDER: [What; 8] = [
    What::Cut(Who::Bob),
    What::Renumbered(Who::Alice),
    What::Flushed(Who::Bob),
    What::Parted,
    What::Cut(Who::Alice),
    What::Renumbered(Who::Bob),
    What::Flushed(Who::Alice),
    What::Parted,
];
/// The effect of a fault is waited for.
const EFFECT: Duration = Duration::from_secs(5);
/// Sound has to come back within this.
const LIMIT: Duration = Duration::from_secs(60);
/// A relayed call looks for a direct path once a minute at the least.
const DIRECT: Duration = Duration::from_secs(120);
/// What is made once is made by then: queues have had their greatest length, and each way was gone once.
const WARM: usize = 10;
/// A connection that is forgotten weighs a megabyte: one of eight rounds would show.
const MOST_KB_A_ROUND: f64 = 100.0;
/// Sockets that a NAT's ports are guessed with, and the like, come and go.
const MOST_DESCRIPTORS: usize = 6;

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    resident_kb: u64,
    descriptors: usize,
    threads: usize,
}

impl Held {
    fn by(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        let count = |what: &str| fs::read_dir(format!("/proc/{process}/{what}")).map_or(0, Iterator::count);
        Self { resident_kb: kb.unwrap_or(0), descriptors: count("fd"), threads: count("task") }
    }
}

/// Goes through so many faults, and prints; whether the call lasted and left nothing behind. `None` where there can be
/// no laboratory.
pub(crate) fn measure(rounds: usize) -> Option<bool> {
    let mut stage = Stage::begin("rounds", Scene::Homes(PortRestricted, PortRestricted), false)?;
    println!(
        "\n| round | offerer: resident, descriptors, threads | answerer | slowest so far |\n|---|---|---|---|"
    );
    std::thread::sleep(EFFECT);
    let mut held = vec![tell(0, &mut stage, Duration::ZERO)];
    let mut slowest = Duration::ZERO;
    for round in 1..=rounds {
        let what = ORDER[(round - 1) % ORDER.len()];
        match go_through(&mut stage, what) {
            Ok(took) => slowest = slowest.max(took),
            Err(why) => {
                println!("\nround {round}, {what:?}: {why}: MISSED");
                return Some(false);
            }
        }
        let both = [stage.alice.id(), stage.bob.id()].map(Held::by);
        held.push(both);
        if round % 10 == 0 || round == rounds {
            tell(round, &mut stage, slowest);
        }
    }
    let exits = stage.hang_up();
    println!("\nexit codes {} and {}", exits[0], exits[1]);
    let whole = [0, 1].map(|end| is_whole(["offerer", "answerer"][end], &held, end));
    Some(exits == [0, 0] && whole == [true, true])
}

/// One fault; how long until both ends heard each other again.
fn go_through(stage: &mut Stage, what: What) -> Result<Duration, String> {
    let since = what.strike(stage);
    let began = Instant::now();
    // Statistics of the second before the fault may still be on their way.
    std::thread::sleep(EFFECT);
    await_sound(stage)?;
    let took = since.elapsed().saturating_sub(EFFECT).min(began.elapsed());
    if what == What::Parted {
        stage.world().unite();
        if !stage.await_paths(false, DIRECT) {
            return Err("no direct path was found".to_owned());
        }
        await_sound(stage)?;
    }
    Ok(took)
}

fn await_sound(stage: &mut Stage) -> Result<(), String> {
    let began = Instant::now();
    for end in 0..2 {
        stage.ends()[end].take_what_came();
        let known = stage.ends()[end].events.len();
        while !stage.ends()[end].events[known..].iter().any(is_heard) {
            if let Some(why) = stage.over() {
                return Err(why);
            }
            if began.elapsed() > LIMIT {
                return Err(format!("no sound at {}", ["the offerer's", "the answerer's"][end]));
            }
            std::thread::sleep(Duration::from_millis(20));
            stage.ends()[end].take_what_came();
        }
    }
    Ok(())
}

fn tell(round: usize, stage: &mut Stage, slowest: Duration) -> [Held; 2] {
    let both = [stage.alice.id(), stage.bob.id()].map(Held::by);
    let [alice, bob] = both.map(|held| {
        let mb = held.resident_kb as f64 / 1_024.0;
        format!("{mb:.1} MB, {}, {}", held.descriptors, held.threads)
    });
    println!("| {round} | {alice} | {bob} | {:.1} s |", slowest.as_secs_f64());
    both
}

/// The slope of an end's memory from when it was warm on, by least squares, and what it holds open.
fn is_whole(name: &str, held: &[[Held; 2]], end: usize) -> bool {
    let Some(warm) = held.get(WARM..).filter(|warm| warm.len() > 2) else { return true };
    let count = warm.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = warm.iter().map(|both| both[end].resident_kb as f64).sum::<f64>() / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (round, both) in warm.iter().enumerate() {
        let far = round as f64 - middle;
        above += far * (both[end].resident_kb as f64 - mean);
        below += far * far;
    }
    let slope = above / below;
    let [first, last] = [warm[0][end], warm[warm.len() - 1][end]];
    let whole = slope <= MOST_KB_A_ROUND && last.descriptors <= first.descriptors + MOST_DESCRIPTORS;
    println!(
        "{name}: {slope:.0} kB a round from round {WARM} on, descriptors {} then and {} at the end: {}",
        first.descriptors,
        last.descriptors,
        if whole { "met" } else { "MISSED" }
    );
    whole
}
