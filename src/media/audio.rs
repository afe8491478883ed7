//! Opus for a call: mono, 48 kHz, 20 ms a packet, variable bitrate, in-band FEC and deep redundancy (DRED).
//!
//! ```text
//! AudioFrame -> Encoder -> packet ~~~ network ~~~ jitter -> Decoder -> samples
//!                                                            decode   the packet that is due
//!                                                            recover  lost ones before it: the last by its
//!                                                                     FEC, up to 1 s back by its DRED
//!                                                            conceal  nothing came: invent
//! ```
//! Policy only: what libopus is asked for. How it is called is `audio/opus.rs`, the one unsafe file.
//! Knows no device, no clock and no network.

pub mod merge;
pub mod opus;

use crate::media::frame::FRAME_SAMPLES;
use opus::{Number, RawDecoder, RawDred, RawEncoder};
use std::ops::RangeInclusive;

pub use opus::OpusError;

/// Samples by which what is decoded lags what went in: the codec's look-ahead, as [`Encoder::lookahead`] says.
pub const CODEC_DELAY: usize = 312;
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
/// What libopus is told of loss, percent. It sizes redundancy by it: at 56 kbit/s 14 % are the least at which
/// DRED reaches back 80 ms; with 20 % it is a quarter of a second, and more costs more speech than it restores.
const PREPARED_FOR: RangeInclusive<i32> = 14..=20;
/// A loss is prepared for so many frames (10 s).
const LOSS_FOR: u32 = 500;
/// How far back DRED may go, units of 10 ms; how far it does go libopus decides by bitrate and loss told.
const DRED_REACH: i32 = 100;
/// The same for the decoder, samples: more is not looked for.
const MAX_DRED: usize = 48_000;
/// DRED comes in steps of 10 ms; a frame is restored if half of one at its beginning is missing.
const DRED_ROUNDING: usize = 240;

/// Sound in, packets out.
#[derive(Debug)]
pub struct Encoder {
    raw: RawEncoder,
    buffer: Vec<u8>,
    loss: LossMemory,
}

/// The loss the encoder is prepared for: the worst that was reported lately, for bursts come in groups, and
/// never so little that the first burst finds nothing.
#[derive(Debug)]
struct LossMemory {
    reported: f32,
    worst: f32,
    /// Frames since the worst was reported.
    age: u32,
}

impl LossMemory {
    fn report(&mut self, fraction: f32) {
        self.reported = if fraction.is_finite() { fraction } else { 0.0 };
        if self.reported >= self.worst {
            (self.worst, self.age) = (self.reported, 0);
        }
    }

    /// A frame goes by; true when what it prepares for has changed.
    fn frame(&mut self) -> bool {
        self.age = self.age.saturating_add(1);
        let forget = self.age > LOSS_FOR && self.worst > self.reported;
        if forget {
            (self.worst, self.age) = (self.reported, 0);
        }
        forget
    }

    fn percent(&self) -> i32 {
        ((self.worst * 100.0).round() as i32).clamp(*PREPARED_FOR.start(), *PREPARED_FOR.end())
    }
}

