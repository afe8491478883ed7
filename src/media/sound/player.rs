//! Packets in, frames to hear out: jitter buffer and decoder together, on whatever clock they are given.
//! Knows no thread, no speaker and no wall clock.

use crate::media::audio::{Decoder, OpusError};
use crate::media::frame::{FRAME_SAMPLES, MediaPacket};
use crate::media::jitter::{JitterBuffer, JitterStats, Playout};
use crate::media::level::Loudness;
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub(super) struct Player {
    jitter: JitterBuffer,
    decoder: Decoder,
    /// Decoded and not played yet.
    pending: Vec<f32>,
    /// Whether what was played last was a pause.
    quiet: bool,
    /// A packet was decoded.
    heard: bool,
    /// Packets that were not Opus after all.
    undecodable: u64,
    /// For merging two packets.
    other: Vec<f32>,
}

impl Player {
    /// A player that has heard nothing.
    ///
    /// # Errors
    /// When libopus has no memory.
    pub(super) fn new() -> Result<Self, OpusError> {
        Ok(Self {
            jitter: JitterBuffer::new(),
            decoder: Decoder::new()?,
            pending: Vec::new(),
            quiet: true,
            heard: false,
            undecodable: 0,
            other: Vec::new(),
        })
    }

    /// A packet came.
    pub(super) fn insert(&mut self, packet: MediaPacket) {
        self.jitter.insert(packet);
    }

    /// The next 20 ms, on the clock of the packets' arrival; silence where nothing came.
    pub(super) fn next_frame(&mut self, now: Duration, frame: &mut [f32; FRAME_SAMPLES]) {
        while self.pending.len() < FRAME_SAMPLES {
            let next = self.jitter.pull(now, self.quiet);
            self.play(next);
        }
        for (to, from) in frame.iter_mut().zip(self.pending.drain(..FRAME_SAMPLES)) {
            // Decoders overshoot; and a sample that is not a number would stay in every filter after it.
            *to = if from.is_finite() { from.clamp(-1.0, 1.0) } else { 0.0 };
        }
        self.quiet = Loudness::of(frame).is_quiet();
    }

    /// Whether anything of the friend's has been decoded.
    pub(super) fn heard(&self) -> bool {
        self.heard
    }

    /// The jitter buffer's counters; packets that could not be decoded count as refused.
    pub(super) fn stats(&self) -> JitterStats {
        let stats = self.jitter.stats();
        JitterStats { refused: stats.refused + self.undecodable, ..stats }
    }

    /// Appends to `pending` what an answer of the jitter buffer sounds like: never nothing.
    fn play(&mut self, next: Playout) {
        let before = self.pending.len();
        let decoded = match next {
            Playout::Silence => {
                self.pending.resize(before + FRAME_SAMPLES, 0.0);
                Ok(())
            }
            Playout::Decode(packet) => {
                let decoded = self.decoder.decode(&packet, &mut self.pending);
                self.heard |= decoded.is_ok();
                decoded
            }
            Playout::Merge(first, second) => self.merge(&first, &second),
            Playout::Recover { next, samples } => self.decoder.recover(&next, samples, &mut self.pending),
            Playout::Conceal { samples } => self.conceal(samples),
        };
        if decoded.is_err() {
            self.undecodable += 1;
        }
        if self.pending.len() == before && self.conceal(FRAME_SAMPLES).is_err() {
            self.pending.resize(before + FRAME_SAMPLES, 0.0);
        }
    }

    /// Invents, in the steps of 2.5 ms that Opus knows; a rest is silence.
    fn conceal(&mut self, samples: usize) -> Result<(), OpusError> {
        let end = self.pending.len() + samples;
        let known = samples / 120 * 120;
        if known > 0 {
            self.decoder.conceal(known, &mut self.pending)?;
        }
        self.pending.resize(end, 0.0);
        Ok(())
    }

