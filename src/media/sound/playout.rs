//! The playout thread: whenever a little more is wanted, by the speaker or by the clock, takes it from the
//! player and hands it to the sink.

use super::events::{SoundEvent, Teller};
use super::player::Player;
use super::shared::Shared;
use crate::media::audio::OpusError;
use crate::media::frame::{Codec, MediaPacket, Moment, SAMPLE_RATE};
use crate::media::level::{Loudness, Meter};
use crate::media::record::muxer::TrackId;
use crate::media::sink::speaker::{Speaker, Want};
use crate::media::sink::wav::WavSink;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// A sink on the clock that is further behind (a suspended process) writes silence for the time it missed.
const STALL: Duration = Duration::from_millis(500);

/// Samples that are handed on at a time. The clock wants 5 ms every 5 ms. A speaker has what it takes filled up
/// in so small steps that little is there beyond that.
const CLOCK_PIECE: usize = SAMPLE_RATE as usize / 200;
const SPEAKER_PIECE: usize = SAMPLE_RATE as usize / 400;
const CLOCK_STEP: Duration = Duration::from_millis(5);

/// Where the friend's sound goes.
#[derive(Debug)]
pub(super) enum Sink {
    /// Decoded and measured all the same.
    Nowhere,
    /// Paced by the clock.
    Wav(WavSink),
    /// Paced by the device, and by the clock while there is none.
    Speaker(Box<Speaker>),
}

/// What the sink wants now.
enum Demand {
    /// Nothing for so long.
    Nothing(Duration),
    /// So many samples, as of this time.
    Piece(usize, Duration),
}

/// The thread's state.
#[derive(Debug)]
pub(super) struct Playing {
    sink: Sink,
    player: Player,
    shared: Arc<Shared>,
    packets: Receiver<MediaPacket>,
    events: Teller,
    reference: Option<rtrb::Producer<f32>>,
    /// When the next piece is due, where the clock paces.
    due: Duration,
    meter: Meter,
    told_first: bool,
    /// For passing on what is played.
    played: Vec<f32>,
    /// How long the sink keeps what it is given, lately; of no use while there is none.
    lag: Option<Duration>,
}

impl Playing {
    pub(super) fn new(
        sink: Sink,
        shared: Arc<Shared>,
        packets: Receiver<MediaPacket>,
        events: Teller,
    ) -> Result<Self, OpusError> {
        let (reference, due) = (shared.take_reference_end(), shared.now());
        let (player, meter) = (Player::new()?, Meter::default());
        Ok(Self {
            sink,
            player,
            shared,
            packets,
            events,
            reference,
            due,
            meter,
            told_first: false,
            played: Vec::new(),
            lag: None,
        })
    }

    /// Runs until the sound ends.
    pub(super) fn run(mut self) {
        let mut all = [0.0; CLOCK_PIECE];
        while !self.shared.stopped() {
            self.pass_on_played();
            let (samples, now) = match self.demand(self.shared.now()) {
                Demand::Nothing(wait) => {
                    // Or until the speaker has taken something.
                    std::thread::park_timeout(wait);
                    continue;
                }
                Demand::Piece(samples, at) => (samples, at),
            };
            let Some(piece) = all.get_mut(..samples) else { return };
            while let Ok(packet) = self.packets.try_recv() {
                self.player.insert(packet);
            }
            self.player.fill(now, piece);
            self.record();
            self.report(now, piece);
            self.play(piece);
        }
    }

    /// What is heard, to the recording.
    fn record(&self) {
        if self.shared.tap.is_on() {
            for heard in self.player.decoded() {
                self.shared.tap.put(TrackId::FriendSound, Codec::Opus, &heard.packet, true, heard.at);
            }
        }
    }

    /// What the sink wants. Where the clock paces, a piece is pulled as of the time it was due: how late the
    /// thread woke says nothing about the network.
    fn demand(&mut self, now: Duration) -> Demand {
        if let Sink::Speaker(speaker) = &mut self.sink {
            let want = speaker.want(now);
            if want != Want::Absent {
                // Should the device go, the clock takes over from here.
                self.due = now + CLOCK_STEP;
            }
            match want {
                Want::Sound => return Demand::Piece(SPEAKER_PIECE, now),
                Want::Nothing(wait) => return Demand::Nothing(wait),
                Want::Absent => {}
            }
        }
        if let Some(wait) = self.due.checked_sub(now).filter(|wait| !wait.is_zero()) {
            return Demand::Nothing(wait.min(CLOCK_STEP));
        }
        while now.saturating_sub(self.due) > STALL {
            self.due += CLOCK_STEP;
            self.play(&[0.0; CLOCK_PIECE]);
        }
        let due = self.due;
        self.due += CLOCK_STEP;
        Demand::Piece(CLOCK_PIECE, due)
    }

    fn report(&mut self, now: Duration, piece: &[f32]) {
        let length = piece.len() as f32 / SAMPLE_RATE as f32;
        let level = self.meter.push(Loudness::of(piece).rms_dbfs, length);
        self.shared.gauge.set_output(level);
        self.shared.set_jitter(self.player.stats());
        let lag = self.lag(now);
        self.shared.set_heard(self.player.moment().map(|heard| Moment { at: heard.at + lag, ..heard }));
        if self.player.heard() && !self.told_first {
            self.told_first = true;
            self.events.tell(SoundEvent::FirstRemoteFrame { at: now });
        }
        if !matches!(self.sink, Sink::Speaker(_)) {
            self.played.extend_from_slice(piece);
        }
    }

    /// How long what is played now waits for the device and in it, on the mean of late.
    fn lag(&mut self, now: Duration) -> Duration {
        let Sink::Speaker(speaker) = &self.sink else { return Duration::ZERO };
        let lag = speaker.lag(now);
        let mean = self.lag.map_or(lag, |mean| (mean * 63 + lag) / 64);
        *self.lag.insert(mean)
    }

    /// What was played, to the echo canceller: of a speaker, what the device has really taken.
    fn pass_on_played(&mut self) {
        if let Sink::Speaker(speaker) = &mut self.sink {
            speaker.played(&mut self.played);
        }
        if let Some(reference) = &mut self.reference
            && self.shared.reference_taken.load(Ordering::Relaxed)
        {
            // A full ring: nobody reads, and the canceller will find its delay anew.
            let _unread = reference.push_partial_slice(&self.played);
        }
        self.played.clear();
    }

    fn play(&mut self, piece: &[f32]) {
        match &mut self.sink {
            Sink::Nowhere => {}
            Sink::Speaker(speaker) => speaker.play(piece),
            Sink::Wav(file) => {
                if let Err(error) = file.write(piece) {
                    self.sink = Sink::Nowhere;
                    self.events.tell(SoundEvent::FileFailed { reason: error.to_string() });
                }
            }
        }
    }
}
