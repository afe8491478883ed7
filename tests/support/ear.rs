//! Mouth to ear: chirps are spoken into one null sink's microphone, another's speaker is listened to, and each
//! chirp is looked for in both recordings.
//!
//! Both recordings are put on the machine's clock: a server hands out samples as they are rendered, so of all
//! pieces the one that came soonest after its last sample says when the first sample was. The two null sinks
//! render by the same clock, so what that leaves out is the same for both.

use super::pulse::Pulse;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Samples a second.
const RATE: usize = 48_000;
/// A chirp's samples: 20 ms.
const CHIRP: usize = 960;
/// From one chirp to the next: no multiple of a frame, so that chirps begin anywhere in one.
const STEP: usize = 28_817;
/// A chirp is looked for so long after it was spoken: 580 ms.
const LONGEST: usize = 27_840;
/// How like the chirp must be what is taken for it: 1 is the chirp itself.
const ALIKE: f32 = 0.5;

/// What a monitor of the server gives, with the time at which it did.
pub(crate) struct Recorder {
    child: Child,
    thread: JoinHandle<Recording>,
}

/// What was recorded: 48 kHz mono.
pub(crate) struct Recording {
    pub(crate) samples: Vec<f32>,
    /// When the first sample was rendered, seconds since the recorder's zero.
    pub(crate) began: f64,
}

impl Recorder {
    /// Begins to record; times count from `zero`.
    pub(crate) fn start(pulse: &Pulse, monitor: &str, zero: Instant) -> Self {
        let mut command = pulse.command("parec");
        command.args(["-d", monitor, "--raw", "--latency-msec=5", "--format=s16le", "--rate=48000"]);
        let mut child = command.arg("--channels=1").stdout(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut bytes, mut piece, mut began) = (Vec::new(), [0; 4_096], f64::INFINITY);
            while let Ok(read @ 1..) = output.read(&mut piece) {
                let at = zero.elapsed().as_secs_f64();
                bytes.extend_from_slice(&piece[..read]);
                began = began.min(at - (bytes.len() / 2) as f64 / RATE as f64);
            }
            let sample = |b: &[u8]| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0;
            Recording { samples: bytes.chunks_exact(2).map(sample).collect(), began }
        });
        Self { child, thread }
    }

    /// Ends it.
    pub(crate) fn end(mut self) -> Recording {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        self.thread.join().unwrap()
    }
}

impl Recording {
    /// Where in so many samples from `from` on the chirp is, and how like it that is.
    fn find(&self, chirp: &[f32], from: usize, within: usize) -> Option<(usize, f32)> {
        let likeness = |at: usize| {
            let part = self.samples.get(at..at + chirp.len())?;
            let (mut product, mut energy) = (0.0, 1e-6);
            for (a, b) in part.iter().zip(chirp) {
                product += a * b;
                energy += a * a;
            }
            Some(product / energy.sqrt())
        };
        let norm = chirp.iter().map(|s| s * s).sum::<f32>().sqrt();
        let all = (from..from + within).filter_map(|at| Some((at, likeness(at)? / norm)));
        all.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn time(&self, at: usize) -> f64 {
        self.began + at as f64 / RATE as f64
    }
}

/// 20 ms from 600 Hz up to 3 kHz, faded in and out.
fn chirp() -> Vec<f32> {
    let sample = |n: usize| {
        let (t, length) = (n as f32 / RATE as f32, CHIRP as f32 / RATE as f32);
        let phase = std::f32::consts::TAU * (600.0 * t + 1_200.0 * t * t / length);
        let fade = (std::f32::consts::PI * t / length).sin();
        0.6 * fade * phase.sin()
    };
    (0..CHIRP).map(sample).collect()
}

/// Writes so many chirps, after half a second of silence.
fn write(path: &Path, count: usize) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE as u32,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec).unwrap();
    let mut samples = vec![0.0; RATE / 2 + count * STEP];
    for n in 0..count {
        let at = RATE / 2 + n * STEP;
        samples[at..at + CHIRP].copy_from_slice(&chirp());
    }
    for sample in samples {
        file.write_sample((sample * 32_767.0) as i16).unwrap();
    }
    file.finalize().unwrap();
}

/// What came of the chirps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    /// From mouth to ear, milliseconds, of each chirp that was heard.
    pub(crate) delays: Vec<f64>,
    /// Chirps that were spoken and not recognised in what was heard.
    pub(crate) missed: usize,
}

/// Speaks `count` chirps (0.6 s each) into the sink `mouth`, and listens to the sink `ear`.
pub(crate) fn mouth_to_ear(pulse: &Pulse, mouth: &str, ear: &str, count: usize) -> Heard {
    let zero = Instant::now();
    let [spoken, heard] = [mouth, ear].map(|sink| Recorder::start(pulse, &format!("{sink}.monitor"), zero));
    let file = std::env::temp_dir().join(format!("p2pcall-chirps-{}.wav", std::process::id()));
    write(&file, count);
    let mut player = pulse.command("paplay");
    player.args(["-d", mouth, "--latency-msec=20"]).arg(&file);
    assert!(player.status().unwrap().success(), "paplay");
    std::thread::sleep(Duration::from_millis(700));
    let _already_gone = std::fs::remove_file(&file);
    compare(&spoken.end(), &heard.end(), count)
}

fn compare(spoken: &Recording, heard: &Recording, count: usize) -> Heard {
    let chirp = chirp();
    let mut result = Heard::default();
    let Some((first, _)) = spoken.find(&chirp, 0, spoken.samples.len().min(3 * RATE)) else {
        panic!("nothing was spoken");
    };
    // The best likeness in the first seconds may be any of the chirps there.
    let first = first % STEP;
    for n in 0..=count {
        let about = first + n * STEP;
        let Some((at, alike)) = spoken.find(&chirp, about.saturating_sub(48), 96) else { continue };
        if alike < 0.9 {
            continue;
        }
        let from = ((spoken.time(at) - heard.began).max(0.0) * RATE as f64) as usize;
        match heard.find(&chirp, from, LONGEST) {
            Some((found, alike)) if alike > ALIKE => {
                result.delays.push((heard.time(found) - spoken.time(at)) * 1_000.0);
            }
            _ => result.missed += 1,
        }
    }
    result
}
