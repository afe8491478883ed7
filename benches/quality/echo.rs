//! Speech from the speaker through a synthetic room into the microphone, on a virtual clock, and what the echo
//! canceller leaves of it; near speech alone; both at once; and what it costs.

use super::judge::{Judge, directory};
use super::random::Random;
use super::room::{Room, noise};
use super::speech::{self, PIECE};
use p2pcall::media::echo::{EchoCanceller, PIECE as PIECE_OF_ECHO};
use p2pcall::media::frame::FRAME_SAMPLES;
use std::time::Instant;

/// From the speaker's callback to the first echo in the microphone: buffers and a metre of air, samples.
const DIRECT: usize = 48 * 45;

/// What a speaker takes at a time, and the most by which a thread is late: samples.
const PORTION: usize = 240;
const LATE: f64 = 48.0 * 12.0;

/// The table.
pub(crate) fn measure() {
    let near = speech::all(&directory());
    let far: Vec<f32> = near.iter().cycle().skip(2 * PIECE + 120_000).take(near.len()).copied().collect();
    let echo = Room::new(DIRECT).hear(&far);
    let noise = noise(near.len());
    let alone = mixed(&[&near, &noise]);
    println!("\n| echo and noise | figure | target |\n|---|---|---|");

    let only_echo = mixed(&[&echo, &noise]);
    let (left, cost) = clean(&mut EchoCanceller::new(), &far, &only_echo);
    let from = 2 * 48_000;
    let erle = 10.0 * (energy(&only_echo[from..]) / energy(&left[from..])).log10();
    println!("| far speech alone: ERLE from 2 s on | **{erle:.1} dB** | ≥ 35 dB |");

    let left = clean_unevenly(&far, &only_echo);
    let erle = 10.0 * (energy(&only_echo[from..]) / energy(&left[from..])).log10();
    println!("| the same, handed over by threads that are up to 12 ms late | **{erle:.1} dB** | ≥ 35 dB |");

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

/// Cleans all of it as a call's threads do: what was played comes in portions of 5 ms, and it as well as what the
/// microphone recorded is looked at later than it is there.
fn clean_unevenly(far: &[f32], microphone: &[f32]) -> Vec<f32> {
    let (mut canceller, mut random) = (EchoCanceller::new(), Random::new(11));
    let (mut heard, mut portions) = (Vec::new(), far.chunks_exact(PORTION).enumerate().peekable());
    for (n, piece) in microphone.chunks_exact(PIECE_OF_ECHO).enumerate() {
        let now = ((n + 1) * PIECE_OF_ECHO) as f64 + LATE * random.next();
        let until = now - LATE * random.next();
        while let Some((_, portion)) = portions.next_if(|(at, _)| ((at + 1) * PORTION) as f64 <= until) {
            canceller.played(portion);
        }
        let mut piece: [f32; PIECE_OF_ECHO] = piece.try_into().unwrap();
        canceller.clean(&mut piece);
        heard.extend(piece);
    }
    heard
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
