//! The playout thread: whenever 20 ms more are wanted, by the speaker or by the clock, takes them from the
//! player and hands them to the sink.

use super::events::{SoundEvent, Teller};
use super::player::Player;
use super::shared::Shared;
use crate::media::audio::OpusError;
use crate::media::frame::{Codec, FRAME_DURATION, FRAME_SAMPLES, MediaPacket};
use crate::media::level::{Loudness, Meter};
use crate::media::record::film::Of;
use crate::media::sink::speaker::{Speaker, Want};
use crate::media::sink::wav::WavSink;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// A sink on the clock that is further behind (a suspended process) writes silence for the time it missed.
const STALL: Duration = Duration::from_millis(500);

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
    /// A frame, as of this time.
    Frame(Duration),
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
    /// When the next frame is due, where the clock paces.
    due: Duration,
    meter: Meter,
    told_first: bool,
    /// For passing on what is played.
    played: Vec<f32>,
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
        })
    }

    /// Runs until the sound ends.
    pub(super) fn run(mut self) {
        let mut frame = [0.0; FRAME_SAMPLES];
        while !self.shared.stopped() {
            self.pass_on_played();
            let now = match self.demand(self.shared.now()) {
                Demand::Nothing(wait) => {
                    std::thread::sleep(wait);
                    continue;
                }
                Demand::Frame(at) => at,
            };
            while let Ok(packet) = self.packets.try_recv() {
                self.player.insert(packet);
            }
            self.player.next_frame(now, &mut frame);
            if self.shared.tap.is_on() {
                for heard in self.player.decoded() {
                    self.shared.tap.put(Of::FriendSound, Codec::Opus, &heard.packet, true, heard.at);
                }
            }
            self.report(now, &frame);
            self.play(&frame);
        }
    }

    /// What the sink wants. Where the clock paces, a frame is pulled as of the time it was due: how late the
    /// thread woke says nothing about the network.
    fn demand(&mut self, now: Duration) -> Demand {
        if let Sink::Speaker(speaker) = &mut self.sink {
            let want = speaker.want(now);
            if want != Want::Absent {
                // Should the device go, the clock takes over from here.
                self.due = now + FRAME_DURATION;
            }
            match want {
                Want::Frame => return Demand::Frame(now),
                Want::Nothing(wait) => return Demand::Nothing(wait),
                Want::Absent => {}
            }
        }
        if let Some(wait) = self.due.checked_sub(now).filter(|wait| !wait.is_zero()) {
            return Demand::Nothing(wait.min(FRAME_DURATION));
        }
        while now.saturating_sub(self.due) > STALL {
            self.due += FRAME_DURATION;
            self.play(&[0.0; FRAME_SAMPLES]);
        }
        let due = self.due;
        self.due += FRAME_DURATION;
        Demand::Frame(due)
    }

    fn report(&mut self, now: Duration, frame: &[f32; FRAME_SAMPLES]) {
        let level = self.meter.push(Loudness::of(frame).rms_dbfs, FRAME_DURATION.as_secs_f32());
        self.shared.output_level.store(level);
        self.shared.set_jitter(self.player.stats());
        if self.player.heard() && !self.told_first {
            self.told_first = true;
            self.events.tell(SoundEvent::FirstRemoteFrame { at: now });
        }
        if !matches!(self.sink, Sink::Speaker(_)) {
            self.played.extend_from_slice(frame);
        }
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

    fn play(&mut self, frame: &[f32; FRAME_SAMPLES]) {
        match &mut self.sink {
            Sink::Nowhere => {}
            Sink::Speaker(speaker) => speaker.play(frame),
            Sink::Wav(file) => {
                if let Err(error) = file.write(frame) {
                    self.sink = Sink::Nowhere;
                    self.events.tell(SoundEvent::FileFailed { reason: error.to_string() });
                }
            }
        }
    }
}
