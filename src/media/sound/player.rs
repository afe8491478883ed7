//! Packets in, samples to hear out: jitter buffer and decoder together, on whatever clock they are given.
//! Knows no thread, no speaker and no wall clock.
//!
//! Public for whoever measures on a virtual clock; the call uses it in `playout.rs`.

use crate::media::audio::{self, Decoder, OpusError, Recovery};
use crate::media::frame::{FRAME_DURATION, FRAME_SAMPLES, MediaPacket, Moment, SAMPLE_RATE};
use crate::media::jitter::packet::duration;
use crate::media::jitter::{JitterBuffer, JitterStats, Playout, Stretch};
use crate::media::level::Loudness;
use crate::media::record::places::Places;
use crate::media::stretch;
use bytes::Bytes;
use std::time::Duration;

/// A mean of times that jumps by more begins anew: another stream is played, or a stall is over.
const JUMP: i64 = 100_000;

/// A packet that was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The packet.
    pub packet: Bytes,
    /// When its sound begins, on the clock of the packets' arrival, evenly.
    pub at: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Player {
    jitter: JitterBuffer,
    decoder: Decoder,
    /// Decoded and not played yet.
    pending: Vec<f32>,
    /// For how many samples it has been quiet.
    quiet_for: usize,
    /// A packet was decoded.
    heard: bool,
    /// The packets decoded for the last samples, and when their sound begins.
    decoded: Vec<Heard>,
    places: Places,
    /// Packets that were not Opus after all.
    undecodable: u64,
    /// Sound that the jitter buffer took for restored, and was not; and what stretching took out and put in.
    unrestored: Duration,
    shortened: Duration,
    lengthened: Duration,
    /// What was pending when the last packet was taken, samples.
    behind: usize,
    /// Of the packets decoded lately, when they begin to be played less their timestamp, microseconds: the mean.
    transit: Option<i64>,
}

impl Player {
    /// A player that has heard nothing.
    ///
    /// # Errors
    /// When libopus has no memory.
    pub fn new() -> Result<Self, OpusError> {
        Ok(Self {
            jitter: JitterBuffer::new(),
            decoder: Decoder::new()?,
            pending: Vec::new(),
            quiet_for: FRAME_SAMPLES,
            heard: false,
            decoded: Vec::new(),
            places: Places::new(FRAME_DURATION),
            undecodable: 0,
            unrestored: Duration::ZERO,
            shortened: Duration::ZERO,
            lengthened: Duration::ZERO,
            behind: 0,
            transit: None,
        })
    }

    /// A packet came.
    pub fn insert(&mut self, packet: MediaPacket) {
        let reach = self.decoder.reach(&packet.payload);
        self.jitter.insert(packet, reach);
    }

    /// The next samples, on the clock of the packets' arrival; silence where nothing came. The fewer they are, the
    /// later it is decided what to make of a packet that has not come, and the sooner each is heard: a packet is
    /// taken when the last one's samples run out, and the rest of it waits for the next call.
    pub fn fill(&mut self, now: Duration, samples: &mut [f32]) {
        self.decoded.clear();
        while self.pending.len() < samples.len() {
            // What was played last was a pause: as long as a frame, for a voice swings between its periods.
            let next = self.jitter.pull(now, self.quiet_for >= FRAME_SAMPLES);
            self.time(now, &next);
            self.note(now, &next);
            self.play(next);
        }
        let wanted = samples.len();
        for (to, from) in samples.iter_mut().zip(self.pending.drain(..wanted)) {
            // Decoders overshoot; and a sample that is not a number would stay in every filter after it.
            *to = if from.is_finite() { from.clamp(-1.0, 1.0) } else { 0.0 };
        }
        let quiet = Loudness::of(samples).is_quiet();
        self.quiet_for = if quiet { self.quiet_for.saturating_add(samples.len()) } else { 0 };
    }

    /// The packet decoded last, and when what was captured at its timestamp leaves here.
    pub fn moment(&self) -> Option<Moment> {
        let timestamp = self.jitter.played()?;
        // What comes out of the decoder is older than what went into the encoder by the codec's own delay.
        let at = timestamp * 125 / 6 + self.transit?;
        let at = Duration::from_micros(u64::try_from(at).ok()?) + length(audio::CODEC_DELAY);
        Some(Moment { timestamp: timestamp as u32, at })
    }

    /// Takes note of when a packet is played: behind what is pending.
    fn time(&mut self, now: Duration, next: &Playout) {
        let (Playout::Decode(_) | Playout::Stretch(..), Some(timestamp)) = (next, self.jitter.played())
        else {
            return;
        };
        self.behind = self.pending.len();
        let plays = now + length(self.pending.len());
        let transit = i64::try_from(plays.as_micros()).unwrap_or(i64::MAX / 4) - timestamp * 125 / 6;
        let mean = self.transit.filter(|mean| mean.abs_diff(transit) < JUMP.unsigned_abs());
        self.transit = Some(mean.map_or(transit, |mean| mean + (transit - mean) / 16));
    }

    /// Whether anything of the friend's has been decoded.
    pub fn heard(&self) -> bool {
        self.heard
    }

    /// The packets that the last samples were made of, or will be continued by, and when their sound begins.
    pub fn decoded(&self) -> &[Heard] {
        &self.decoded
    }

    /// The jitter buffer's counters; packets that could not be decoded count as refused.
    pub fn stats(&self) -> JitterStats {
        let stats = self.jitter.stats();
        JitterStats {
            refused: stats.refused + self.undecodable,
            recovered: stats.recovered.saturating_sub(self.unrestored),
            concealed: stats.concealed + self.unrestored,
            shortened: stats.shortened + self.shortened,
            lengthened: stats.lengthened + self.lengthened,
            delay: stats.delay + length(self.behind),
            ..stats
        }
    }

