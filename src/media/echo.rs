//! The microphone without what the speaker plays, and without the room's noise. Pure: samples in, samples out.
//!
//! ```text
//! played   -> 10 ms pieces -> [sonora: AEC3, render]      [watch: can the microphone be told from the speaker?]
//! microphone -+-------------> [sonora: AEC3, capture] --+-> fade -> [sonora: noise suppression] -> cleaned
//!             `- as late as the canceller -- no echo ---'
//! ```
//! What is played must be fed as it is played, in whatever pieces, and before the echo of it is recorded; how
//! long the room takes the canceller finds out itself. While nothing is played, and where there has been no
//! echo for some seconds of the friend's speech (headphones), the microphone goes past the canceller, which
//! costs a voice something (PESQ 3.3 instead of 3.9) and mutes it while both speak; the canceller runs on, and is
//! back with the next sound, or the first echo.

mod watch;

use crate::media::frame::SAMPLE_RATE;
use sonora::config::{
    EchoCanceller as Aec, MaxProcessingRate, NoiseSuppression, NoiseSuppressionLevel, Pipeline,
};
use sonora::{AudioProcessing, Config, StreamConfig};
use std::collections::VecDeque;
use watch::EchoWatch;

/// What the library works on, samples: 10 ms.
pub const PIECE: usize = SAMPLE_RATE as usize / 100;
/// By how much a microphone is delayed in all, samples (17.6 ms).
pub const DELAY: usize = CANCELLER_DELAY + SUPPRESSION_DELAY;
/// By how much the noise suppression does (10.4 ms).
const SUPPRESSION_DELAY: usize = 499;
/// By how much the canceller delays the microphone, samples (7.2 ms): band filters and a block.
const CANCELLER_DELAY: usize = 346;
/// Played sound that waits for the microphone, samples (200 ms): more means that the microphone has stopped.
const MOST_WAITING: usize = SAMPLE_RATE as usize / 5;

/// See the module.
#[derive(Debug)]
pub struct EchoCanceller {
    echo: AudioProcessing,
    noise: AudioProcessing,
    watch: EchoWatch,
    headphones: bool,
    /// Played and not fed yet.
    waiting: VecDeque<f32>,
    /// The microphone, as late as the canceller.
    past: VecDeque<f32>,
    /// 1: cancelled; 0: past the canceller.
    share: f32,
}

impl Default for EchoCanceller {
    fn default() -> Self {
        Self::new()
    }
}

impl EchoCanceller {
    /// One that expects an echo.
    pub fn new() -> Self {
        let echo = Config { echo_canceller: Some(Aec::default()), ..full_band() };
        // The gentlest: more takes more of a voice (PESQ 3.3 in a quiet room) than of a room that is bearable.
        let level = NoiseSuppressionLevel::Low;
        let suppression = NoiseSuppression { level, ..NoiseSuppression::default() };
        let noise = Config { noise_suppression: Some(suppression), ..full_band() };
        Self {
            echo: processing(echo),
            noise: processing(noise),
            watch: EchoWatch::new(),
            headphones: false,
            waiting: VecDeque::with_capacity(MOST_WAITING),
            past: std::iter::repeat_n(0.0, CANCELLER_DELAY).collect(),
            share: 1.0,
        }
    }

    /// The friend is heard by headphones: there is no echo to expect.
    pub fn set_headphones(&mut self, on: bool) {
        self.headphones = on;
    }

    /// Whether echo is being cancelled.
    pub fn is_cancelling(&self) -> bool {
        !self.headphones && self.watch.echo()
    }

    /// What the speaker plays, mono at 48 kHz.
    pub fn played(&mut self, samples: &[f32]) {
        self.waiting.extend(samples);
        let surplus = self.waiting.len().saturating_sub(MOST_WAITING);
        self.waiting.drain(..surplus);
    }

    /// Cleans what the microphone recorded next, a whole number of pieces.
    pub fn clean(&mut self, frame: &mut [f32]) {
        self.feed();
        let aim = if self.is_cancelling() { 1.0 } else { 0.0 };
        self.watch.recorded(frame);
        for piece in frame.chunks_exact_mut(PIECE) {
            let mut cancelled = [0.0; PIECE];
            if let Err(error) = self.echo.process_capture_f32(&[&*piece], &mut [&mut cancelled]) {
                log::debug!("the echo canceller refuses the microphone: {error}");
            }
            self.past.extend(piece.iter());
            let mut mixed = [0.0; PIECE];
            let step = (aim - self.share) / PIECE as f32;
            for ((to, cancelled), past) in mixed.iter_mut().zip(cancelled).zip(self.past.drain(..PIECE)) {
                self.share += step;
                *to = past + (cancelled - past) * self.share;
            }
            self.share = aim;
            if let Err(error) = self.noise.process_capture_f32(&[&mixed], &mut [&mut *piece]) {
                log::debug!("the noise suppression refuses the microphone: {error}");
            }
        }
    }

    /// Feeds what has been played to the canceller and the watch.
    fn feed(&mut self) {
        let mut piece = [0.0; PIECE];
        while self.waiting.len() >= PIECE {
            for (to, from) in piece.iter_mut().zip(self.waiting.drain(..PIECE)) {
                *to = from;
            }
            self.watch.played(&piece);
            let mut unused = [0.0; PIECE];
            if let Err(error) = self.echo.process_render_f32(&[&piece], &mut [&mut unused]) {
                log::debug!("the echo canceller refuses what is played: {error}");
            }
        }
    }
}

/// All bands up to 24 kHz.
fn full_band() -> Config {
    let maximum_internal_processing_rate = MaxProcessingRate::Rate48kHz;
    Config {
        pipeline: Pipeline { maximum_internal_processing_rate, ..Pipeline::default() },
        ..Config::default()
    }
}

fn processing(config: Config) -> AudioProcessing {
    let mono = StreamConfig::new(SAMPLE_RATE, 1);
    AudioProcessing::builder().config(config).capture_config(mono).render_config(mono).build()
}

#[cfg(test)]
mod tests;
