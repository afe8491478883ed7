//! Speech by espeak-ng: six sentences in four voices, at 48 kHz, each in ten seconds of their own.

use p2pcall::media::resample::Resampler;
use std::path::Path;
use std::process::Command;

/// Samples of one piece: ten seconds at 48 kHz.
pub(crate) const PIECE: usize = 480_000;
/// Silence before the words: half a second.
const LEAD: usize = 24_000;

const SENTENCES: [(&str, &str); 6] = [
    (
        "en-us+m3",
        "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the depth of a well.",
    ),
    (
        "en-gb+f2",
        "These days a chicken leg is a rare dish. Rice is often served in round bowls. The juice of lemons makes fine punch.",
    ),
    (
        "en-us+f4",
        "The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage. Four hours of steady work faced us.",
    ),
    (
        "en-gb+m1",
        "A large size in stockings is hard to sell. The boy was there when the sun rose. A rod is used to catch pink salmon.",
    ),
    (
        "en-us+m7",
        "The source of the huge river is the clear spring. Kick the ball straight and follow through. Help the woman get back to her feet.",
    ),
    (
        "en-gb+f5",
        "A pot of tea helps to pass the evening. Smoky fires lack flame and heat. The soft cushion broke the man's fall.",
    ),
];

/// All pieces, one after the other; about -22 dBFS.
pub(crate) fn all(directory: &Path) -> Vec<f32> {
    let mut all = Vec::new();
    for (n, (voice, words)) in SENTENCES.iter().enumerate() {
        let path = directory.join(format!("speech-{n}.wav"));
        let spoken =
            Command::new("espeak-ng").args(["-v", voice, "-s", "150", "-w"]).arg(&path).arg(words).status();
        assert!(spoken.is_ok_and(|status| status.success()), "espeak-ng speaks {words:?}");
        let samples = read(&path);
        let rms = (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt();
        let mut piece = vec![0.0; PIECE];
        for (to, from) in piece.iter_mut().skip(LEAD).zip(&samples) {
            *to = (from * 0.06 / rms).clamp(-1.0, 1.0);
        }
        all.extend(piece);
    }
    all
}

/// A WAV file (mono, 16 bits) at 48 kHz.
pub(crate) fn read(path: &Path) -> Vec<f32> {
    let mut reader = hound::WavReader::open(path).unwrap();
    let rate = reader.spec().sample_rate;
    let samples: Vec<f32> = reader.samples::<i16>().map(|s| f32::from(s.unwrap()) / 32_768.0).collect();
    resampled(&samples, rate, 48_000)
}

/// From one rate to another.
pub(crate) fn resampled(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    let mut out = Vec::new();
    Resampler::new(from, to).unwrap().process(samples, &mut out).unwrap();
    out
}