    /// Remembers a packet that is about to be decoded.
    fn note(&mut self, now: Duration, next: &Playout) {
        match next {
            Playout::Silence => self.places.end(),
            Playout::Decode(packet) | Playout::Stretch(packet, _) => {
                let samples = duration(packet).unwrap_or(FRAME_SAMPLES);
                let at = self.places.place(now + length(self.pending.len()));
                self.places.advance(length(samples));
                self.decoded.push(Heard { packet: packet.clone(), at });
            }
            Playout::Recover { samples, .. } | Playout::Conceal { samples } => {
                self.places.advance(length(*samples));
            }
        }
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
            Playout::Stretch(packet, stretch) => {
                let decoded = self.decoder.decode(&packet, &mut self.pending);
                self.stretch(before, stretch);
                decoded
            }
            Playout::Recover { from, ahead, samples } => self.recover(&from, ahead, samples),
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

    /// Restores a lost stretch; what the buffer took for restored and is invented is counted as such.
    fn recover(&mut self, from: &[u8], ahead: usize, samples: usize) -> Result<(), OpusError> {
        let known = samples / 120 * 120;
        let recovery = self.decoder.recover(from, ahead, known, &mut self.pending)?;
        self.pending.extend(std::iter::repeat_n(0.0, samples - known));
        if recovery == Recovery::Nothing {
            self.unrestored += length(samples);
        }
        Ok(())
    }

    /// Stretches what has been appended from `start` on, if that is not heard.
    fn stretch(&mut self, start: usize, stretch: Stretch) {
        match stretch {
            Stretch::Shorten => self.shortened += length(stretch::shorten(&mut self.pending, start)),
            Stretch::Lengthen => self.lengthened += length(stretch::lengthen(&mut self.pending, start)),
        }
    }
}

/// How long so many samples last.
fn length(samples: usize) -> Duration {
    Duration::from_nanos(samples as u64 * 1_000_000_000 / u64::from(SAMPLE_RATE))
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
            player.fill(now, &mut frame);
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
        assert!(stats.recovered + stats.concealed >= Duration::from_millis(500), "{stats:?}");
    }

    #[test]
    fn the_counters_say_what_the_sink_got() {
        use crate::media::source::voice::Voice;
        let (mut voice, mut encoder, mut player) =
            (Voice::new(0.3), Encoder::new().unwrap(), Player::new().unwrap());
        let (mut sent, mut heard, mut waiting, mut delays) = (vec![], vec![], vec![], vec![]);
        for n in 0..1_500u32 {
            let mut frame = [0.0; FRAME_SAMPLES];
            voice.fill(&mut frame);
            sent.extend(frame);
            // Bursts of three, every second; and a jitter of 30 ms for a while.
            let late = if (400..600).contains(&n) { u64::from(n * 7 % 4) * 10_000 } else { 0 };
            let packet = MediaPacket {
                codec: Codec::Opus,
                sequence: n as u16,
                timestamp: n * 960,
                marker: false,
                payload: encoder.encode(&frame).unwrap().to_vec().into(),
                arrived: Duration::from_micros(u64::from(n) * 20_000 + late),
            };
            if n % 50 < 47 {
                waiting.push(packet);
            }
            let now = Duration::from_micros(u64::from(n) * 20_000 + 9_000);
            waiting.retain(|packet| {
                let comes = packet.arrived <= now;
                if comes {
                    player.insert(packet.clone());
                }
                !comes
            });
            player.fill(now, &mut frame);
            heard.extend(frame);
            delays.push(player.stats().delay);
        }
        // Every sample of the sink was decoded, restored, invented, or stretched.
        let stats = player.stats();
        let counted = Duration::from_millis(20)
            * (stats.packets - stats.late - waiting_packets(&player)) as u32
            + stats.recovered
            + stats.concealed
            + stats.lengthened;
        let counted = counted.saturating_sub(stats.shortened);
        let got = length(heard.len() + player.pending.len());
        // The buffer filled for two frames first, in silence.
        let silence = got.saturating_sub(counted);
        assert!(
            silence <= Duration::from_millis(60) && counted <= got,
            "{got:?}, counted {counted:?}, {stats:?}"
        );
        // And the delay it tells is the one that is heard: the frame's own time, the codec's and the buffer's.
        let window = 1_400 * FRAME_SAMPLES..1_440 * FRAME_SAMPLES;
        let likeness = |lag: usize| -> f32 {
            let later = &heard[window.start + lag..window.end + lag];
            sent[window.clone()].iter().zip(later).map(|(a, b)| a * b).sum()
        };
        let lag = (0..9_600).step_by(4).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap();
        let told = delays[1_400..1_440].iter().sum::<Duration>() / 40 + length(312);
        // A packet is sent at the frame's beginning here, and wanted 9 ms into it.
        let heard_delay = length(lag);
        assert!(
            heard_delay.abs_diff(told) <= Duration::from_millis(21),
            "told {told:?}, heard {heard_delay:?}"
        );
    }

    fn waiting_packets(player: &Player) -> u64 {
        player.jitter.waiting() as u64
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
            player.fill(now, &mut frame);
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
                player.fill(arrived + Duration::from_millis(15), &mut frame);
                proptest::prop_assert!(frame.iter().all(|s| s.abs() <= 1.0));
            }
        }
    }
}
