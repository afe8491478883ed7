//! What the statistics say, held against what is heard and seen.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use super::support::process::Process;
#[cfg(target_os = "linux")]
use super::support::{ear, pulse::Pulse};
use p2pcall::media::source::{clock_bar, machine_clock};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);
/// Columns and rows of the pictures.
const SIZE: (usize, usize) = (160, 90);

/// The next statistics that have this.
fn told(end: &mut Process, has: impl Fn(&Value) -> bool) -> Value {
    end.wait_for("statistics", LONG, |event| event["event"] == "stats" && has(event))
}

fn call(alice: &[String], bob: &[String], environment: &[(&str, PathBuf)]) -> (Process, Process) {
    let with = |first: &[&str], more: &[String]| {
        let args = first.iter().map(|arg| (*arg).to_owned()).chain(["--no-servers".to_owned()]);
        Process::start_with(environment, &[], &args.chain(more.to_vec()).collect::<Vec<_>>())
    };
    let mut alice = with(&["offer"], alice);
    let code = alice.wait_for_code(LONG);
    let mut bob = with(&["answer", &code], bob);
    for end in [&mut alice, &mut bob] {
        end.wait_for_state("connected", LONG);
    }
    (alice, bob)
}

fn options(all: &[&str]) -> Vec<String> {
    all.iter().map(|option| (*option).to_owned()).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn the_delay_of_sound_that_is_told_is_the_one_that_is_heard() {
    let Some(pulse) = Pulse::start() else { return };
    pulse.add_second();
    let mut environment = pulse.environment();
    // Where PulseAudio's cookie is, without which its client library cannot log in.
    let home = environment.iter().find(|(name, _)| *name == "HOME").unwrap().1.join(".config");
    environment.push(("XDG_CONFIG_HOME", home));
    let (_alice, mut bob) = call(
        &options(&["--video=none", "--audio=mic:mic", "--speaker=spk"]),
        &options(&["--video=none", "--audio=mic:mic2", "--speaker=spk2"]),
        &environment,
    );
    // Once the buffers have settled.
    for _ in 0..8 {
        told(&mut bob, |_| true);
    }
    let before = bob.of_kind("stats").count();
    let mut heard = ear::mouth_to_ear(&pulse, "micsrc", "spk2", 10).delays;
    assert!(heard.len() >= 5, "{} of 10 chirps heard", heard.len());
    heard.sort_by(f64::total_cmp);
    let middle = heard[heard.len() / 2];
    bob.take_what_came();
    // While the chirps were on their way: the buffer may become shorter meanwhile, or longer on a busy machine.
    let told: Vec<f64> =
        bob.of_kind("stats").skip(before).filter_map(|event| event["audio"]["delay_ms"].as_f64()).collect();
    println!("heard {heard:.1?} ms, told {told:.1?} ms");
    let least = told.iter().copied().fold(f64::INFINITY, f64::min);
    let most = told.iter().copied().fold(0.0, f64::max);
    // A busy machine is late in ways that PulseAudio does not tell of.
    assert!((least - 40.0..most + 40.0).contains(&middle), "told {least} to {most} ms, heard {middle} ms");
}

/// Reads a Y4M file as it grows: when each picture came, and how old it was.
struct Watcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Instant, Option<u16>)>>,
}

impl Watcher {
    fn start(file: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut seen, mut read) = (Vec::new(), 0);
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(2));
                for luma in pictures(&file, &mut read) {
                    let now = clock_bar::value_of(machine_clock());
                    let age = clock_bar::read(&luma, SIZE.0).map(|value| now.wrapping_sub(value));
                    seen.push((Instant::now(), age));
                }
            }
            seen
        });
        Self { stop, thread }
    }

    fn end(self) -> Vec<(Instant, Option<u16>)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// The brightness of the whole pictures in the file beyond the first `read` bytes.
