//! Test signals and what they measure like. Knows no codec and no device.

use std::f64::consts::TAU;
use std::path::Path;

/// Something like speech at 48 kHz: a voiced buzz through moving formants, in syllables.
pub(crate) fn speech(seconds: u32) -> Vec<f32> {
    speech_at(seconds, 48_000)
}

/// The same at another rate.
pub(crate) fn speech_at(seconds: u32, rate: u32) -> Vec<f32> {
    let mut phase = 0.0;
    (0..rate * seconds)
        .map(|n| {
            let t = f64::from(n) / f64::from(rate);
            phase += (140.0 + 25.0 * (t * 3.0).sin()) / f64::from(rate);
            let syllable = (0.5 - 0.5 * (t * 25.0).cos()).powi(2);
            let formant = 6.0 + 4.0 * (t * 7.0).sin();
            let buzz: f64 = (1..24)
                .map(|k| {
                    let k = f64::from(k);
                    (phase * k * TAU).sin() / (1.0 + (k - formant).powi(2) / 8.0)
                })
                .sum();
            (0.08 * syllable * buzz) as f32
        })
        .collect()
}

/// A tone in syllables, 48 kHz: one that never pauses is taken for noise.
pub(crate) fn syllables(seconds: u32, hertz: f64) -> Vec<f32> {
    let sample = |n: u32| {
        let spoken = if n % 28_800 < 19_200 { 0.3 } else { 0.0 };
        spoken * (f64::from(n) * hertz * std::f64::consts::TAU / 48_000.0).sin() as f32
    };
    (0..48_000 * seconds).map(sample).collect()
}

/// Writes mono s16.
pub(crate) fn write_wav(path: &Path, rate: u32, samples: &[f32]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for sample in samples {
        writer.write_sample((sample * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
}

/// Root mean square.
pub(crate) fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|s| s * s).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}

/// The frequency of a tone at 48 kHz, by its rising zero crossings.
pub(crate) fn frequency(samples: &[f32]) -> f64 {
    let crossings: Vec<f64> = samples
        .windows(2)
        .enumerate()
        .filter(|(_, w)| w[0] < 0.0 && w[1] >= 0.0)
        .map(|(n, w)| n as f64 + f64::from(w[0] / (w[0] - w[1])))
        .collect();
    match (crossings.first(), crossings.last()) {
        (Some(first), Some(last)) if last > first => (crossings.len() - 1) as f64 * 48_000.0 / (last - first),
        _ => 0.0,
    }
}

/// Samples of one step of an envelope: 1 ms.
const STEP: usize = 48;

/// How loud each millisecond is, around the mean.
fn envelope(samples: &[f32]) -> Vec<f32> {
    let steps = samples.chunks_exact(STEP).map(|chunk| chunk.iter().map(|sample| sample.abs()).sum::<f32>());
    let steps: Vec<f32> = steps.collect();
    let mean = steps.iter().sum::<f32>() / steps.len().max(1) as f32;
    steps.into_iter().map(|step| step - mean).collect()
}

/// Each step the mean of so many from it on.
fn smooth(envelope: &[f32], steps: usize) -> Vec<f32> {
    envelope.windows(steps).map(|window| window.iter().sum::<f32>() / steps as f32).collect()
}

/// Normalised correlation of `one` with as much of `other`.
fn correlation(one: &[f32], other: &[f32]) -> f32 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 1e-9);
    for (a, b) in one.iter().zip(other) {
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    ab / (aa * bb + 1e-9).sqrt()
}

/// The same of the envelopes alone, each step of them the mean of so many.
fn best_loudness(sent: &[f32], heard: &[f32], max_lag: usize, steps: usize) -> (f32, usize) {
    let (sent, heard) = (smooth(&envelope(sent), steps), smooth(&envelope(heard), steps));
    let at = |lag: usize| (correlation(&sent, heard.get(lag..).unwrap_or_default()), lag * STEP);
    (0..max_lag / STEP).map(at).fold((f32::MIN, 0), |a, b| if b.0 > a.0 { b } else { a })
}

/// The best normalised correlation of `sent` within `heard` delayed by 0 to `max_lag` samples, and that
/// delay: coarse over the envelopes, for waves repeat themselves, then fine.
fn best_correlation(sent: &[f32], heard: &[f32], max_lag: usize) -> (f32, usize) {
    let best = |found: &mut dyn Iterator<Item = (f32, usize)>| {
        found.fold((f32::MIN, 0), |a, b| if b.0 > a.0 { b } else { a })
    };
    let (_, lag) = best_loudness(sent, heard, max_lag, 1);
    let near = lag.saturating_sub(2 * STEP)..lag + 2 * STEP;
    let fine = |lag: usize| (correlation(sent, heard.get(lag..).unwrap_or_default()), lag);
    best(&mut near.map(fine))
}

/// The median over whole seconds of their best correlation: one shift of the delay spoils one second. And
/// the delay of the middle one, samples.
pub(crate) fn correlation_by_second(sent: &[f32], heard: &[f32], max_lag: usize) -> (f32, usize) {
    by_second(sent, heard, max_lag, best_correlation)
}

/// The same of the loudness, over 10 ms: what noise suppression and its filter banks, which turn phases, leave, and
/// a jitter buffer that finds its pace, which stretches a second by 20 ms. Other speech of the same voice has 0.6.
pub(crate) fn loudness_by_second(sent: &[f32], heard: &[f32], max_lag: usize) -> (f32, usize) {
    by_second(sent, heard, max_lag, |sent, heard, lag| best_loudness(sent, heard, lag, 10))
}

fn by_second(
    sent: &[f32],
    heard: &[f32],
    max_lag: usize,
    best: impl Fn(&[f32], &[f32], usize) -> (f32, usize),
) -> (f32, usize) {
    let mut seconds: Vec<(f32, usize)> = sent
        .chunks_exact(48_000)
        .enumerate()
        .skip(1)
        .filter_map(|(n, second)| {
            let rest = heard.get(n * 48_000..)?;
            (rest.len() >= second.len() + max_lag).then(|| best(second, rest, max_lag))
        })
        .collect();
    seconds.sort_by(|a, b| a.0.total_cmp(&b.0));
    seconds.get(seconds.len() / 2).copied().unwrap_or_default()
}
