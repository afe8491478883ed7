//! A synthetic voice for the demo: vowels of a buzzing larynx through three formants, in syllables with pauses,
//! so that codecs, meters and jitter buffers meet something like speech. It says nothing. Pure: samples by
//! the number, the same at every start.

use crate::media::frame::{FRAME_SAMPLES, SAMPLE_RATE};
use std::f32::consts::TAU;

/// First three formants of some vowels of an adult voice, Hz.
const VOWELS: [[f32; 3]; 5] = [
    [730.0, 1_090.0, 2_440.0],
    [530.0, 1_840.0, 2_480.0],
    [270.0, 2_290.0, 3_010.0],
    [570.0, 840.0, 2_410.0],
    [300.0, 870.0, 2_240.0],
];
/// Bandwidth of each formant, Hz.
const BANDWIDTHS: [f32; 3] = [70.0, 90.0, 120.0];
/// How much of each is heard.
const GAINS: [f32; 3] = [1.0, 0.5, 0.25];
/// Samples of a syllable: 180 ms.
const SYLLABLE: u32 = SAMPLE_RATE * 18 / 100;
/// Syllables of a sentence, the pause after it included.
const SENTENCE: u32 = 14;
/// Syllables of it that are silent.
const PAUSE: u32 = 4;
/// Brings vowels to about -20 dBFS.
const LEVEL: f32 = 0.000_6;

/// The voice, endless.
#[derive(Debug, Default)]
pub struct Voice {
    position: u32,
    /// Phase of the larynx, 0 to 1.
    phase: f32,
    resonators: [Resonator; 3],
    /// How high it speaks: 0 is an adult's low voice, 1 twice as high.
    pitch: f32,
}

/// A two-pole filter.
#[derive(Debug, Default, Clone, Copy)]
struct Resonator {
    before: f32,
    before_that: f32,
}

impl Resonator {
    fn step(&mut self, input: f32, frequency: f32, bandwidth: f32) -> f32 {
        let rate = SAMPLE_RATE as f32;
        let radius = (-TAU / 2.0 * bandwidth / rate).exp();
        let output = input + 2.0 * radius * (TAU * frequency / rate).cos() * self.before
            - radius * radius * self.before_that;
        (self.before_that, self.before) = (self.before, output);
        output
    }
}

impl Voice {
    /// A voice; `pitch` 0 to 1 sets two of them apart.
    pub fn new(pitch: f32) -> Self {
        Self { pitch, ..Self::default() }
    }

    /// Its next 20 ms.
    pub fn fill(&mut self, frame: &mut [f32; FRAME_SAMPLES]) {
        for sample in frame {
            *sample = self.next();
            self.position = self.position.wrapping_add(1);
        }
    }

    fn next(&mut self) -> f32 {
        let syllable = self.position / SYLLABLE;
        let within = (self.position % SYLLABLE) as f32 / SYLLABLE as f32;
        let in_sentence = syllable % SENTENCE;
        let speaking = in_sentence < SENTENCE - PAUSE;
        // The melody falls within a sentence and wavers from syllable to syllable.
        let melody = 1.15 - 0.02 * in_sentence as f32 + 0.05 * ((syllable * 7 % 5) as f32 - 2.0) / 2.0;
        self.phase = (self.phase + 110.0 * (1.0 + self.pitch) * melody / SAMPLE_RATE as f32).fract();
        // A larynx: opens slowly, closes at once.
        let buzz = if self.phase < 0.6 { self.phase / 0.6 } else { 0.0 } - 0.3;
        let envelope = if speaking { (within * TAU / 2.0).sin().max(0.0) } else { 0.0 };
        let vowel = vowel(syllable);
        let formants = self.resonators.iter_mut().zip(vowel).zip(BANDWIDTHS).zip(GAINS);
        let sum: f32 = formants
            .map(|(((resonator, frequency), bandwidth), gain)| {
                gain * resonator.step(buzz, frequency, bandwidth)
            })
            .sum();
        (sum * envelope * LEVEL).clamp(-1.0, 1.0)
    }
}

/// Which vowel: a walk that does not sound like a scale.
fn vowel(syllable: u32) -> [f32; 3] {
    let index = (syllable * 3 + syllable / 5) as usize % VOWELS.len();
    VOWELS.get(index).copied().unwrap_or([500.0, 1_500.0, 2_500.0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::level::Loudness;

    fn seconds(voice: &mut Voice, count: usize) -> Vec<f32> {
        let mut samples = Vec::new();
        for _ in 0..count * 50 {
            let mut frame = [0.0; FRAME_SAMPLES];
            voice.fill(&mut frame);
            samples.extend(frame);
        }
        samples
    }

    #[test]
    fn it_is_as_loud_as_speech_and_never_clips() {
        let samples = seconds(&mut Voice::new(0.0), 10);
        let loudness = Loudness::of(&samples);
        assert!((-30.0..-12.0).contains(&loudness.rms_dbfs), "{loudness:?}");
        assert!(samples.iter().all(|sample| sample.abs() < 0.95));
    }

    #[test]
    fn it_pauses_between_sentences() {
        let samples = seconds(&mut Voice::new(0.5), 10);
        let silent = samples.iter().filter(|sample| **sample == 0.0).count();
        assert!((samples.len() / 6..samples.len() / 2).contains(&silent), "{silent}");
    }

    #[test]
    fn two_pitches_are_two_voices() {
        assert_ne!(seconds(&mut Voice::new(0.0), 1), seconds(&mut Voice::new(1.0), 1));
    }
}
