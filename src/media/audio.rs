//! Opus for a call: mono, 48 kHz, 20 ms a packet, variable bitrate, in-band FEC.
//!
//! ```text
//! AudioFrame -> Encoder -> packet ~~~ network ~~~ jitter -> Decoder -> samples
//!                                                            decode   the packet that is due
//!                                                            recover  the one before it, from its FEC
//!                                                            conceal  nothing came: invent
//! ```
//! Policy only: what libopus is asked for. How it is called is `audio/opus.rs`, the one unsafe file.
//! Knows no device, no clock and no network.

pub mod merge;
pub mod opus;

use crate::media::frame::FRAME_SAMPLES;
use opus::{Number, RawDecoder, RawEncoder};
use std::ops::RangeInclusive;

pub use opus::OpusError;

/// bit/s that the encoder accepts: Opus's own lower bound (RFC 6716 §2.1.1), and where mono speech gains
/// nothing more.
pub const BITRATE_RANGE: RangeInclusive<u32> = 6_000..=128_000;
/// bit/s until somebody says otherwise: full-band speech with room for FEC (FEC does nothing at 16k).
pub const DEFAULT_BITRATE: u32 = 32_000;
/// Fraction of packets expected to be lost until the network says otherwise: enough that FEC is there
/// when the first loss comes.
pub const DEFAULT_LOSS: f32 = 0.05;

/// RFC 6716 §3.2.1: the longest frame of a packet; ours hold one frame.
const MAX_PACKET: usize = 1275;
/// Of 10. Above 9 libopus only analyses longer; 9 costs 0.2 ms per packet.
const COMPLEXITY: i32 = 9;

/// Sound in, packets out.
#[derive(Debug)]
pub struct Encoder {
    raw: RawEncoder,
    buffer: Vec<u8>,
}

impl Encoder {
    /// An encoder at `DEFAULT_BITRATE` and `DEFAULT_LOSS`.
    ///
    /// # Errors
    /// When libopus cannot allocate its state.
    pub fn new() -> Result<Self, OpusError> {
        let mut encoder = Self { raw: RawEncoder::new()?, buffer: vec![0; MAX_PACKET] };
        encoder.raw.set(Number::Complexity, COMPLEXITY)?;
        encoder.raw.set(Number::Vbr, 1)?;
        encoder.raw.set(Number::InbandFec, 1)?;
        // Silence is sent as small packets: a stream that stops looks like one that was lost.
        encoder.raw.set(Number::Dtx, 0)?;
        encoder.raw.set(Number::SignalVoice, opus::SIGNAL_VOICE)?;
        encoder.set_bitrate(DEFAULT_BITRATE)?;
        encoder.set_expected_loss(DEFAULT_LOSS)?;
        Ok(encoder)
    }

    /// Sets the bitrate in bit/s, clamped to [`BITRATE_RANGE`].
    ///
    /// # Errors
    /// When libopus refuses it, which it does for no value of the range.
    pub fn set_bitrate(&mut self, bits_per_second: u32) -> Result<(), OpusError> {
        let clamped = bits_per_second.clamp(*BITRATE_RANGE.start(), *BITRATE_RANGE.end());
        self.raw.set(Number::Bitrate, clamped as i32)
    }

    /// Tells the encoder the fraction of packets that get lost (0 to 1): the more, the more FEC.
    ///
    /// # Errors
    /// When libopus refuses it, which it does for no value of the range.
    pub fn set_expected_loss(&mut self, fraction: f32) -> Result<(), OpusError> {
        let percent = if fraction.is_finite() { (fraction * 100.0).round().clamp(0.0, 100.0) } else { 0.0 };
        self.raw.set(Number::PacketLossPercent, percent as i32)
    }

    /// Samples by which what is decoded lags what went in (at 48 kHz): the codec's own look-ahead.
    ///
    /// # Errors
    /// When libopus does not say.
    pub fn lookahead(&mut self) -> Result<u32, OpusError> {
        self.raw.get_lookahead().map(i32::unsigned_abs)
    }

