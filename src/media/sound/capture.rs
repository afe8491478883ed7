//! The capture thread: every 20 ms one frame from the source, muted or not, measured, encoded, handed on.

use super::events::{SoundEvent, Teller};
use super::pace::{Drive, Pacer, Step};
use super::shared::Shared;
use crate::media::audio::{Encoder, OpusError};
use crate::media::frame::{Codec, EncodedFrame, FRAME_DURATION, FRAME_SAMPLES};
use crate::media::level::{Loudness, Meter, SilenceChange};
use crate::media::source::microphone::Microphone;
use crate::media::source::tone::Tone;
use crate::media::source::voice::Voice;
use crate::media::source::wav::WavSource;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// The thread looks at the stop flag at least this often.
const NAP: Duration = Duration::from_millis(20);

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
    Microphone(Box<Microphone>),
}

impl Source {
    fn drive(&mut self, quiet: bool) -> Drive {
        match self {
            Self::Tone(_) | Self::Voice(_) | Self::Wav(_) => Drive::Clock,
            Self::Microphone(microphone) => Drive::Device { ready: microphone.poll(), quiet },
        }
    }

    fn fill(&mut self, frame: &mut [f32; FRAME_SAMPLES]) -> Option<SilenceChange> {
        match self {
            Self::Tone(tone) => tone.fill(frame),
            Self::Voice(voice) => voice.fill(frame),
            Self::Wav(wav) => wav.fill(frame),
            Self::Microphone(microphone) => return microphone.take(frame),
        }
        None
    }

    fn name(&self) -> &str {
        match self {
            Self::Tone(_) | Self::Voice(_) | Self::Wav(_) => "",
            Self::Microphone(microphone) => microphone.name(),
        }
    }

    /// Whether sound comes from it at all.
    fn is_there(&self) -> bool {
        match self {
            Self::Tone(_) | Self::Voice(_) | Self::Wav(_) => true,
            Self::Microphone(microphone) => microphone.is_open(),
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
        let mut pacer = Pacer::new(self.shared.now());
        let mut frame = [0.0; FRAME_SAMPLES];
        while !self.shared.stopped() {
            let drive = self.source.drive(self.quiet);
            match pacer.step(self.shared.now(), drive) {
                Step::Wait(wait) => std::thread::sleep(wait.min(NAP)),
                Step::Drop => self.fill(&mut frame),
                Step::Send(at) => {
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

    fn fill(&mut self, frame: &mut [f32; FRAME_SAMPLES]) {
        match self.source.fill(frame) {
            Some(SilenceChange::Began) => {
                self.events.tell(SoundEvent::Silence { name: self.source.name().to_owned() });
            }
            Some(SilenceChange::Ended) => self.events.tell(SoundEvent::SilenceEnded),
            None => {}
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
        self.shared.input_level.store(if heard { level } else { f32::NAN });
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
        let encoded = EncodedFrame { codec: Codec::Opus, data, key: true, at, duration: FRAME_DURATION };
        let counter = match self.frames_out.try_send(encoded) {
            Ok(()) => &self.shared.frames_sent,
            Err(_) => &self.shared.frames_dropped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
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