fn pictures(file: &Path, read: &mut u64) -> Vec<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    let Ok(mut file) = std::fs::File::open(file) else { return Vec::new() };
    file.seek(SeekFrom::Start(*read)).and_then(|_| file.read_to_end(&mut bytes)).unwrap();
    let mut rest = bytes.as_slice();
    if *read == 0 {
        let Some(header) = rest.iter().position(|byte| *byte == b'\n') else { return Vec::new() };
        rest = &rest[header + 1..];
    }
    let luma = SIZE.0 * SIZE.1;
    let one = "FRAME\n".len() + luma * 3 / 2;
    let whole: Vec<Vec<u8>> = rest.chunks_exact(one).map(|frame| frame[6..6 + luma].to_vec()).collect();
    if !whole.is_empty() {
        *read += (bytes.len() - rest.len() + whole.len() * one) as u64;
    }
    whole
}

/// How long it is quiet in a recording after its first sound, seconds.
fn quiet(file: &Path) -> f64 {
    let mut reader = hound::WavReader::open(file).unwrap();
    let samples: Vec<f32> = reader.samples::<i16>().map(|s| f32::from(s.unwrap()) / 32_768.0).collect();
    let loud: Vec<bool> = samples.chunks(480).map(|part| part.iter().any(|s| s.abs() > 0.01)).collect();
    let first = loud.iter().position(|loud| *loud).expect("something was heard");
    loud[first..].iter().filter(|loud| !**loud).count() as f64 / 100.0
}

#[test]
fn the_delay_of_the_picture_and_what_is_missing_are_told_as_they_are_seen_and_heard() {
    let folder = tempfile::tempdir().unwrap();
    let (film, sound) = (folder.path().join("seen.y4m"), folder.path().join("heard.wav"));
    let (alice, mut bob) = call(
        &options(&["--video=test", "--size=160x90", "--audio=tone", "--speaker=none"]),
        &options(&[
            "--video=none",
            "--audio=none",
            &format!("--video-out=file:{}", film.display()),
            &format!("--speaker=file:{}", sound.display()),
        ]),
        &[],
    );
    told(&mut bob, |stats| stats["video"]["delay_ms"].is_f64() && stats["audio"]["delay_ms"].is_f64());
    let watcher = Watcher::start(film);
    for _ in 0..3 {
        told(&mut bob, |_| true);
    }
    let before = told(&mut bob, |_| true);
    let stopped = Instant::now();
    alice.signal("STOP");
    std::thread::sleep(Duration::from_millis(1_800));
    alice.signal("CONT");
    for _ in 0..3 {
        told(&mut bob, |_| true);
    }
    let after = told(&mut bob, |stats| stats["video"]["delay_ms"].is_f64());
    let seen = watcher.end();
    // After the stop pictures are waited for longer.
    let first = seen.iter().filter(|(at, _)| *at < stopped);
    let mut ages: Vec<u16> = first.filter_map(|(_, age)| *age).collect();
    ages.sort_unstable();
    let (age, video) = (f64::from(ages[ages.len() / 2]), before["video"]["delay_ms"].as_f64().unwrap());
    println!("picture: seen {age} ms, told {video} ms; sound: told {} ms", before["audio"]["delay_ms"]);
    assert!((age - video).abs() < 30.0, "seen {age} ms after it was drawn, told {video} ms");

    let stood = seen.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap().as_secs_f64() * 1000.0;
    let grown = |part: &str, field: &str| {
        after[part][field].as_f64().unwrap() - before[part][field].as_f64().unwrap()
    };
    let (freezes, frozen) = (grown("video", "freezes"), grown("video", "freeze_ms"));
    println!("stood still {stood:.0} ms; told {freezes} freezes, {frozen} ms");
    assert!(
        freezes >= 1.0 && (frozen - stood).abs() < 300.0,
        "{freezes} freezes, {frozen} ms, and {stood} ms"
    );

    let (invented, silent) = (grown("audio", "concealed_ms"), grown("audio", "silent_ms"));
    let (missing, quiet) = (invented + silent, quiet(&sound) * 1000.0);
    println!("quiet {quiet:.0} ms; told {silent} ms, after {invented} ms invented");
    assert!((missing - stood).abs() < 300.0, "{missing} ms are missing, told of {stood} ms");
    // What is invented of a tone sounds like it, and fades away at its end.
    assert!(
        quiet > silent - 150.0 && quiet < missing + 150.0,
        "quiet {quiet} ms of {missing} ms, told {silent} ms"
    );
}