    /// Codes one frame. The packet is never empty.
    ///
    /// # Errors
    /// When libopus fails inside.
    pub fn encode(&mut self, frame: &[f32; FRAME_SAMPLES]) -> Result<&[u8], OpusError> {
        let length = self.raw.encode(frame, &mut self.buffer)?;
        self.buffer.get(..length).ok_or(OpusError::Internal)
    }
}

/// Packets in, sound out. Decoders are told about every packet in order, also about those that never came.
#[derive(Debug)]
pub struct Decoder {
    raw: RawDecoder,
}

impl Decoder {
    /// A decoder that has heard nothing yet.
    ///
    /// # Errors
    /// When libopus cannot allocate its state.
    pub fn new() -> Result<Self, OpusError> {
        Ok(Self { raw: RawDecoder::new()? })
    }

    /// Decodes the packet that is due and appends its samples (mono, 48 kHz, nominally within -1..=1).
    /// Any Opus packet will do: 2.5 to 120 ms, mono or stereo.
    ///
    /// # Errors
    /// When the packet is not Opus; nothing is appended then, and the decoder goes on.
    pub fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<(), OpusError> {
        self.raw.decode(packet, opus::MAX_SAMPLES, false, out)
    }

    /// Restores `samples` samples just before `next` from the redundancy that `next` carries, and conceals
    /// where it carries none. `next` itself is to be decoded afterwards.
    ///
    /// # Errors
    /// When the packet is not Opus; nothing is appended then.
    pub fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<f32>) -> Result<(), OpusError> {
        self.raw.decode(next, samples, true, out)
    }

    /// Invents `samples` samples (a multiple of 120, 2.5 ms) from what came before.
    ///
    /// # Errors
    /// When `samples` is not such a multiple, or beyond 120 ms.
    pub fn conceal(&mut self, samples: usize, out: &mut Vec<f32>) -> Result<(), OpusError> {
        self.raw.decode(&[], samples, false, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::frame::SAMPLE_RATE;

    /// Something like speech: a buzz through slow formants, in syllables.
    fn speech(frames: usize) -> Vec<f32> {
        let mut phase = 0.0f32;
        (0..frames * FRAME_SAMPLES)
            .map(|n| {
                let t = n as f32 / SAMPLE_RATE as f32;
                phase += (120.0 + 20.0 * (t * 3.0).sin()) / SAMPLE_RATE as f32;
                let syllable = (0.5 - 0.5 * (t * 25.0).cos()).powi(2);
                let formant = 6.0 + 4.0 * (t * 7.0).sin();
                let buzz: f32 = (1..24)
                    .map(|k| {
                        let k = k as f32;
                        (phase * k * std::f32::consts::TAU).sin() / (1.0 + (k - formant).powi(2) / 8.0)
                    })
                    .sum();
                0.08 * syllable * buzz
            })
            .collect()
    }

    fn frames(signal: &[f32]) -> impl Iterator<Item = &[f32; FRAME_SAMPLES]> {
        signal.chunks_exact(FRAME_SAMPLES).map(|c| c.try_into().unwrap())
    }

    fn correlation(a: &[f32], b: &[f32]) -> f32 {
        let dot: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
        let (aa, bb): (f32, f32) = (a.iter().map(|x| x * x).sum(), b.iter().map(|x| x * x).sum());
        dot / (aa * bb).sqrt().max(1e-9)
    }

    fn encode_all(encoder: &mut Encoder, signal: &[f32]) -> Vec<Vec<u8>> {
        frames(signal).map(|f| encoder.encode(f).unwrap().to_vec()).collect()
    }

    #[test]
    fn speech_comes_back_as_it_was_but_for_the_codecs_delay() {
        let signal = speech(150);
        let mut encoder = Encoder::new().unwrap();
        let lag = encoder.lookahead().unwrap() as usize;
        let mut decoder = Decoder::new().unwrap();
        let mut heard = Vec::new();
        for packet in encode_all(&mut encoder, &signal) {
            decoder.decode(&packet, &mut heard).unwrap();
        }
        assert_eq!(heard.len(), signal.len());
        let r = correlation(&signal[..signal.len() - lag], &heard[lag..]);
        // The high-pass of the speech mode turns phases below 100 Hz: real speech (espeak-ng) reads 0.954.
        assert!(r > 0.88, "correlation {r} at a lag of {lag}");
    }

    #[test]
    fn the_bitrate_is_kept_and_clamped() {
        let signal = speech(250);
        for (asked, expected) in [(1_000, 6_000), (16_000, 16_000), (64_000, 64_000), (1_000_000, 128_000)] {
            let mut encoder = Encoder::new().unwrap();
            encoder.set_bitrate(asked).unwrap();
            let bytes: usize = encode_all(&mut encoder, &signal).iter().map(Vec::len).sum();
            let got = bytes as f32 * 8.0 / 5.0;
            let ratio = got / expected as f32;
            assert!((0.5..1.35).contains(&ratio), "asked {asked}, got {got}");
        }
    }

    #[test]
    fn fec_restores_a_lost_frame_better_than_invention() {
        let signal = speech(100);
        let mut encoder = Encoder::new().unwrap();
        encoder.set_expected_loss(0.2).unwrap();
        let lag = encoder.lookahead().unwrap() as usize;
        let packets = encode_all(&mut encoder, &signal);
        let mut heard = [Vec::new(), Vec::new()];
        for (with_fec, out) in heard.iter_mut().enumerate() {
            let mut decoder = Decoder::new().unwrap();
            for (n, packet) in packets.iter().enumerate() {
                match (n % 5 == 4, packets.get(n + 1)) {
                    (true, Some(next)) if with_fec == 1 => {
                        decoder.recover(next, FRAME_SAMPLES, out).unwrap();
                    }
                    (true, _) => decoder.conceal(FRAME_SAMPLES, out).unwrap(),
                    _ => decoder.decode(packet, out).unwrap(),
                }
            }
            assert_eq!(out.len(), signal.len());
        }
        let lost: Vec<usize> = (0..99).filter(|n| n % 5 == 4).collect();
        let score = |out: &[f32]| -> f32 {
            let pick = |s: &[f32], shift: usize| -> Vec<f32> {
                lost.iter()
                    .flat_map(|n| s[n * FRAME_SAMPLES + shift..][..FRAME_SAMPLES].iter().copied())
                    .collect()
            };
            correlation(&pick(&signal, 0), &pick(out, lag))
        };
        let (invented, restored) = (score(&heard[0]), score(&heard[1]));
        assert!(restored > invented + 0.1, "restored {restored}, invented {invented}");
    }

    #[test]
    fn silence_makes_small_packets_that_never_stop() {
        let mut encoder = Encoder::new().unwrap();
        let sizes: Vec<usize> =
            (0..50).map(|_| encoder.encode(&[0.0; FRAME_SAMPLES]).unwrap().len()).collect();
        assert!(sizes.iter().all(|s| *s > 0));
        let mean = sizes.iter().skip(5).sum::<usize>() as f32 / 45.0;
        assert!(mean < 30.0, "{mean} bytes");
    }

    #[test]
    fn what_is_not_opus_is_an_error_and_the_decoder_goes_on() {
        let mut decoder = Decoder::new().unwrap();
        let mut out = Vec::new();
        for bad in [&[0xFFu8, 0xFF, 0xFF][..], &[0x03], &[0x7B, 0xBF, 1, 2, 3], &[0x02, 0xFF]] {
            assert!(decoder.decode(bad, &mut out).is_err(), "{bad:?}");
            assert!(out.is_empty());
        }
        assert!(decoder.conceal(7, &mut out).is_err());
        let packet = Encoder::new().unwrap().encode(&[0.1; FRAME_SAMPLES]).unwrap().to_vec();
        decoder.decode(&packet, &mut out).unwrap();
        assert_eq!(out.len(), FRAME_SAMPLES);
    }

    proptest::proptest! {
        #[test]
        fn decoding_anything_never_panics(packet in proptest::collection::vec(0u8.., 0..400), fec: bool) {
            let mut decoder = Decoder::new().unwrap();
            let mut out = Vec::new();
            let result = if fec {
                decoder.recover(&packet, FRAME_SAMPLES, &mut out)
            } else {
                decoder.decode(&packet, &mut out)
            };
            proptest::prop_assert!(out.len() <= opus::MAX_SAMPLES);
            proptest::prop_assert_eq!(result.is_err(), out.is_empty());
        }
    }
}
