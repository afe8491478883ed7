//! An echo, in a call between sound devices of a PulseAudio server of our own: one end's friend speaks, its speaker is
//! heard through a synthetic room by its own microphone, and the friend listens to what comes back.

use super::ear::{environment, start};
use super::end::Trouble;
use super::figure::{Figure, Table, note};
use super::room::{Room, noise};
use super::sound::ear::{Recorder, Recording};
use super::sound::pulse::Pulse;
use super::sound::signal::write_wav;
use super::speech::{self, PIECE};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Samples a second.
const RATE: usize = 48_000;
/// Pieces of speech that are spoken: half a minute.
const PIECES: usize = 3;
/// PulseAudio's first sound may take 2 s; so long there is nothing to hear.
const SETTLING: Duration = Duration::from_secs(4);
/// What the canceller has to learn in.
const LEARNING: f64 = 2.0;
/// The last words come back within this.
const LAST: Duration = Duration::from_secs(1);
/// Speech, and no noise: -50 dBFS.
const LOUD: f32 = 0.003;
/// What is kept for the microphone, so that the room's walls stand still: with 10 ms it ran dry 11 times in 14 s.
const SPARE: &str = "--latency-msec=60";
/// Within this a program has its stream.
const CONNECTED: Duration = Duration::from_millis(700);
/// What the room hears at a time: 5 ms.
const PORTION: usize = RATE / 200;

/// Measures and prints.
pub(crate) fn measure(table: &mut Table, runs: u32) -> Result<(), Trouble> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let words = folder.path().join("words.wav");
    let speech: Vec<f32> = speech::all(folder.path()).into_iter().take(PIECES * PIECE).collect();
    write_wav(&words, RATE as u32, &speech);
    let mut left = Vec::new();
    for _ in 0..runs {
        // A server of its own each: one that was used has rendered two seconds ahead, and the echo is as late.
        let Some(pulse) = Pulse::start() else {
            note("echo: left out, PulseAudio is not installed (scripts/packages test)");
            return Ok(());
        };
        pulse.add_second();
        left.push(call(&pulse, &words)?);
    }
    let what = "echo that comes back after 2 s, against that in the room (minus ERLE)";
    table.row(Figure { what, unit: "dB", most: Some(-35.0), digits: 1 }, &left);
    Ok(())
}

/// One call; dB of what comes back, against what the microphone heard.
fn call(pulse: &Pulse, words: &Path) -> Result<f64, Trouble> {
    let environment = environment(pulse);
    let room = Walls::around(pulse)?;
    let mut near = start(&["offer"], ("mic", "spk"), &environment)?;
    let (_, code) = near.code()?;
    let mut far = start(&["answer", &code, "--headphones"], ("mic2", "spk2"), &environment)?;
    for end in [&mut near, &mut far] {
        end.connected()?;
        end.first("audio")?;
    }
    std::thread::sleep(SETTLING);
    let zero = Instant::now();
    let [echo, back] = ["micsrc.monitor", "spk2.monitor"].map(|heard| Recorder::start(pulse, heard, zero));
    let spoken = pulse.command("paplay").args(["-d", "mic2src", "--latency-msec=20"]).arg(words).status();
    if !spoken.is_ok_and(|status| status.success()) {
        return Err("paplay does not speak".to_owned());
    }
    std::thread::sleep(LAST);
    let [echo, back] = [echo, back].map(Recorder::end);
    far.hang_up()?;
    near.hang_up()?;
    drop(room);
    let first = echo.samples.iter().position(|sample| sample.abs() > LOUD).ok_or("there is no echo")?;
    let from = echo.began + first as f64 / RATE as f64 + LEARNING;
    Ok(10.0 * (power(&back, from) / power(&echo, from)).log10())
}

/// The mean power from then on.
fn power(recording: &Recording, from: f64) -> f64 {
    let skipped = ((from - recording.began).max(0.0) * RATE as f64) as usize;
    let samples = recording.samples.get(skipped..).unwrap_or_default();
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    energy.max(1e-12) / samples.len().max(1) as f64
}

/// The room's walls: a thread, between a program that hears the speaker and one that speaks into the microphone.
struct Walls {
    ends: [Child; 2],
    thread: Option<JoinHandle<()>>,
}

impl Walls {
    fn around(pulse: &Pulse) -> Result<Self, Trouble> {
        let end = |program: &str, device: &str, latency: &str| {
            let mut command = pulse.command(program);
            command.args(["--raw", "--format=s16le", "--rate=48000", "--channels=1", latency]);
            let child = command.args(["-d", device]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
            child.map_err(|error| format!("{program} does not start: {error}"))
        };
        // What is heard before anybody can speak would wait in the pipe, and all echo behind it.
        let mouth = end("pacat", "micsrc", SPARE)?;
        std::thread::sleep(CONNECTED);
        let mut ends = [end("parec", "spk.monitor", "--latency-msec=10")?, mouth];
        let [ear, mouth] = &mut ends;
        let (Some(heard), Some(spoken)) = (ear.stdout.take(), mouth.stdin.take()) else {
            return Err("a process without pipes".to_owned());
        };
        Ok(Self { ends, thread: Some(std::thread::spawn(move || echo(heard, spoken))) })
    }
}

/// What is played comes back, until there is nobody who plays or nobody who hears.
fn echo(mut heard: ChildStdout, mut spoken: ChildStdin) {
    let (mut room, noise) = (Room::new(0), noise(10 * RATE));
    let mut noise = noise.iter().cycle();
    let mut portion = [0; 2 * PORTION];
    while heard.read_exact(&mut portion).is_ok() {
        let samples = portion.chunks_exact(2).filter_map(|two| two.try_into().ok()).map(i16::from_le_bytes);
        let played: Vec<f32> = samples.map(|sample| f32::from(sample) / 32_768.0).collect();
        let echo = room.hear(&played).into_iter().zip(&mut noise);
        let bytes = echo.flat_map(|(echo, noise)| (((echo + noise) * 32_767.0) as i16).to_le_bytes());
        if spoken.write_all(&bytes.collect::<Vec<_>>()).is_err() {
            return;
        }
    }
}

impl Drop for Walls {
    fn drop(&mut self) {
        for end in &mut self.ends {
            // It may have ended with the server.
            let _ = end.kill();
            let _ = end.wait();
        }
        // A thread that panicked has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