impl Encoder {
    /// An encoder at `DEFAULT_BITRATE` and `DEFAULT_LOSS`.
    ///
    /// # Errors
    /// When libopus cannot allocate its state.
    pub fn new() -> Result<Self, OpusError> {
        let loss = LossMemory { reported: 0.0, worst: 0.0, age: 0 };
        let mut encoder = Self { raw: RawEncoder::new()?, buffer: vec![0; MAX_PACKET], loss };
        encoder.raw.set(Number::Complexity, COMPLEXITY)?;
        encoder.raw.set(Number::Vbr, 1)?;
        encoder.raw.set(Number::InbandFec, 1)?;
        // Silence is sent as small packets: a stream that stops looks like one that was lost.
        encoder.raw.set(Number::Dtx, 0)?;
        encoder.raw.set(Number::SignalVoice, opus::SIGNAL_VOICE)?;
        encoder.raw.set(Number::DredDuration, DRED_REACH)?;
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

    /// Tells the encoder the fraction of packets that get lost (0 to 1), as reports bring it: the more, the
    /// more redundancy. The worst of the last ten seconds counts.
    ///
    /// # Errors
    /// When libopus refuses it, which it does for no value of the range.
    pub fn set_expected_loss(&mut self, fraction: f32) -> Result<(), OpusError> {
        self.loss.report(fraction);
        self.raw.set(Number::PacketLossPercent, self.loss.percent())
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
        if self.loss.frame() {
            self.raw.set(Number::PacketLossPercent, self.loss.percent())?;
        }
        let length = self.raw.encode(frame, &mut self.buffer)?;
        self.buffer.get(..length).ok_or(OpusError::Internal)
    }
}

/// Packets in, sound out. Decoders are told about every packet in order, also about those that never came.
#[derive(Debug)]
pub struct Decoder {
    raw: RawDecoder,
    dred: RawDred,
    /// The packet that `dred` is ready to decode from, and how far it reaches, samples.
    read: Vec<u8>,
    reach: usize,
}

/// What restored a lost stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// In-band FEC: the frame before, coded a second time and coarser.
    Fec,
    /// Deep redundancy: what a neural vocoder makes of a few bits.
    Dred,
    /// The packet carried nothing of it: it was invented.
    Nothing,
}

impl Decoder {
    /// A decoder that has heard nothing yet.
    ///
    /// # Errors
    /// When libopus cannot allocate its state.
    pub fn new() -> Result<Self, OpusError> {
        Ok(Self { raw: RawDecoder::new()?, dred: RawDred::new()?, read: Vec::new(), reach: 0 })
    }

    /// Decodes the packet that is due and appends its samples (mono, 48 kHz, nominally within -1..=1).
    /// Any Opus packet will do: 2.5 to 120 ms, mono or stereo.
    ///
    /// # Errors
    /// When the packet is not Opus; nothing is appended then, and the decoder goes on.
    pub fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<(), OpusError> {
        self.raw.decode(packet, opus::MAX_SAMPLES, false, out)
    }

    /// How many samples before the packet its redundancy begins; 0 where there is none.
    pub fn reach(&mut self, packet: &[u8]) -> usize {
        self.read.clear();
        // What is not Opus is told by whoever decodes it.
        let dred = self.dred.read(packet, MAX_DRED, false).unwrap_or(0);
        if opus::has_fec(packet) { dred.max(FRAME_SAMPLES) } else { dred }
    }

