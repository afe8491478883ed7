//! A synthetic room between a speaker and a microphone: what is played comes back as noise that dies away.

use super::random::Random;

/// The room: 250 ms, RT60 of 300 ms; samples at 48 kHz.
const LENGTH: usize = 48 * 250;
const RT60: f64 = 48_000.0 * 0.3;
/// The echo is so much quieter than what is played.
const LOSS_DB: f64 = 10.0;
/// Reflections: sparse, or it would take minutes.
const REFLECTIONS: usize = 400;
/// The microphone's own noise: -70 dBFS.
const NOISE: f64 = 0.000_2;

/// Remembers what was played as long as it is heard.
pub(crate) struct Room {
    /// How late, samples, and how loud.
    reflections: Vec<(usize, f32)>,
    played: Vec<f32>,
    longest: usize,
}

impl Room {
    /// The first echo is so many samples late.
    pub(crate) fn new(direct: usize) -> Self {
        let mut random = Random::new(7);
        let mut taps: Vec<(usize, f64)> = (0..REFLECTIONS)
            .map(|n| {
                let at = if n == 0 { 0 } else { (random.next() * LENGTH as f64) as usize };
                (at, random.normal() * 10f64.powf(-3.0 * at as f64 / RT60))
            })
            .collect();
        let power: f64 = taps.iter().map(|(_, gain)| gain * gain).sum();
        let scale = (10f64.powf(-LOSS_DB / 10.0) / power).sqrt();
        let reflections = taps.drain(..).map(|(at, gain)| (direct + at, (gain * scale) as f32)).collect();
        let longest = direct + LENGTH;
        Self { reflections, played: vec![0.0; longest], longest }
    }

    /// What comes back while this is played.
    pub(crate) fn hear(&mut self, played: &[f32]) -> Vec<f32> {
        self.played.extend_from_slice(played);
        let mut heard = vec![0.0; played.len()];
        for (late, gain) in &self.reflections {
            let delayed = self.played.iter().skip(self.longest - late);
            heard.iter_mut().zip(delayed).for_each(|(sample, played)| *sample += played * gain);
        }
        self.played.drain(..played.len());
        heard
    }
}

/// What the microphone adds.
pub(crate) fn noise(samples: usize) -> Vec<f32> {
    let mut random = Random::new(9);
    (0..samples).map(|_| (random.normal() * NOISE) as f32).collect()
}
