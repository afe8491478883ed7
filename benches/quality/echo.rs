//! Speech from the speaker through a synthetic room into the microphone, on a virtual clock, and what the echo
//! canceller leaves of it; near speech alone; both at once; and what it costs.

use super::judge::{Judge, directory};
use super::random::Random;
use super::speech::{self, PIECE};
use p2pcall::media::echo::EchoCanceller;
use p2pcall::media::frame::FRAME_SAMPLES;
use std::time::Instant;

/// From the speaker's callback to the first echo in the microphone: buffers and a metre of air, samples.
const DIRECT: usize = 48 * 45;
/// The room: 250 ms, RT60 of 300 ms.
const ROOM: usize = 48 * 250;
const RT60: f64 = 48_000.0 * 0.3;
/// The echo is so much quieter than what is played.
const LOSS_DB: f64 = 10.0;
/// The microphone's own noise: -70 dBFS.
const NOISE: f64 = 0.000_2;

/// The table.
pub(crate) fn measure() {
    let near = speech::all(&directory());
    let far: Vec<f32> = near.iter().cycle().skip(2 * PIECE + 120_000).take(near.len()).copied().collect();
    let echo = through_the_room(&far);
    let noise = noise(near.len());
    let alone = mixed(&[&near, &noise]);
    println!("\n| echo and noise | figure | target |\n|---|---|---|");

    let only_echo = mixed(&[&echo, &noise]);
    let (left, cost) = clean(&mut EchoCanceller::new(), &far, &only_echo);
    let from = 2 * 48_000;
    let erle = 10.0 * (energy(&only_echo[from..]) / energy(&left[from..])).log10();
    println!("| far speech alone: ERLE from 2 s on | **{erle:.1} dB** | ≥ 35 dB |");

    let silence = vec![0.0; near.len()];
    let (heard, _) = clean(&mut EchoCanceller::new(), &silence, &alone);
    println!(
        "| near speech alone, nothing played: PESQ | **{:.2}** | ≥ 3.5 |",
        judged("near", &near, &heard)
    );

    let mut canceller = EchoCanceller::new();
    let (heard, _) = clean(&mut canceller, &far, &alone);
    let aside = if canceller.is_cancelling() { "no" } else { "yes" };
    println!("| does it step aside there | {aside} | yes |");
    let (near_later, heard_later) = (&near[2 * PIECE..], &heard[2 * PIECE..]);
    println!(
        "| and once it has (from 20 s on): PESQ | **{:.2}** | ≥ 3.5 |",
        judged("aside", near_later, heard_later)
    );
    println!(
        "| near speech, friend in headphones (no echo): PESQ | **{:.2}** | |",
        judged("beside", &near, &heard)
    );

    let both = mixed(&[&near, &echo, &noise]);
    let (heard, _) = clean(&mut EchoCanceller::new(), &far, &both);
    println!("| both at once: PESQ of the near speech | {:.2} | |", judged("both", &near, &heard));
    println!("| and untouched | {:.2} | |", judged("untouched", &near, &both));
    println!("| processor time of 10 ms | **{cost:.3} ms** ({:.1} % of a core) | 0.1 ms |", cost * 10.0);
}

fn judged(name: &str, near: &[f32], heard: &[f32]) -> f64 {
    let mut judge = Judge::default();
    judge.add(name, near, heard, 700);
    judge.score()
}

/// Cleans all of it; and the ms that 10 ms of it took.
fn clean(canceller: &mut EchoCanceller, far: &[f32], microphone: &[f32]) -> (Vec<f32>, f64) {
    let mut heard = Vec::new();
    let started = Instant::now();
    for (played, frame) in far.chunks_exact(FRAME_SAMPLES).zip(microphone.chunks_exact(FRAME_SAMPLES)) {
        let mut frame: [f32; FRAME_SAMPLES] = frame.try_into().unwrap();
        canceller.played(played);
        canceller.clean(&mut frame);
        heard.extend(frame);
    }
    let frames = heard.len() as f64 / FRAME_SAMPLES as f64;
    (heard, started.elapsed().as_secs_f64() * 1000.0 / frames / 2.0)
}

/// Noise that dies away, with a quiet start of `DIRECT`; by sparse reflections, or it would take minutes.
fn through_the_room(played: &[f32]) -> Vec<f32> {
    let mut random = Random::new(7);
    let mut taps: Vec<(usize, f64)> = (0..400)
        .map(|n| {
            let at = if n == 0 { 0 } else { (random.next() * ROOM as f64) as usize };
            (at, random.normal() * 10f64.powf(-3.0 * at as f64 / RT60))
        })
        .collect();
    let power: f64 = taps.iter().map(|(_, gain)| gain * gain).sum();
    let scale = (10f64.powf(-LOSS_DB / 10.0) / power).sqrt();
    for (_, gain) in &mut taps {
        *gain *= scale;
    }
    let mut heard = vec![0.0f32; played.len()];
    for (at, gain) in taps {
        let shifted = heard.iter_mut().skip(DIRECT + at);
        shifted.zip(played).for_each(|(sample, played)| *sample += played * gain as f32);
    }
    heard
}

fn noise(samples: usize) -> Vec<f32> {
    let mut random = Random::new(9);
    (0..samples).map(|_| (random.normal() * NOISE) as f32).collect()
}

fn mixed(parts: &[&[f32]]) -> Vec<f32> {
    let mut all = vec![0.0; parts.first().map_or(0, |part| part.len())];
    for part in parts {
        all.iter_mut().zip(*part).for_each(|(sample, more)| *sample += more);
    }
    all
}

fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum::<f64>().max(1e-12)
}
