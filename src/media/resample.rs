//! Mono sound from one sample rate to another, in pieces of any size. Knows no file and no device.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Resampler as _, SincInterpolationParameters, WindowFunction};
use std::ops::RangeInclusive;

/// Hz that make sense for sound.
pub const RATES: RangeInclusive<u32> = 4_000..=384_000;
/// Taps of the filter: 0.7 ms of delay at 48 kHz, a stop band below -90 dB.
const FILTER_LENGTH: usize = 64;
/// Resampled at a time, in parts of a second: 5 ms.
const CHUNKS_PER_SECOND: u32 = 200;

/// Why there is no such resampler.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// A rate outside [`RATES`].
    #[error("a sample rate of {0} Hz is not supported (4,000 to 384,000)")]
    Rate(u32),
    /// The filter could not be made, or refused its input.
    #[error("resampling failed: {0}")]
    Filter(String),
}

/// Turns a stream of samples at one rate into one at another. Equal rates cost nothing.
pub struct Resampler {
    filter: Option<Filter>,
}

struct Filter {
    inner: Async<f32>,
    /// What did not fill a chunk yet.
    waiting: Vec<f32>,
    chunk: usize,
    out: Vec<f32>,
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resampler").field("passes_through", &self.filter.is_none()).finish()
    }
}

impl Resampler {
    /// From `from` Hz to `to` Hz.
    ///
    /// # Errors
    /// When a rate is outside [`RATES`].
    pub fn new(from: u32, to: u32) -> Result<Self, ResampleError> {
        if let Some(rate) = [from, to].into_iter().find(|rate| !RATES.contains(rate)) {
            return Err(ResampleError::Rate(rate));
        }
        if from == to {
            return Ok(Self { filter: None });
        }
        let parameters = SincInterpolationParameters::new(FILTER_LENGTH, WindowFunction::BlackmanHarris2);
        let chunk = (from / CHUNKS_PER_SECOND) as usize;
        let ratio = f64::from(to) / f64::from(from);
        let inner = Async::new_sinc(ratio, 1.0, &parameters, chunk, 1, FixedAsync::Input)
            .map_err(|error| ResampleError::Filter(error.to_string()))?;
        let out = vec![0.0; inner.output_frames_max()];
        Ok(Self { filter: Some(Filter { inner, waiting: Vec::with_capacity(chunk), chunk, out }) })
    }

    /// Takes the next samples and appends what can be said about them so far; up to 5 ms wait for more.
    ///
    /// # Errors
    /// When the filter fails, which it has no reason to.
    pub fn process(&mut self, mut samples: &[f32], out: &mut Vec<f32>) -> Result<(), ResampleError> {
        let Some(filter) = &mut self.filter else {
            out.extend_from_slice(samples);
            return Ok(());
        };
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(filter.chunk - filter.waiting.len()));
            filter.waiting.extend_from_slice(now);
            samples = later;
            if filter.waiting.len() == filter.chunk {
                filter.run(out).map_err(ResampleError::Filter)?;
            }
        }
        Ok(())
    }
}

impl Filter {
    fn run(&mut self, out: &mut Vec<f32>) -> Result<(), String> {
        let room = self.out.len();
        let input = InterleavedSlice::new(&self.waiting, 1, self.chunk).map_err(|e| e.to_string())?;
        let mut output = InterleavedSlice::new_mut(&mut self.out, 1, room).map_err(|e| e.to_string())?;
        let (_, made) =
            self.inner.process_into_buffer(&input, &mut output, None).map_err(|e| e.to_string())?;
        out.extend_from_slice(self.out.get(..made).unwrap_or_default());
        self.waiting.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(rate: u32, hertz: f32, seconds: u32) -> Vec<f32> {
        (0..rate * seconds)
            .map(|n| {
                0.5 * (n as f64 * f64::from(hertz) * std::f64::consts::TAU / f64::from(rate)).sin() as f32
            })
            .collect()
    }

    /// Amplitude of one frequency.
    fn amplitude(samples: &[f32], rate: u32, hertz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let angle = n as f64 * hertz * std::f64::consts::TAU / f64::from(rate);
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        2.0 * re.hypot(im) / samples.len() as f64
    }

    #[test]
    fn a_tone_keeps_its_pitch_its_level_and_its_length() {
        for (from, to) in
            [(44_100, 48_000), (8_000, 48_000), (96_000, 48_000), (48_000, 44_100), (48_000, 48_000)]
        {
            let input = sine(from, 997.0, 2);
            let mut resampler = Resampler::new(from, to).unwrap();
            let mut out = Vec::new();
            for piece in input.chunks(333) {
                resampler.process(piece, &mut out).unwrap();
            }
            let missing = i64::from(to) * 2 - out.len() as i64;
            assert!((0..i64::from(to) / 50).contains(&missing), "{from} to {to}: {missing} missing");
            let middle = &out[to as usize / 2..][..to as usize];
            let got = amplitude(middle, to, 997.0);
            assert!((got - 0.5).abs() < 0.005, "{from} to {to}: {got}");
            let rms =
                (middle.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / middle.len() as f64).sqrt();
            let rest = (rms * rms - got * got / 2.0).max(0.0).sqrt();
            assert!(rest < 0.001, "{from} to {to}: {rest} beside the tone");
        }
    }

    #[test]
    fn what_is_above_the_new_rates_reach_does_not_fold_back() {
        let mut resampler = Resampler::new(96_000, 48_000).unwrap();
        let mut out = Vec::new();
        resampler.process(&sine(96_000, 30_000.0, 1), &mut out).unwrap();
        let peak = out[1000..].iter().fold(0.0f32, |peak, s| peak.max(s.abs()));
        assert!(peak < 0.001, "{peak}");
    }

    #[test]
    fn senseless_rates_are_refused() {
        for rate in [0, 1, 3_999, 384_001, u32::MAX] {
            assert_eq!(Resampler::new(rate, 48_000).unwrap_err(), ResampleError::Rate(rate));
        }
    }
}
