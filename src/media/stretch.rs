//! Makes a stretch of sound shorter or longer by one period of the voice, so that nobody hears it: finds the
//! lag at which the wave repeats itself best, and cross-fades from one repetition to the other (WSOLA).
//! Pure; knows no clock and no codec.
//!
//! ```text
//! shorten   |--fade--|            x[0..]  fades into  x[lag..]      lag samples are gone
//!           |<- lag ->|--fade--|
//! lengthen  |<- lag ->|--fade--|  x[lag..] fades into x[0..]        lag samples are there twice
//! ```

use crate::media::frame::{FRAME_SAMPLES, SAMPLE_RATE};
use std::ops::RangeInclusive;

/// Periods of a voice, samples: 400 to 100 Hz. A lower voice is cut by half of its periods, which a fade of
/// well correlated sound still hides.
const LAGS: RangeInclusive<usize> = SAMPLE_RATE as usize / 400..=SAMPLE_RATE as usize / 100;
/// The fade, samples: 5 ms.
const FADE: usize = SAMPLE_RATE as usize / 200;
/// Lags are tried in steps of so many samples, then one by one around the best.
const STEP: usize = 4;
/// Correlation, 0 to 1, below which a seam would be heard.
const ALIKE: f32 = 0.75;
/// Mean square below which nothing is heard anyway: -53 dBFS.
const SILENT: f32 = 0.000_002_5;

/// The most samples that one call takes out or puts in.
pub const MOST: usize = *LAGS.end();
/// What it needs to work on.
const NEEDED: usize = MOST + FADE;
const _: () = assert!(NEEDED <= FRAME_SAMPLES, "a frame is enough");

/// Shortens what begins at `from`; returns by how many samples. 0: it would have been heard, or is too short.
pub fn shorten(samples: &mut Vec<f32>, from: usize) -> usize {
    let Some((now, lag)) = repetition(samples, from) else { return 0 };
    let later: Vec<f32> = now.iter().skip(lag).take(FADE).copied().collect();
    fade(samples.iter_mut().skip(from), &later);
    samples.drain(from + FADE..from + FADE + lag);
    lag
}

/// Lengthens what begins at `from`; returns by how many samples. 0 as above.
pub fn lengthen(samples: &mut Vec<f32>, from: usize) -> usize {
    let Some((now, lag)) = repetition(samples, from) else { return 0 };
    let again: Vec<f32> = now.iter().take(lag + FADE).copied().collect();
    // The second time it is heard whole; what follows the first time fades into it.
    fade(samples.iter_mut().skip(from + lag), &again);
    let rest = again.get(FADE..).unwrap_or_default();
    samples.splice(from + lag + FADE..from + lag + FADE, rest.iter().copied());
    lag
}

/// Fades from `samples` to `other` over the length of a fade.
fn fade<'a>(samples: impl Iterator<Item = &'a mut f32>, other: &[f32]) {
    for (n, (sample, other)) in samples.zip(other.iter().take(FADE)).enumerate() {
        let weight = (n as f32 + 0.5) / FADE as f32;
        *sample += (other - *sample) * weight;
    }
}

/// What begins at `from`, and the lag at which it repeats itself best, if it does.
fn repetition(samples: &[f32], from: usize) -> Option<(&[f32], usize)> {
    let now = samples.get(from..).filter(|now| now.len() >= NEEDED)?;
    let here = now.get(..FADE)?;
    let energy = |x: &[f32]| x.iter().map(|s| s * s).sum::<f32>();
    if energy(now.get(..NEEDED)?) / (NEEDED as f32) < SILENT {
        return Some((now, MOST));
    }
    let alike = |lag: usize| {
        let there = now.get(lag..lag + FADE).unwrap_or_default();
        let dot: f32 = here.iter().zip(there).map(|(a, b)| a * b).sum();
        dot / (energy(here) * energy(there)).sqrt().max(f32::MIN_POSITIVE)
    };
    let best = |lags: &mut dyn Iterator<Item = usize>| {
        lags.map(|lag| (alike(lag), lag)).max_by(|a, b| a.0.total_cmp(&b.0))
    };
    let (_, coarse) = best(&mut LAGS.step_by(STEP))?;
    let around = coarse.saturating_sub(STEP).max(*LAGS.start())..=(coarse + STEP).min(MOST);
    let (likeness, lag) = best(&mut around.into_iter())?;
    (likeness >= ALIKE).then_some((now, lag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    fn tone(hertz: f32, samples: usize) -> Vec<f32> {
        (0..samples).map(|n| 0.3 * (n as f32 * hertz * TAU / 48_000.0).sin()).collect()
    }

    /// The greatest second difference: a click is a large one.
    fn edge(samples: &[f32]) -> f32 {
        samples.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_tone_stays_a_tone_and_has_no_click() {
        for hertz in [110.0, 150.0, 237.0, 440.0, 1_000.0] {
            for work in [shorten, lengthen] {
                let mut samples = tone(hertz, 4 * 960);
                let before = (samples.len(), edge(&samples));
                let by = work(&mut samples, 960);
                assert!(LAGS.contains(&by), "{hertz} Hz: {by}");
                assert_eq!(samples.len().abs_diff(before.0), by);
                assert!(
                    edge(&samples) < before.1 * 1.5 + 1e-4,
                    "{hertz} Hz: {} of {}",
                    edge(&samples),
                    before.1
                );
                let rms = |x: &[f32]| (x.iter().map(|s| s * s).sum::<f32>() / x.len() as f32).sqrt();
                for piece in samples.chunks(480) {
                    assert!(rms(piece) > 0.12, "{hertz} Hz: a hole");
                }
            }
        }
    }

    #[test]
    fn silence_gives_the_most_and_noise_nothing() {
        assert_eq!(shorten(&mut vec![0.0; 960], 0), MOST);
        let mut state = 1u32;
        let mut noise: Vec<f32> = (0..960)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 16_777_216.0 - 0.5
            })
            .collect();
        let before = noise.clone();
        assert_eq!((shorten(&mut noise, 0), lengthen(&mut noise, 0)), (0, 0));
        assert_eq!(noise, before);
    }

    #[test]
    fn what_is_too_short_is_left_alone() {
        for length in 0..NEEDED {
            let mut samples = vec![0.0; length];
            assert_eq!((shorten(&mut samples, 0), lengthen(&mut samples, 5)), (0, 0));
        }
    }
}
