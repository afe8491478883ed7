//! PESQ of what was heard against what was spoken, by the Python package `pesq` in a process of its own.

use super::speech::{self, PIECE};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Pairs of files from standard input, a score a line.
const SCRIPT: &str = "
import sys, wave, numpy, pesq
from concurrent.futures import ProcessPoolExecutor
def read(path):
    with wave.open(path) as f:
        return numpy.frombuffer(f.readframes(f.getnframes()), dtype='<i2')
def judge(line):
    spoken, heard = line.rstrip('\\n').split('\\t')
    return pesq.pesq(16000, read(spoken), read(heard), 'wb')
with ProcessPoolExecutor(2) as pool:
    for score in pool.map(judge, list(sys.stdin)):
        print(score)
";

/// Where the files go.
pub(crate) fn directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quality");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// What is to be judged: pieces of what was spoken and heard.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    pairs: Vec<(PathBuf, PathBuf)>,
}

impl Judge {
    /// Adds every piece of `spoken` (48 kHz) and of `heard`, which is `late` samples behind.
    pub(crate) fn add(&mut self, name: &str, spoken: &[f32], heard: &[f32], late: usize) {
        for (n, piece) in spoken.chunks_exact(PIECE).enumerate() {
            let from = n * PIECE + late;
            let mut part: Vec<f32> = heard.iter().skip(from).take(PIECE).copied().collect();
            part.resize(PIECE, 0.0);
            let files = ["spoken", "heard"].map(|what| directory().join(format!("{name}-{n}-{what}.wav")));
            for (path, samples) in files.iter().zip([piece, &part]) {
                write(path, &speech::resampled(samples, 48_000, 16_000));
            }
            let [spoken, heard] = files;
            self.pairs.push((spoken, heard));
        }
    }

    /// The mean of all scores, 1 to 4.64.
    pub(crate) fn score(self) -> f64 {
        let python = std::env::var("P2PCALL_PESQ").expect("P2PCALL_PESQ names a Python that has pesq");
        let mut child = Command::new(python)
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut stdin = child.stdin.take().unwrap();
        for (spoken, heard) in &self.pairs {
            writeln!(stdin, "{}	{}", spoken.display(), heard.display()).unwrap();
        }
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let scores: Vec<f64> =
            String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.parse().ok()).collect();
        assert_eq!(scores.len(), self.pairs.len(), "PESQ judges every pair");
        scores.iter().sum::<f64>() / scores.len().max(1) as f64
    }
}

/// Mono, 16 bits, 16 kHz.
fn write(path: &Path, samples: &[f32]) {
    let (bits_per_sample, sample_format) = (16, hound::SampleFormat::Int);
    let spec = hound::WavSpec { channels: 1, sample_rate: 16_000, bits_per_sample, sample_format };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for sample in samples {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
}
