//! A WAV file as a source of sound: any rate, any number of channels, 8 to 32 bits or float, read as it is
//! needed, mixed to mono, resampled, and played over and over. Keeps no time: it is asked for 20 ms when
//! they are due.

use crate::media::frame::{FRAME_SAMPLES, SAMPLE_RATE};
use crate::media::resample::{ResampleError, Resampler};
use hound::{SampleFormat, WavReader};
use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Frames read at a time.
const CHUNK: usize = 480;

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// It cannot be opened, or is no WAV file.
    #[error("{0}")]
    Read(#[from] hound::Error),
    /// Its sample rate.
    #[error("{0}")]
    Rate(#[from] ResampleError),
    /// It has no sound in it.
    #[error("the file holds no samples")]
    Empty,
}

/// See the module.
pub struct WavSource {
    reader: WavReader<BufReader<File>>,
    channels: usize,
    float: bool,
    /// What a sample of the file is multiplied by.
    scale: f32,
    resampler: Resampler,
    mono: Vec<f32>,
    resampled: Vec<f32>,
    ready: VecDeque<f32>,
    /// The file could not be read any more: silence from then on.
    failed: bool,
}

impl std::fmt::Debug for WavSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WavSource").field("spec", &self.reader.spec()).finish_non_exhaustive()
    }
}

impl WavSource {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// When it cannot be opened, is no WAV file, has a strange rate or no samples.
    pub fn open(path: &Path) -> Result<Self, WavError> {
        let reader = WavReader::open(path)?;
        let spec = reader.spec();
        if reader.duration() == 0 || spec.channels == 0 {
            return Err(WavError::Empty);
        }
        let float = spec.sample_format == SampleFormat::Float;
        let scale = if float { 1.0 } else { 2.0f32.powi(1 - i32::from(spec.bits_per_sample)) }
            / f32::from(spec.channels);
        Ok(Self {
            resampler: Resampler::new(spec.sample_rate, SAMPLE_RATE)?,
            channels: usize::from(spec.channels),
            reader,
            float,
            scale,
            mono: Vec::with_capacity(CHUNK),
            resampled: Vec::new(),
            ready: VecDeque::new(),
            failed: false,
        })
    }

    /// The next 20 ms; silence once the file cannot be read any more.
    pub fn fill(&mut self, frame: &mut [f32; FRAME_SAMPLES]) {
        while self.ready.len() < FRAME_SAMPLES && !self.failed {
            self.read_on();
        }
        for sample in frame {
            *sample = self.ready.pop_front().unwrap_or(0.0);
        }
    }

    /// Reads and resamples the next chunk; at the end of the file, goes back to its beginning.
    fn read_on(&mut self) {
        if !self.read_chunk() {
            let again = self.reader.seek(0).is_ok() && self.read_chunk();
            if !again {
                self.failed = true;
                return;
            }
        }
        self.resampled.clear();
        if self.resampler.process(&self.mono, &mut self.resampled).is_err() {
            self.failed = true;
            return;
        }
        self.ready.extend(&self.resampled);
    }

    /// Fills `mono`; false at the end. A file shorter than its header says ends where it ends.
    fn read_chunk(&mut self) -> bool {
        self.mono.clear();
        while self.mono.len() < CHUNK {
            let (float, channels) = (self.float, self.channels);
            let frame = if float {
                sum(self.reader.samples::<f32>().take(channels).map(|s| s.ok().filter(|s| s.is_finite())))
            } else {
                sum(self.reader.samples::<i32>().take(channels).map(|s| s.ok().map(|s| s as f32)))
            };
            match frame {
                Some((sum, read)) if read == channels => self.mono.push((sum * self.scale).clamp(-1.0, 1.0)),
                _ => break,
            }
        }
        !self.mono.is_empty()
    }
}

