//! Loudness: RMS and peak in dBFS, the noise floor, exact digital silence. Knows no device and no clock.
//!
//! 0 dBFS is the loudness of a full-scale sine (AES17), so a sine of amplitude 0.1 reads -20 dBFS both as
//! RMS and as peak.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What silence reads as, dBFS.
pub const FLOOR_DBFS: f32 = -100.0;
/// A full-scale sine has an RMS of 1/sqrt(2).
const AES17_GAIN: f32 = std::f32::consts::SQRT_2;
/// What quiet means where speech may pause: below every voice, above a calm room.
const QUIET_DBFS: f32 = -50.0;

/// Amplitude to dBFS.
pub fn dbfs(amplitude: f32) -> f32 {
    if amplitude.is_finite() && amplitude > 0.0 {
        (20.0 * amplitude.log10()).max(FLOOR_DBFS)
    } else {
        FLOOR_DBFS
    }
}

/// How loud it is at both ends, dBFS (0: a full-scale sine; -100: nothing).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels {
    /// Own sound as it is sent; `None` while muted, when there is no source, or its device is not there.
    pub input_dbfs: Option<f32>,
    /// The friend's sound as it is played.
    pub output_dbfs: f32,
}

impl Default for Levels {
    fn default() -> Self {
        Self { input_dbfs: None, output_dbfs: FLOOR_DBFS }
    }
}

/// Where the levels stand that are measured this moment; clones share it. Each has one writer; reading is cheap.
#[derive(Debug, Clone)]
pub struct Gauge(Arc<[AtomicU32; 2]>);

impl Default for Gauge {
    fn default() -> Self {
        Self(Arc::new([f32::NAN, FLOOR_DBFS].map(|level| AtomicU32::new(level.to_bits()))))
    }
}

impl Gauge {
    /// Own sound is so loud.
    pub fn set_input(&self, dbfs: Option<f32>) {
        let [input, _] = &*self.0;
        input.store(dbfs.unwrap_or(f32::NAN).to_bits(), Ordering::Relaxed);
    }

    /// The friend's sound is so loud.
    pub fn set_output(&self, dbfs: f32) {
        let [_, output] = &*self.0;
        output.store(dbfs.to_bits(), Ordering::Relaxed);
    }

    /// Both.
    pub fn levels(&self) -> Levels {
        let [input, output] = &*self.0;
        let [input, output] = [input, output].map(|level| f32::from_bits(level.load(Ordering::Relaxed)));
        Levels { input_dbfs: (!input.is_nan()).then_some(input), output_dbfs: output }
    }
}

/// The loudness of a stretch of sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loudness {
    /// dBFS, AES17.
    pub rms_dbfs: f32,
    /// The largest sample, dBFS.
    pub peak_dbfs: f32,
    /// Every sample is exactly zero: no analogue microphone does that.
    pub digital_silence: bool,
}

impl Loudness {
    /// Nothing at all.
    pub const SILENCE: Self = Self { rms_dbfs: FLOOR_DBFS, peak_dbfs: FLOOR_DBFS, digital_silence: true };

    /// Measures a stretch of any length.
    pub fn of(samples: &[f32]) -> Self {
        let (mut sum, mut peak) = (0.0f64, 0.0f32);
        for sample in samples.iter().filter(|s| s.is_finite()) {
            sum += f64::from(*sample) * f64::from(*sample);
            peak = peak.max(sample.abs());
        }
        let rms = (sum / samples.len().max(1) as f64).sqrt() as f32;
        Self { rms_dbfs: dbfs(rms * AES17_GAIN), peak_dbfs: dbfs(peak), digital_silence: peak == 0.0 }
    }

    /// Whether nobody is speaking.
    pub fn is_quiet(self) -> bool {
        self.rms_dbfs < QUIET_DBFS
    }
}

/// What a level meter shows: it rises at once and falls slowly, so that somebody who looks now and then
/// still sees a word that was said in between. The fall is that of a programme meter of type I
/// (IEC 60268-10): 20 dB in 1.7 s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meter {
    shown_dbfs: f32,
}

impl Meter {
    const FALL_DB_PER_S: f32 = 20.0 / 1.7;

    /// Takes the loudness of the next stretch, dBFS, and how long it was, seconds; returns what to show, dBFS.
    pub fn push(&mut self, loudness_dbfs: f32, seconds: f32) -> f32 {
        self.shown_dbfs = loudness_dbfs.max(self.shown_dbfs - Self::FALL_DB_PER_S * seconds).max(FLOOR_DBFS);
        self.shown_dbfs
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self { shown_dbfs: FLOOR_DBFS }
    }
}

/// What a recording is like, for `check`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recording {
    /// All of it together.
    pub loudness: Loudness,
    /// The loudness of its quietest tenth, dBFS: the room and the microphone.
    pub noise_floor_dbfs: f32,
    /// The loudness of its loudest tenth, dBFS: the voice.
    pub speech_dbfs: f32,
    /// Fraction of samples at full scale.
    pub clipped: f32,
}

