//! The capture thread: every 20 ms one frame from the source (of a microphone: without echo and noise), muted
//! or not, measured, encoded, handed on.

use super::events::{SoundEvent, Teller};
use super::pace::{Drive, Pacer, Step};
use super::shared::Shared;
use crate::media::audio::{Encoder, OpusError};
use crate::media::echo::{self, EchoCanceller};
use crate::media::frame::{Codec, EncodedFrame, FRAME_DURATION, FRAME_SAMPLES, SAMPLE_RATE};
use crate::media::jitter::Stretch;
use crate::media::level::{Loudness, Meter, SilenceChange};
use crate::media::record::muxer::TrackId;
use crate::media::source::microphone::Microphone;
use crate::media::source::tone::Tone;
use crate::media::source::voice::Voice;
use crate::media::source::wav::WavSource;
use crate::media::stretch;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// A microphone may take so long to open before silence is sent instead, and is looked at so often.
const OPENING: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(2);
/// The thread looks at the stop flag at least this often.
const NAP: Duration = Duration::from_millis(20);

/// A stamp that is off by so much more or less than the mean (µs) begins a new mean: the device was opened anew.
const STAMP_JUMP: u64 = 50_000;

/// Where own sound comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// Paced by the clock.
    Tone(Tone),
    /// Paced by the clock.
    Voice(Box<Voice>),
    /// Paced by the clock.
    Wav(Box<WavSource>),
    /// Paced by the device.
    Microphone(Box<Cleaned>),
}

/// A microphone, and what becomes of its sound before it is sent.
#[derive(Debug)]
pub(super) struct Cleaned {
    microphone: Microphone,
    canceller: EchoCanceller,
    /// What the speaker plays.
    played: Option<rtrb::Consumer<f32>>,
    drained: Vec<f32>,
    /// Cleaned, and not sent yet.
    ready: Vec<f32>,
}

impl Cleaned {
    pub(super) fn new(microphone: Microphone, played: Option<rtrb::Consumer<f32>>) -> Self {
        let canceller = EchoCanceller::new();
        Self { microphone, canceller, played, drained: Vec::new(), ready: Vec::new() }
    }

    /// Takes what the device has delivered, cleans it, and keeps it with the clock. Says when the device
    /// falls silent, and when it no longer is. In pieces of half a frame: what stretching has put beside the
    /// frames' grid waits for no more than that.
    fn collect(&mut self, pacer: &Pacer, shared: &Shared, quiet: bool) -> Option<SilenceChange> {
        let mut change = None;
        let mut piece = [0.0; echo::PIECE];
        while self.microphone.poll(echo::PIECE) {
            change = self.microphone.take(&mut piece).or(change);
            if let Some(played) = &mut self.played {
                self.drained.resize(played.slots(), 0.0);
                if played.pop_entire_slice(&mut self.drained).is_ok() {
                    self.canceller.played(&self.drained);
                }
            }
            self.canceller.set_headphones(shared.headphones.load(Ordering::Relaxed));
            self.canceller.clean(&mut piece);
            shared.cancelling.store(self.canceller.is_cancelling(), Ordering::Relaxed);
            self.ready.extend_from_slice(&piece);
            let start = self.ready.len().saturating_sub(FRAME_SAMPLES);
            match pacer.drift(shared.now(), self.ready.len(), quiet) {
                Some(Stretch::Shorten) => stretch::shorten(&mut self.ready, start),
                Some(Stretch::Lengthen) => stretch::lengthen(&mut self.ready, start),
                None => 0,
            };
        }
        change
    }

    /// When the first sample that is ready was captured.
    fn captured(&self) -> Duration {
        let samples = (self.ready.len() + echo::DELAY) as f64;
        self.microphone.captured().saturating_sub(Duration::from_secs_f64(samples / f64::from(SAMPLE_RATE)))
    }

    fn fill(&mut self, frame: &mut [f32; FRAME_SAMPLES]) {
        let there = self.ready.len().min(FRAME_SAMPLES);
        frame.fill(0.0);
        for (to, from) in frame.iter_mut().zip(self.ready.drain(..there)) {
            *to = from;
        }
    }
}

impl Source {
    fn name(&self) -> &str {
        match self {
            Self::Tone(_) | Self::Voice(_) | Self::Wav(_) => "",
            Self::Microphone(cleaned) => cleaned.microphone.name(),
        }
    }

    /// Whether sound comes from it at all.
    fn is_there(&self) -> bool {
        match self {
            Self::Tone(_) | Self::Voice(_) | Self::Wav(_) => true,
            Self::Microphone(cleaned) => cleaned.microphone.is_open(),
        }
    }
}

/// The thread's state.
#[derive(Debug)]
pub(super) struct Capture {
    source: Source,
    encoder: Encoder,
    /// What the encoder was last told.
    bitrate: u32,
    expected_loss: f32,
    shared: Arc<Shared>,
    frames_out: Sender<EncodedFrame>,
    events: Teller,
    meter: Meter,
    quiet: bool,
}