/// The sum of one frame's channels and how many there were; `None` when one could not be read.
fn sum(mut samples: impl Iterator<Item = Option<f32>>) -> Option<(f32, usize)> {
    samples.try_fold((0.0, 0), |(sum, count), sample| sample.map(|sample| (sum + sample, count + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::{WavSpec, WavWriter};

    fn write(name: &str, spec: WavSpec, seconds: u32, tone: impl Fn(f64) -> f64) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("p2pcall-wav-source-{}-{name}.wav", std::process::id()));
        let mut writer = WavWriter::create(&path, spec).unwrap();
        for n in 0..spec.sample_rate * seconds {
            let value = tone(f64::from(n) / f64::from(spec.sample_rate));
            for _ in 0..spec.channels {
                match spec.sample_format {
                    SampleFormat::Float => writer.write_sample(value as f32).unwrap(),
                    SampleFormat::Int => {
                        let full = 2f64.powi(i32::from(spec.bits_per_sample) - 1) - 1.0;
                        writer.write_sample((value * full).round() as i32).unwrap();
                    }
                }
            }
        }
        writer.finalize().unwrap();
        path
    }

    fn play(path: &Path, frames: usize) -> Vec<f32> {
        let mut source = WavSource::open(path).unwrap();
        let mut out = Vec::new();
        for _ in 0..frames {
            let mut frame = [0.0; FRAME_SAMPLES];
            source.fill(&mut frame);
            out.extend(frame);
        }
        out
    }

    #[test]
    fn every_common_kind_of_file_sounds_the_same() {
        let int = |bits, rate, channels| WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: bits,
            sample_format: SampleFormat::Int,
        };
        let float = WavSpec { sample_format: SampleFormat::Float, ..int(32, 44_100, 2) };
        let specs = [
            int(8, 8_000, 1),
            int(16, 48_000, 1),
            int(16, 44_100, 2),
            int(24, 96_000, 2),
            int(32, 22_050, 1),
            float,
        ];
        for (n, spec) in specs.into_iter().enumerate() {
            let path =
                write(&n.to_string(), spec, 1, |t| 0.5 * (t * 500.0 * std::f64::consts::TAU + 0.3).sin());
            // Two seconds of a file of one: it loops.
            let heard = play(&path, 100);
            std::fs::remove_file(&path).unwrap();
            let rms = (heard.iter().map(|s| s * s).sum::<f32>() / heard.len() as f32).sqrt();
            assert!((rms - 0.3535).abs() < 0.01, "{spec:?}: {rms}");
            // The resampler rings into the first samples.
            let crossings = heard[960..].windows(2).filter(|w| w[0] <= 0.0 && w[1] > 0.0).count();
            assert!((985..=993).contains(&crossings), "{spec:?}: {crossings}");
        }
    }

    #[test]
    fn what_is_no_wav_file_is_an_error() {
        assert!(matches!(WavSource::open(Path::new("/nonexistent.wav")), Err(WavError::Read(_))));
        let spec = WavSpec {
            channels: 1,
            sample_rate: 48_000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let path = write("empty", spec, 0, |_| 0.0);
        assert!(matches!(WavSource::open(&path), Err(WavError::Empty)));
        std::fs::write(&path, b"RIFF\x04\0\0\0WAVE").unwrap();
        assert!(matches!(WavSource::open(&path), Err(WavError::Read(_))));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_cut_short_or_damaged_never_panics() {
        let spec = WavSpec {
            channels: 2,
            sample_rate: 44_100,
            bits_per_sample: 24,
            sample_format: SampleFormat::Int,
        };
        let path = write("cut", spec, 1, f64::sin);
        let whole = std::fs::read(&path).unwrap();
        for cut in (0..80).chain([1000, 1001, 5000]) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            if let Ok(mut source) = WavSource::open(&path) {
                source.fill(&mut [0.0; FRAME_SAMPLES]);
            }
        }
        for at in 0..64 {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut damaged = whole[..2000].to_vec();
                damaged[at] = value;
                std::fs::write(&path, &damaged).unwrap();
                if let Ok(mut source) = WavSource::open(&path) {
                    source.fill(&mut [0.0; FRAME_SAMPLES]);
                }
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
}
