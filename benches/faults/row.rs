//! One call, one fault: how long the sound is away.

use super::super::figure::load;
use super::fault::{Fault, What};
use super::stage::Stage;
use std::time::{Duration, Instant};

/// Sound is back within this.
const TARGET: Duration = Duration::from_secs(3);
/// Moving to a better path costs no more sound than this.
const SEAM: Duration = Duration::from_millis(100);
/// The effect of a fault is waited for.
const EFFECT: Duration = Duration::from_secs(4);
/// So long sound has to last to be called back, but for pauses like this.
const STEADY: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);
/// More is not waited for.
const LIMIT: Duration = Duration::from_secs(60);
/// Before anything is done to it the call has lasted so long: paths are improved at the beginning.
const BEFORE: Duration = Duration::from_secs(3);

/// How it went.
#[derive(Debug)]
struct Outcome {
    paths: [String; 4],
    /// Until both ends had sound again, each; `None` where it did not come back.
    back: [Option<Duration>; 2],
    /// The longest silence at either end from the fault on.
    gap: Duration,
    /// How often an end said that nothing comes any more.
    reconnecting: usize,
    /// Which part of the time from the fault on there was sound, at the worse end.
    part: f64,
    /// Sound invented for lack of packets from the fault on, at the worse end.
    invented_ms: u64,
    exits: [i32; 2],
}

/// The table's head.
pub(crate) fn head() {
    println!(
        "\n| fault | path, after it | offerer hears again | answerer | longest silence | sound invented | said to be away | exit | | load |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
}

/// Measures and prints a row; whether the target was met. `None` where there can be no laboratory.
pub(crate) fn measure(fault: &Fault) -> Option<bool> {
    let mut stage = Stage::begin(fault.name, fault.scene, true)?;
    std::thread::sleep(BEFORE);
    let outcome = watch(&mut stage, fault.what);
    let met = outcome.met(fault.what);
    let [alice, bob] = outcome.back.map(|back| match back {
        Some(back) => format!("{:.2} s", back.as_secs_f64()),
        None => "never".to_owned(),
    });
    let [before, _, after, other] = &outcome.paths;
    let after = if after == other { after.clone() } else { format!("{after}/{other}") };
    println!(
        "| {} | {before}, {after} | **{alice}** | **{bob}** | {} ms ({:.0} % sound) | {} ms | {} | {}, {} | {} | {} |",
        fault.name,
        outcome.gap.as_millis(),
        outcome.part * 100.0,
        outcome.invented_ms,
        outcome.reconnecting,
        outcome.exits[0],
        outcome.exits[1],
        if met { "met" } else { "MISSED" },
        load()
    );
    Some(met)
}

fn watch(stage: &mut Stage, what: What) -> Outcome {
    let before = stage.paths();
    let count = |stage: &mut Stage| -> usize {
        let away = |event: &&serde_json::Value| event["state"] == "reconnecting";
        stage.ends().map(|end| end.of_kind("state").filter(away).count()).into_iter().sum()
    };
    let invented = |stage: &mut Stage| {
        stage.ends().map(|end| {
            end.take_what_came();
            let stats = end.of_kind("stats").last();
            stats.and_then(|stats| stats["audio"]["concealed_ms"].as_u64()).unwrap_or_default()
        })
    };
    let (away, made_up) = (count(stage), invented(stage));
    let struck = Instant::now();
    let since = what.strike(stage);
    let back = await_sound(stage, since);
    let [alice, bob] = stage.paths();
    let gap = |ear: &super::ear::Ear| {
        ear.ask(|heard| heard.silences(struck)).into_iter().map(|(_, long)| long).max()
    };
    let gap = stage.ears().iter().filter_map(gap).max().unwrap_or_default();
    let part = stage.ears().iter().map(|ear| ear.ask(|heard| heard.part(struck))).fold(1.0, f64::min);
    let invented = invented(stage).into_iter().zip(made_up).map(|(now, then)| now.saturating_sub(then)).max();
    let reconnecting = count(stage) - away;
    if let Some(why) = stage.over() {
        println!("| it ended by itself: {why} |");
    }
    let exits = stage.hang_up();
    let [alice_before, bob_before] = before;
    Outcome {
        paths: [alice_before, bob_before, alice, bob],
        back,
        gap,
        reconnecting,
        part,
        invented_ms: invented.unwrap_or_default(),
        exits,
    }
}

/// Waits until each end has heard sound for a while; how long after `since` that began.
fn await_sound(stage: &mut Stage, since: Instant) -> [Option<Duration>; 2] {
    loop {
        let now = Instant::now();
        let sound = [0, 1].map(|end| stage.ears()[end].ask(|heard| heard.sound_since(PAUSE)));
        let steady = |at: &Option<Instant>| at.is_some_and(|at| now.saturating_duration_since(at) >= STEADY);
        let over = now >= since + LIMIT || stage.over().is_some();
        if over || (now >= since + EFFECT && sound.iter().all(steady)) {
            return sound
                .map(|at| at.filter(|at| steady(&Some(*at))).map(|at| at.saturating_duration_since(since)));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Outcome {
    fn met(&self, what: What) -> bool {
        let back = self.back.iter().all(|back| back.is_some_and(|back| back <= TARGET));
        let whole = match what {
            What::United => self.gap <= SEAM,
            What::Storm => self.reconnecting == 0,
            _ => true,
        };
        back && whole && self.exits == [0, 0]
    }
}
