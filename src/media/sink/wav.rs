//! What would be heard, as a WAV file: 48 kHz, mono, 16 bits. Its header is true at any moment but for the
//! last fifth of a second, so the file is whole however the process ends. Keeps no time.

use crate::media::frame::SAMPLE_RATE;
use hound::{SampleFormat, WavSpec, WavWriter};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Samples between two updates of the header: 200 ms.
const HEADER_EVERY: usize = SAMPLE_RATE as usize / 5;
/// A WAV file counts its bytes in 32 bits. Twelve hours fit; what comes after is not written.
const MAX_SAMPLES: u32 = u32::MAX / 2 - 65_536;

/// See the module.
pub struct WavSink {
    writer: WavWriter<BufWriter<File>>,
    since_header: usize,
}

impl std::fmt::Debug for WavSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WavSink").field("samples", &self.writer.len()).finish_non_exhaustive()
    }
}

impl WavSink {
    /// Makes the file, or empties it, and writes its header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path) -> Result<Self, hound::Error> {
        let spec = WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = WavWriter::create(path, spec)?;
        writer.flush()?;
        Ok(Self { writer, since_header: 0 })
    }

    /// Appends samples.
    ///
    /// # Errors
    /// When the disk is full, say.
    pub fn write(&mut self, samples: &[f32]) -> Result<(), hound::Error> {
        if self.writer.len() >= MAX_SAMPLES {
            return Ok(());
        }
        for sample in samples {
            // A float that is not a number becomes 0.
            self.writer.write_sample((sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16)?;
        }
        self.since_header += samples.len();
        if self.since_header < HEADER_EVERY {
            return Ok(());
        }
        self.since_header = 0;
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::FRAME_SAMPLES;

    #[test]
    fn the_file_can_be_read_while_it_is_written_and_after_it_was_abandoned() {
        let path = std::env::temp_dir().join(format!("p2pcall-wav-sink-{}.wav", std::process::id()));
        let mut sink = WavSink::create(&path).unwrap();
        assert_eq!(hound::WavReader::open(&path).unwrap().len(), 0);
        for _ in 0..25 {
            sink.write(&[0.5; FRAME_SAMPLES]).unwrap();
        }
        // A process that is killed runs no destructor.
        std::mem::forget(sink);
        let mut reader = hound::WavReader::open(&path).unwrap();
        assert_eq!(reader.spec().sample_rate, 48_000);
        assert_eq!((reader.spec().channels, reader.spec().bits_per_sample), (1, 16));
        assert_eq!(reader.len(), 20 * 960);
        assert!(reader.samples::<i16>().all(|s| s.unwrap() == 16_384));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_end_of_a_sink_completes_the_file_and_loud_or_strange_samples_are_tamed() {
        let path = std::env::temp_dir().join(format!("p2pcall-wav-sink-b-{}.wav", std::process::id()));
        let mut sink = WavSink::create(&path).unwrap();
        let mut frame = [2.0; FRAME_SAMPLES];
        (frame[1], frame[2]) = (f32::NAN, f32::NEG_INFINITY);
        sink.write(&frame).unwrap();
        drop(sink);
        let samples: Vec<i16> =
            hound::WavReader::open(&path).unwrap().samples::<i16>().map(Result::unwrap).collect();
        assert_eq!((samples.len(), &samples[..3]), (960, &[32_767, 0, -32_767][..]));
        std::fs::remove_file(&path).unwrap();
    }
}
