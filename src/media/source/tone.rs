//! A tone to test with: 440 Hz at -20 dBFS that swells and fades a little, so that a gap or a repetition is
//! heard. The carrier's frequency is exact. Pure: samples by the number.

use crate::media::frame::{FRAME_SAMPLES, SAMPLE_RATE};
use std::f64::consts::TAU;

/// Concert pitch, Hz.
pub const FREQUENCY: f64 = 440.0;
/// Mean amplitude: -20 dBFS.
const AMPLITUDE: f64 = 0.1;
/// Hz of the swell, and how much of the amplitude it moves.
const BEAT: f64 = 0.5;
const BEAT_DEPTH: f64 = 0.25;
/// Samples after which tone and swell are where they began: two seconds.
const PERIOD: u32 = 2 * SAMPLE_RATE;

/// The tone, endless.
#[derive(Debug, Default)]
pub struct Tone {
    /// Sample number, modulo `PERIOD`.
    position: u32,
}

impl Tone {
    /// The tone from its beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its next 20 ms.
    pub fn fill(&mut self, frame: &mut [f32; FRAME_SAMPLES]) {
        for sample in frame {
            let t = f64::from(self.position) / f64::from(SAMPLE_RATE);
            let swell = 1.0 + BEAT_DEPTH * (TAU * BEAT * t).cos();
            *sample = (AMPLITUDE * swell * (TAU * FREQUENCY * t).sin()) as f32;
            self.position = (self.position + 1) % PERIOD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::level::Loudness;

    #[test]
    fn it_is_440_hz_at_minus_20_dbfs_without_a_seam() {
        let mut tone = Tone::new();
        let mut samples = Vec::new();
        for _ in 0..300 {
            let mut frame = [0.0; FRAME_SAMPLES];
            tone.fill(&mut frame);
            samples.extend(frame);
        }
        let loudness = Loudness::of(&samples);
        assert!((loudness.rms_dbfs + 20.0).abs() < 0.5, "{loudness:?}");
        let crossings = samples.windows(2).filter(|w| w[0] <= 0.0 && w[1] > 0.0).count();
        assert!((2639..=2641).contains(&crossings), "{crossings} in 6 s");
        let step = samples.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.0075, "{step}");
    }
}
