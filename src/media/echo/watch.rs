//! Is there an echo at all? A plain adaptive filter (NLMS) at 4 kHz tries to tell the microphone from what the
//! speaker played. Where it can, there is an echo; where it cannot while the friend speaks, for seconds, there
//! is none. It judges only: what it subtracts nobody hears.

use std::collections::VecDeque;

/// 48 kHz to 4 kHz: speech is loudest below 2 kHz.
const DECIMATION: usize = 12;
const RATE: usize = 48_000 / DECIMATION;
/// Echoes of up to 360 ms are found; the microphone is held back by 40 ms, in case the speaker's samples come
/// in later than they are played.
const TAPS: usize = RATE * 2 / 5;
const _: () = assert!(TAPS.is_multiple_of(16), "whole lanes");
const HELD_BACK: usize = RATE / 25;
/// The filter's step, 0 to 1.
const STEP: f32 = 0.25;
/// Mean square of what is played above which the friend speaks: -50 dBFS.
const SPEAKING: f32 = 0.000_005;
/// The means are over so many samples (1 s).
const MEAN_OVER: f32 = RATE as f32;
/// The microphone must be louder than what the filter cannot tell by so much (1.5 dB) to count as echo.
const TOLD: f32 = 1.41;
/// The friend must have spoken for so many samples (5 s) without any echo: then there is none.
const PATIENCE: usize = 5 * RATE;
/// Once the speaker has been silent for so many samples (0.7 s), its echo has died away.
const ECHO_LASTS: usize = RATE * 7 / 10;
/// Amplitude above which it is not silent: -60 dBFS.
const AUDIBLE: f32 = 0.001;

/// See the module.
#[derive(Debug)]
pub(super) struct EchoWatch {
    /// Sums of samples that are not `DECIMATION` yet: (sum, how many), played and recorded.
    parts: [(f32, usize); 2],
    /// Played, at 4 kHz, and waiting for the microphone.
    coming: VecDeque<f32>,
    held: VecDeque<f32>,
    /// What was played lately: a ring written twice, so that a window is one slice.
    history: Vec<f32>,
    next: usize,
    energy: f32,
    filter: Vec<f32>,
    /// Means: what is played, the microphone, and what the filter cannot tell of it.
    playing: f32,
    recorded: f32,
    left: f32,
    /// Samples with the friend speaking since an echo was last found.
    without: usize,
    /// Samples since the speaker played anything.
    silent: usize,
}

impl EchoWatch {
    pub(super) fn new() -> Self {
        Self {
            parts: [(0.0, 0); 2],
            coming: VecDeque::new(),
            held: std::iter::repeat_n(0.0, HELD_BACK).collect(),
            history: vec![0.0; 2 * TAPS],
            next: 0,
            energy: 0.0,
            filter: vec![0.0; TAPS],
            playing: 0.0,
            recorded: 0.0,
            left: 0.0,
            without: 0,
            silent: ECHO_LASTS,
        }
    }

    /// Whether there is an echo, or might be.
    pub(super) fn echo(&self) -> bool {
        self.without < PATIENCE && self.silent < ECHO_LASTS
    }

    /// What the speaker plays, 48 kHz.
    pub(super) fn played(&mut self, samples: &[f32]) {
        let Self { parts: [part, _], coming, .. } = self;
        coming.extend(samples.iter().filter_map(|sample| decimate(part, *sample)));
        if samples.iter().any(|sample| sample.abs() > AUDIBLE) {
            self.silent = 0;
        }
        // The microphone has stopped, or comes much later: begin anew rather than fall behind.
        if coming.len() > RATE / 2 {
            coming.clear();
        }
    }

    /// What the microphone delivers, 48 kHz.
    pub(super) fn recorded(&mut self, samples: &[f32]) {
        for sample in samples {
            if let Some(sample) = decimate(&mut self.parts[1], *sample) {
                self.held.push_back(sample);
                let recorded = self.held.pop_front().unwrap_or_default();
                let played = self.coming.pop_front().unwrap_or_default();
                self.silent = self.silent.saturating_add(1);
                self.compare(played, recorded);
            }
        }
    }

    fn compare(&mut self, played: f32, recorded: f32) {
        let oldest = self.history.get(self.next).copied().unwrap_or_default();
        self.energy = (self.energy + played * played - oldest * oldest).max(0.0);
        for at in [self.next, self.next + TAPS] {
            if let Some(place) = self.history.get_mut(at) {
                *place = played;
            }
        }
        self.next = (self.next + 1) % TAPS;
        let window = self.history.get(self.next..self.next + TAPS).unwrap_or_default();
        let told = dot(window, &self.filter);
        let left = recorded - told;
        self.playing += (played * played - self.playing) / MEAN_OVER;
        self.recorded += (recorded * recorded - self.recorded) / MEAN_OVER;
        self.left += (left * left - self.left) / MEAN_OVER;
        if self.playing < SPEAKING {
            return;
        }
        let step = STEP * left / (self.energy + TAPS as f32 * SPEAKING);
        for (tap, sample) in self.filter.iter_mut().zip(window) {
            *tap += step * sample;
        }
        let found = self.recorded > self.left * TOLD;
        self.without = if found { 0 } else { (self.without + 1).min(PATIENCE) };
    }
}

/// The sum of products, in lanes: one after the other, additions would wait for each other.
fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for (a, b) in one.chunks_exact(16).zip(other.chunks_exact(16)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum()
}

/// Adds a sample; the mean of each `DECIMATION`.
fn decimate(part: &mut (f32, usize), sample: f32) -> Option<f32> {
    part.0 += if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
    part.1 += 1;
    if part.1 < DECIMATION {
        return None;
    }
    let mean = part.0 / DECIMATION as f32;
    *part = (0.0, 0);
    Some(mean)
}