    /// Restores `samples` samples, of which the first was due `ahead` samples before the beginning of
    /// `from`, by the redundancy that `from` carries: by FEC the stretch just before it, by DRED what is
    /// further back. Invents where it carries none. `from` itself is to be decoded later.
    ///
    /// # Errors
    /// When the packet is not Opus; nothing is appended then.
    pub fn recover(
        &mut self,
        from: &[u8],
        ahead: usize,
        samples: usize,
        out: &mut Vec<f32>,
    ) -> Result<Recovery, OpusError> {
        if ahead == samples && opus::has_fec(from) {
            self.raw.decode(from, samples, true, out)?;
            return Ok(Recovery::Fec);
        }
        if self.read != from {
            self.reach = self.dred.read(from, MAX_DRED, true)?;
            self.read.clear();
            self.read.extend_from_slice(from);
        }
        self.raw.decode_dred(&self.dred, ahead, samples, out)?;
        Ok(if self.reach + DRED_ROUNDING >= ahead { Recovery::Dred } else { Recovery::Nothing })
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
                        decoder.recover(next, FRAME_SAMPLES, FRAME_SAMPLES, out).unwrap();
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
    fn redundancy_reaches_back_before_any_loss_further_after_one_and_less_again_in_time() {
        let signal = speech(800);
        let (mut encoder, mut decoder) = (Encoder::new().unwrap(), Decoder::new().unwrap());
        encoder.set_bitrate(56_000).unwrap();
        encoder.set_expected_loss(0.0).unwrap();
        let mut reach = |packets: &[Vec<u8>]| {
            packets.iter().map(|packet| decoder.reach(packet)).max().unwrap() * 1000 / SAMPLE_RATE as usize
        };
        let before = reach(&encode_all(&mut encoder, &signal[..100 * FRAME_SAMPLES]));
        assert!(before >= 80, "{before} ms");
        encoder.set_expected_loss(0.3).unwrap();
        encoder.set_expected_loss(0.0).unwrap();
        let after = reach(&encode_all(&mut encoder, &signal[100 * FRAME_SAMPLES..200 * FRAME_SAMPLES]));
        assert!(after > 2 * before && after >= 200, "{before} ms became {after} ms");
        encode_all(&mut encoder, &signal[200 * FRAME_SAMPLES..700 * FRAME_SAMPLES]);
        let later = reach(&encode_all(&mut encoder, &signal[700 * FRAME_SAMPLES..]));
        assert!(later < after / 2, "{after} ms became {later} ms");
    }

    #[test]
    fn a_burst_is_restored_from_the_packet_behind_it() {
        let signal = speech(200);
        let mut encoder = Encoder::new().unwrap();
        encoder.set_bitrate(56_000).unwrap();
        encoder.set_expected_loss(0.2).unwrap();
        let packets = encode_all(&mut encoder, &signal);
        let mut heard = [Vec::new(), Vec::new()];
        for (restore, out) in heard.iter_mut().enumerate() {
            let mut decoder = Decoder::new().unwrap();
            for (n, packet) in packets.iter().enumerate() {
                // Ten of every forty are lost.
                let ahead = (40 - n % 40) * FRAME_SAMPLES;
                match (n % 40 >= 30, packets.get(n / 40 * 40 + 40)) {
                    (true, Some(from)) if restore == 1 => {
                        let how = decoder.recover(from, ahead, FRAME_SAMPLES, out).unwrap();
                        assert_ne!(how, Recovery::Nothing, "{n}");
                    }
                    (true, _) => decoder.conceal(FRAME_SAMPLES, out).unwrap(),
                    _ => decoder.decode(packet, out).unwrap(),
                }
            }
            assert_eq!(out.len(), signal.len());
        }
        // A vocoder keeps no waveform: what counts is how loud it is when.
        let loud = |s: &[f32]| -> Vec<f32> {
            s.chunks(480).map(|c| (c.iter().map(|x| x * x).sum::<f32>() + 1e-9).log10()).collect()
        };
        let miss = |out: &[f32]| -> f32 {
            let (a, b) = (loud(&signal[..signal.len() - 312]), loud(&out[312..]));
            let lost = a.iter().zip(&b).enumerate().filter(|(n, _)| n / 2 % 40 >= 33 && n / 2 < 160);
            lost.map(|(_, (a, b))| (a - b).abs()).sum()
        };
        let (invented, restored) = (miss(&heard[0]), miss(&heard[1]));
        assert!(restored < invented / 2.0, "restored {restored}, invented {invented}");
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
        fn decoding_anything_never_panics(packet in proptest::collection::vec(0u8.., 0..400), fec: bool, ahead in 0usize..60_000) {
            let mut decoder = Decoder::new().unwrap();
            let mut out = Vec::new();
            let result = if fec {
                decoder.recover(&packet, ahead, FRAME_SAMPLES, &mut out).map(drop)
            } else {
                decoder.decode(&packet, &mut out)
            };
            proptest::prop_assert!(out.len() <= opus::MAX_SAMPLES);
            proptest::prop_assert_eq!(result.is_err(), out.is_empty());
        }
    }
}