impl Capture {
    pub(super) fn new(
        source: Source,
        shared: Arc<Shared>,
        frames_out: Sender<EncodedFrame>,
        events: Teller,
    ) -> Result<Self, OpusError> {
        let encoder = Encoder::new()?;
        let (expected_loss, meter) = (f32::NAN, Meter::default());
        Ok(Self {
            source,
            encoder,
            bitrate: 0,
            expected_loss,
            shared,
            frames_out,
            events,
            meter,
            quiet: true,
        })
    }

    /// Runs until the sound ends.
    pub(super) fn run(mut self) {
        let mut pacer = Pacer::new(self.begin());
        let mut frame = [0.0; FRAME_SAMPLES];
        while !self.shared.stopped() {
            let drive = self.drive(&pacer);
            match pacer.step(self.shared.now(), drive) {
                Step::Wait(wait) => std::thread::sleep(wait.min(NAP)),
                Step::Drop(frames) => (0..frames).for_each(|_| self.fill(&mut frame)),
                Step::Send(at) => {
                    self.stamp(at);
                    self.fill(&mut frame);
                    self.send(&mut frame, at);
                }
                Step::SendSilence(at) => {
                    frame.fill(0.0);
                    self.send(&mut frame, at);
                }
            }
        }
    }

    /// When the first frame begins: of a microphone that opens in time, the first that it delivers. Silence sent
    /// before that would have another beat than what it delivers, and the friend's buffer would take that for the
    /// network's jitter for as long as it looks back.
    fn begin(&mut self) -> Duration {
        let began = self.shared.now();
        let Source::Microphone(cleaned) = &mut self.source else { return began };
        while !self.shared.stopped() && self.shared.now() < began + OPENING {
            if cleaned.microphone.poll(FRAME_SAMPLES) {
                return self.shared.now().saturating_sub(FRAME_DURATION);
            }
            std::thread::sleep(LOOK);
        }
        self.shared.now()
    }

    /// Takes note of how much later than it was captured a frame is stamped: its stamp follows the clock, and
    /// a microphone is behind by its buffers and by what its sound goes through.
    fn stamp(&self, at: Duration) {
        let Source::Microphone(cleaned) = &self.source else { return };
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 4);
        let late = micros(at) - micros(cleaned.captured());
        let mean = self.shared.stamped_late.load(Ordering::Relaxed);
        let mean = if mean.abs_diff(late) > STAMP_JUMP { late } else { mean + (late - mean) / 16 };
        self.shared.stamped_late.store(mean, Ordering::Relaxed);
    }

    /// What drives the frames now; of a microphone, all that it has delivered is taken.
    fn drive(&mut self, pacer: &Pacer) -> Drive {
        let Source::Microphone(cleaned) = &mut self.source else { return Drive::Clock };
        let change = cleaned.collect(pacer, &self.shared, self.quiet);
        let ready = cleaned.ready.len() >= FRAME_SAMPLES;
        match change {
            Some(SilenceChange::Began) => {
                self.events.tell(SoundEvent::Silence { name: self.source.name().to_owned() });
            }
            Some(SilenceChange::Ended) => self.events.tell(SoundEvent::SilenceEnded),
            None => {}
        }
        Drive::Device { ready }
    }

    fn fill(&mut self, frame: &mut [f32; FRAME_SAMPLES]) {
        match &mut self.source {
            Source::Tone(tone) => tone.fill(frame),
            Source::Voice(voice) => voice.fill(frame),
            Source::Wav(wav) => wav.fill(frame),
            Source::Microphone(cleaned) => cleaned.fill(frame),
        }
    }

    /// Encodes a frame and hands it on.
    fn send(&mut self, frame: &mut [f32; FRAME_SAMPLES], at: Duration) {
        let muted = self.shared.muted.load(Ordering::Relaxed);
        if muted {
            frame.fill(0.0);
        }
        let loudness = Loudness::of(frame);
        self.quiet = loudness.is_quiet();
        let level = self.meter.push(loudness.rms_dbfs, FRAME_DURATION.as_secs_f32());
        let heard = self.source.is_there() && !muted;
        self.shared.gauge.set_input(heard.then_some(level));
        if let Err(error) = self.adjust() {
            log::warn!("the sound encoder refuses a setting: {error}");
        }
        let data = match self.encoder.encode(frame) {
            Ok(packet) => Bytes::copy_from_slice(packet),
            Err(error) => {
                log::warn!("a frame of sound cannot be encoded: {error}");
                return;
            }
        };
        let taken = data.clone();
        let encoded = EncodedFrame { codec: Codec::Opus, data, key: true, at, duration: FRAME_DURATION };
        if self.frames_out.try_send(encoded).is_err() {
            self.shared.frames_dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.shared.frames_sent.fetch_add(1, Ordering::Relaxed);
        if self.shared.tap.is_on() {
            self.shared.tap.put(TrackId::OwnSound, Codec::Opus, &taken, true, at);
        }
    }

    /// Passes changed settings on to the encoder.
    fn adjust(&mut self) -> Result<(), OpusError> {
        let bitrate = self.shared.bitrate.load(Ordering::Relaxed);
        if bitrate != self.bitrate {
            self.bitrate = bitrate;
            self.encoder.set_bitrate(bitrate)?;
        }
        let loss = self.shared.expected_loss.load();
        if loss.to_bits() != self.expected_loss.to_bits() {
            self.expected_loss = loss;
            self.encoder.set_expected_loss(loss)?;
        }
        Ok(())
    }
}