    /// Both packets, cross-faded into the time of the first.
    fn merge(&mut self, first: &[u8], second: &[u8]) -> Result<(), OpusError> {
        let start = self.pending.len();
        self.decoder.decode(first, &mut self.pending)?;
        self.other.clear();
        self.decoder.decode(second, &mut self.other)?;
        let merged = self.pending.get_mut(start..).unwrap_or_default();
        let length = merged.len().max(1) as f32;
        for (n, (a, b)) in merged.iter_mut().zip(&self.other).enumerate() {
            let weight = n as f32 / length;
            *a = *a * (1.0 - weight) + *b * weight;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::audio::Encoder;
    use crate::media::frame::Codec;
    use crate::media::source::tone::{FREQUENCY, Tone};

    fn packets(count: u32) -> Vec<MediaPacket> {
        let (mut tone, mut encoder) = (Tone::new(), Encoder::new().unwrap());
        encoder.set_expected_loss(0.1).unwrap();
        (0..count)
            .map(|n| {
                let mut frame = [0.0; FRAME_SAMPLES];
                tone.fill(&mut frame);
                MediaPacket {
                    codec: Codec::Opus,
                    sequence: n as u16,
                    timestamp: n * 960,
                    marker: false,
                    payload: encoder.encode(&frame).unwrap().to_vec().into(),
                    arrived: Duration::from_millis(u64::from(n) * 20 + 5),
                }
            })
            .collect()
    }

    /// Plays what `keep` lets through; gives the sound and the counters.
    fn play(count: u32, keep: impl Fn(u32) -> bool) -> (Vec<f32>, JitterStats) {
        let mut player = Player::new().unwrap();
        let mut out = Vec::new();
        for packet in packets(count) {
            let now = packet.arrived + Duration::from_millis(3);
            if keep(u32::from(packet.sequence)) {
                player.insert(packet);
            }
            let mut frame = [0.0; FRAME_SAMPLES];
            player.next_frame(now, &mut frame);
            out.extend(frame);
        }
        assert!(player.heard());
        (out, player.stats())
    }

    fn crossings(samples: &[f32]) -> usize {
        samples.windows(2).filter(|w| w[0] <= 0.0 && w[1] > 0.0).count()
    }

    #[test]
    fn a_tone_is_heard_as_it_was_sent() {
        let (heard, stats) = play(150, |_| true);
        let second = &heard[48_000..96_000];
        assert!((crossings(second) as f64 - FREQUENCY).abs() <= 2.0, "{}", crossings(second));
        assert!((Loudness::of(second).rms_dbfs + 20.0).abs() < 1.5, "{:?}", Loudness::of(second));
        assert_eq!(stats.concealed, Duration::ZERO);
    }

    #[test]
    fn with_a_tenth_lost_there_is_no_hole() {
        let (heard, stats) = play(300, |n| n % 10 != 5);
        for (n, frame) in heard.chunks(FRAME_SAMPLES).enumerate().skip(10) {
            assert!(Loudness::of(frame).rms_dbfs > -35.0, "frame {n}: {:?}", Loudness::of(frame));
        }
        assert!(stats.recovered >= Duration::from_millis(400), "{stats:?}");
    }

    #[test]
    fn packets_that_are_not_opus_are_counted_and_bridged() {
        let mut player = Player::new().unwrap();
        let mut frame = [0.0; FRAME_SAMPLES];
        for mut packet in packets(20) {
            let now = packet.arrived + Duration::from_millis(3);
            if packet.sequence % 4 == 3 {
                // Code 3, VBR, two frames whose lengths exceed the packet.
                packet.payload = vec![0x7B, 0x82, 0xF0, 1].into();
            }
            player.insert(packet);
            player.next_frame(now, &mut frame);
        }
        assert!(player.stats().refused >= 3, "{:?}", player.stats());
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_every_frame_is_finite_and_within_full_scale(
            payloads in proptest::collection::vec(proptest::collection::vec(0u8.., 1..40), 1..60),
        ) {
            let mut player = Player::new().unwrap();
            let mut frame = [0.0; FRAME_SAMPLES];
            for (n, payload) in payloads.into_iter().enumerate() {
                let arrived = Duration::from_millis(n as u64 * 20);
                player.insert(MediaPacket {
                    codec: Codec::Opus,
                    sequence: n as u16,
                    timestamp: n as u32 * 960,
                    marker: false,
                    payload: payload.into(),
                    arrived,
                });
                player.next_frame(arrived + Duration::from_millis(15), &mut frame);
                proptest::prop_assert!(frame.iter().all(|s| s.abs() <= 1.0));
            }
        }
    }
}
