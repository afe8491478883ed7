//! The thread that takes own pictures, codes them and hands them on. Opens the source, closes it when the
//! picture is switched off, and looks for a lost camera again.

use super::PictureEvent;
use super::black::BlackWatch;
use super::events::Teller;
use super::shared::{SendTarget, Shared};
use crate::config::VideoChoice;
use crate::media::frame::{Codec, EncodedFrame, VideoFrame};
use crate::media::record::muxer::TrackId;
use crate::media::slot::Slot;
use crate::media::source::fit::Fit;
use crate::media::source::{self, SourceConfig, SourceError, VideoSource};
use crate::media::video::{self, VideoEncoder, VideoError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the switches are looked at while there is no picture.
const IDLE: Duration = Duration::from_millis(20);
/// A lost camera is looked for after this long, then after twice as long, up to the limit.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(8);
/// However often a friend asks, key frames come no faster: each costs many pictures' bits.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(300);
const LONGEST_KEY_FRAME_INTERVAL: Duration = Duration::from_secs(3);
/// A source that was held up may make up for so much, with pictures in quick succession.
const MAX_BEHIND: Duration = Duration::from_millis(500);
/// A picture may come this much before its time: sources jitter.
const EARLY: Duration = Duration::from_millis(4);

/// Where own pictures go.
pub(super) struct Outlets {
    pub(super) frames: mpsc::Sender<EncodedFrame>,
    pub(super) local: Slot<VideoFrame>,
    pub(super) events: Teller,
}

pub(super) struct Capture {
    choice: VideoChoice,
    config: SourceConfig,
    source: Option<Box<dyn VideoSource>>,
    /// When a lost source is tried again, and how long is waited after that.
    retry: Option<(Duration, Duration)>,
    codec: Codec,
    encoder: Box<dyn VideoEncoder>,
    encoder_failed: bool,
    target: SendTarget,
    fit: Fit,
    /// When the next picture is wanted, at the target's rate.
    due: Duration,
    /// When the last key frame was coded, and how long after it none is.
    last_key: Option<(Duration, Duration)>,
    /// The network was full: nothing is sent but a key frame.
    behind: bool,
    black: BlackWatch,
    shared: Arc<Shared>,
}

impl Capture {
    pub(super) fn new(
        choice: VideoChoice,
        config: SourceConfig,
        source: Option<Box<dyn VideoSource>>,
        codec: Codec,
        shared: Arc<Shared>,
    ) -> Result<Self, VideoError> {
        let target = shared.target();
        Ok(Self {
            choice,
            config,
            source,
            retry: None,
            codec,
            encoder: video::encoder(codec, target.rate)?,
            encoder_failed: false,
            target,
            fit: Fit::new(target.size),
            due: Duration::ZERO,
            last_key: None,
            behind: false,
            black: BlackWatch::default(),
            shared,
        })
    }

    pub(super) fn run(mut self, to: &Outlets) {
        self.choose(&to.events);
        while !self.shared.stopped() {
            if !self.shared.on.load(Ordering::Relaxed) {
                self.source = None;
                self.retry = None;
                self.encoder.request_key_frame();
                std::thread::sleep(IDLE);
                continue;
            }
            let Some(source) = self.opened(&to.events) else {
                std::thread::sleep(IDLE);
                continue;
            };
            match source.next() {
                Ok(Some(frame)) => self.picture(frame, to),
                Ok(None) => {}
                Err(error) => self.lost(&error, &to.events),
            }
        }
    }

    /// The default becomes a camera or the test card, once for the call.
    fn choose(&mut self, events: &Teller) {
        if self.choice != VideoChoice::Default {
            return;
        }
        self.choice = VideoChoice::TestCard;
        let Some(camera) = source::cameras().into_iter().next() else { return };
        let camera = VideoChoice::Camera(camera.index);
        match source::open(&camera, self.config) {
            Ok(source) => (self.choice, self.source) = (camera, source),
            Err(error) => events.tell(PictureEvent::DeviceMissing { reason: error.to_string() }),
        }
    }

    /// The source, opened if it is time to try.
    fn opened(&mut self, events: &Teller) -> Option<&mut Box<dyn VideoSource>> {
        let now = self.shared.now();
        if self.source.is_none() && self.retry.is_none_or(|(at, _)| now >= at) {
            match source::open(&self.choice, self.config) {
                Ok(source) => {
                    self.source = source;
                    if self.retry.take().is_some() {
                        events.tell(PictureEvent::DeviceBack);
                    }
                }
                Err(error) => self.lost(&error, events),
            }
        }
        self.source.as_mut()
    }

    /// Said once; tried again later and later.
    fn lost(&mut self, error: &SourceError, events: &Teller) {
        self.source = None;
        self.encoder.request_key_frame();
        let pause = if let Some((_, pause)) = self.retry {
            (pause * 2).min(LAST_RETRY)
        } else {
            events.tell(PictureEvent::DeviceLost { reason: error.to_string() });
            FIRST_RETRY
        };
        self.retry = Some((self.shared.now() + pause, pause));
    }

    fn picture(&mut self, frame: VideoFrame, to: &Outlets) {
        if matches!(self.choice, VideoChoice::Camera(_))
            && let Some(event) = self.black.look(&frame)
        {
            to.events.tell(event);
        }
        self.follow_target(&to.events);
        if self.wanted(frame.at) {
            // Own picture is shown as large as it was taken, however small it goes out.
            let fitted = self.fit.fit(frame.clone());
            self.send(&fitted, to);
        }
        to.local.put(frame);
    }

    /// Takes over a changed target.
    fn follow_target(&mut self, events: &Teller) {
        let target = self.shared.target();
        if target == self.target {
            return;
        }
        if target.size != self.target.size {
            self.fit = Fit::new(target.size);
        }
        self.target = target;
        if let Err(error) = self.encoder.set_target(target.rate) {
            self.encoder_trouble(&error, events);
        }
    }

    /// Whether a picture of this time is wanted at the target's rate.
    fn wanted(&mut self, at: Duration) -> bool {
        if at + EARLY < self.due {
            return false;
        }
        let interval = Duration::from_secs(1) / self.target.rate.fps.max(1);
        if self.shared.is_full(interval / 2) {
            // What waited is not made up for.
            self.due = self.due.max(at);
            return false;
        }
        self.due = (self.due + interval).max(at.saturating_sub(MAX_BEHIND));
        true
    }

    /// Codes a picture and hands it on. While the network takes nothing, nothing is coded; then comes a key
    /// frame, since what the friend has no longer fits.
    fn send(&mut self, frame: &VideoFrame, to: &Outlets) {
        if self.behind && to.frames.capacity() == 0 {
            self.shared.frame_dropped();
            return;
        }
        let key_due = self.last_key.is_none_or(|(last, pause)| frame.at >= last + pause);
        if self.behind || (key_due && self.shared.key_wanted.swap(false, Ordering::Relaxed)) {
            self.encoder.request_key_frame();
        }
        let coded = match self.encoder.encode(frame) {
            Ok(Some(coded)) => coded,
            Ok(None) => return,
            Err(error) => return self.encoder_trouble(&error, &to.events),
        };
        if coded.key {
            self.last_key = Some((frame.at, self.pause_after(coded.data.len())));
        }
        let sent = to.frames.try_send(EncodedFrame {
            codec: self.codec,
            data: coded.data.clone(),
            key: coded.key,
            at: frame.at,
            duration: Duration::from_secs(1) / self.target.rate.fps.max(1),
        });
        self.behind = sent.is_err();
        if self.behind {
            self.shared.frame_dropped();
        } else {
            self.shared.frame_sent();
            if self.shared.tap.is_on() {
                self.shared.tap.put(TrackId::OwnPicture, self.codec, &coded.data, coded.key, frame.at);
            }
        }
    }

    /// How long after a key frame of so many bytes there is no other: on a narrow path it takes that long to get
    /// there, and the next one would only stand behind it.
    fn pause_after(&self, bytes: usize) -> Duration {
        let seconds = bytes as f64 * 8.0 / f64::from(self.target.rate.kbps.max(1) * 1_000);
        Duration::from_secs_f64(seconds * 2.0).clamp(KEY_FRAME_INTERVAL, LONGEST_KEY_FRAME_INTERVAL)
    }

    /// Said once a call.
    fn encoder_trouble(&mut self, error: &VideoError, events: &Teller) {
        log::warn!("own picture: {error}");
        if !std::mem::replace(&mut self.encoder_failed, true) {
            events.tell(PictureEvent::EncoderFailed { reason: error.to_string() });
        }
    }
}