impl Recording {
    /// Measures a recording in steps of `step` samples (20 to 100 ms make sense).
    pub fn of(samples: &[f32], step: usize) -> Self {
        let mut steps: Vec<f32> =
            samples.chunks(step.max(1)).map(|chunk| Loudness::of(chunk).rms_dbfs).collect();
        steps.sort_by(f32::total_cmp);
        let at = |tenths: usize| {
            let index = steps.len().saturating_sub(1) * tenths / 10;
            steps.get(index).copied().unwrap_or(FLOOR_DBFS)
        };
        let full = samples.iter().filter(|s| s.abs() >= 0.999).count();
        Self {
            loudness: Loudness::of(samples),
            noise_floor_dbfs: at(1),
            speech_dbfs: at(9),
            clipped: full as f32 / samples.len().max(1) as f32,
        }
    }
}

/// Says when a microphone has delivered nothing but zeros for too long, and when that is over.
#[derive(Debug, Clone)]
pub struct SilenceWatch {
    limit: usize,
    zeros: usize,
    told: bool,
}

/// What the watch has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilenceChange {
    /// Zeros for as long as the limit.
    Began,
    /// Sound again.
    Ended,
}

impl SilenceWatch {
    /// Speaks up after `limit` samples of zeros.
    pub fn new(limit: usize) -> Self {
        Self { limit, zeros: 0, told: false }
    }

    /// Takes the next samples; says what changed.
    pub fn push(&mut self, samples: &[f32]) -> Option<SilenceChange> {
        if samples.iter().any(|s| *s != 0.0) {
            self.zeros = 0;
            return std::mem::take(&mut self.told).then_some(SilenceChange::Ended);
        }
        self.zeros = self.zeros.saturating_add(samples.len());
        if self.told || self.zeros < self.limit {
            return None;
        }
        self.told = true;
        Some(SilenceChange::Began)
    }

    /// Another device: counts anew, without a word.
    pub fn restart(&mut self) {
        self.zeros = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(amplitude: f32, samples: usize) -> Vec<f32> {
        (0..samples).map(|n| amplitude * (n as f32 * 0.13).sin()).collect()
    }

    #[test]
    fn a_sine_reads_its_amplitude_both_ways() {
        for (amplitude, expected) in [(1.0, 0.0), (0.1, -20.0), (0.01, -40.0)] {
            let loudness = Loudness::of(&sine(amplitude, 48_000));
            assert!((loudness.rms_dbfs - expected).abs() < 0.1, "{loudness:?}");
            assert!((loudness.peak_dbfs - expected).abs() < 0.1, "{loudness:?}");
            assert!(!loudness.digital_silence);
        }
    }

    #[test]
    fn nothing_reads_as_the_floor() {
        for samples in [&[][..], &[0.0; 100], &[f32::NAN, f32::INFINITY]] {
            let loudness = Loudness::of(samples);
            assert_eq!(loudness, Loudness::SILENCE);
            assert!(loudness.is_quiet());
        }
    }

    #[test]
    fn a_meter_rises_at_once_and_falls_20_db_in_1_7_s() {
        let mut meter = Meter::default();
        let reads = |shown: f32, expect: f32| assert!((shown - expect).abs() < 0.1, "{shown}");
        reads(meter.push(-18.0, 0.02), -18.0);
        let after = (0..85).map(|_| meter.push(FLOOR_DBFS, 0.02)).last().unwrap_or_default();
        reads(after, -38.0);
        reads(meter.push(-30.0, 0.02), -30.0);
        reads(meter.push(f32::NEG_INFINITY, 60.0), FLOOR_DBFS);
    }

    #[test]
    fn a_recording_tells_the_voice_from_the_room() {
        let mut samples = sine(0.001, 48_000);
        samples.extend(sine(0.2, 48_000));
        let recording = Recording::of(&samples, 960);
        assert!((recording.noise_floor_dbfs + 60.0).abs() < 1.0, "{recording:?}");
        assert!((recording.speech_dbfs + 14.0).abs() < 1.0, "{recording:?}");
        assert!(recording.clipped < 1e-6 && Recording::of(&[1.0; 10], 5).clipped > 0.99);
        assert!(Recording::of(&[], 960).noise_floor_dbfs <= FLOOR_DBFS);
    }

    #[test]
    fn digital_silence_is_told_once_and_its_end_too() {
        let mut watch = SilenceWatch::new(3);
        assert_eq!(watch.push(&[0.0, 0.0]), None);
        assert_eq!(watch.push(&[0.0, 0.0]), Some(SilenceChange::Began));
        assert_eq!(watch.push(&[0.0; 100]), None);
        assert_eq!(watch.push(&[0.0, 1e-6]), Some(SilenceChange::Ended));
        assert_eq!(watch.push(&[0.1]), None);
        assert_eq!(watch.push(&[0.0; 2]), None);
    }
}
