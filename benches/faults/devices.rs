//! The sound server of one end is killed in mid-call and started again: PulseAudio with null sinks for sound cards.

use super::super::figure::load;
use super::ear::Ear;
use super::stage::PATIENCE;
use crate::support::lab::Lab;
use crate::support::process::Process;
use crate::support::pulse::Pulse;
use crate::support::signal;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// How long there is no server: the longest pause between two looks for one is reached by then.
const GONE: Duration = Duration::from_secs(12);
/// After the server is back there is sound within this.
const TARGET: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(30);
/// What is spoken pauses for 200 ms after each syllable.
const SYLLABLES: Duration = Duration::from_millis(350);
const STEADY: Duration = Duration::from_secs(2);
const CABLE: [&str; 2] = ["alice:eth0=10.9.0.1/24", "bob:eth0=10.9.0.2/24"];

/// Somebody who speaks into the microphone, and the ear at the speaker.
struct Person {
    mouth: Child,
    recorder: Child,
    ear: Ear,
}

impl Person {
    fn at(pulse: &Pulse, words: &Path) -> Self {
        let mouth = pulse.speak(words);
        let mut recorder = pulse.recorder();
        let ear = Ear::of_stream(recorder.stdout.take().expect("piped"));
        Self { mouth, recorder, ear }
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        for child in [&mut self.mouth, &mut self.recorder] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Measures and prints a row; whether the target was met. `None` where there is no PulseAudio, or no laboratory.
pub(crate) fn measure() -> Option<bool> {
    let lab = Lab::new(&["alice", "bob"])?;
    lab.cable(CABLE[0], CABLE[1]);
    let mut pulse = Pulse::start()?;
    let folder = tempfile::tempdir().expect("a folder");
    let words = folder.path().join("words.wav");
    signal::write_wav(&words, 48_000, &signal::syllables(60, 500.0));
    let alices = Person::at(&pulse, &words);
    let options = ["offer", "--no-servers", "--video", "test", "--size", "160x90", "--fps", "10"];
    let mut alice = lab.start_with("alice", &pulse.environment(), &options);
    let code = alice.wait_for_code(PATIENCE);
    let file = folder.path().join("bob.wav");
    let speaker = format!("file:{}", file.display());
    let bobs = Ear::of_file(file);
    let mut bob = lab.start(
        "bob",
        &["answer", &code, "--no-servers", "--video", "none"],
        &["--audio", "tone", "--speaker", &speaker],
    );
    for end in [&mut alice, &mut bob] {
        end.wait_for_state("connected", PATIENCE);
    }
    let before = [&alices.ear, &bobs].map(|ear| await_sound(ear, Instant::now()));
    assert!(before.iter().all(Option::is_some), "no sound before the trouble: {before:?}");
    pulse.kill();
    drop(alices);
    std::thread::sleep(GONE);
    pulse.restart();
    let since = Instant::now();
    let alices = Person::at(&pulse, &words);
    let back = [&alices.ear, &bobs].map(|ear| await_sound(ear, since));
    Some(row(alice, bob, back))
}

/// Waits until there has been sound for a while; how long after `since` that began.
fn await_sound(ear: &Ear, since: Instant) -> Option<Duration> {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        let at = ear.ask(|heard| heard.sound_since(SYLLABLES));
        if let Some(at) = at.filter(|at| at.elapsed() >= STEADY && since.elapsed() >= STEADY) {
            return Some(at.saturating_duration_since(since));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

fn row(mut alice: Process, mut bob: Process, back: [Option<Duration>; 2]) -> bool {
    alice.type_line("/hangup");
    let exits = [&mut alice, &mut bob].map(|end| end.exit(PATIENCE));
    let met = back.iter().all(|back| back.is_some_and(|back| back <= TARGET)) && exits == [0, 0];
    let [speaker, microphone] = back
        .map(|back| back.map_or_else(|| "never".to_owned(), |back| format!("{:.2} s", back.as_secs_f64())));
    println!(
        "\n| sound server of one end gone for {} s: its speaker | its microphone, at the friend's | exit | | load |\n|---|---|---|---|---|",
        GONE.as_secs()
    );
    println!(
        "| **{speaker}** | **{microphone}** | {}, {} | {} | {} |",
        exits[0],
        exits[1],
        if met { "met" } else { "MISSED" },
        load()
    );
    met
}
