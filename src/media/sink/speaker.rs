//! A speaker as a sink of sound: takes 20 ms of mono at 48 kHz when it wants more. It may be missing, vanish
//! and come back. Knows no codec.
//!
//! ```text
//! 960 samples -> [writer's thread] resample -> ring (100 ms) -> device callback: to every channel
//! played()    <- [writer's thread] resample <- ring (200 ms) <-'  what the device really took, gaps included
//! ```
//! The callback takes no lock, waits for nothing, allocates nothing and logs nothing; what is not in the
//! ring is played as silence and counted.

use crate::media::device::format::{self, Format};
use crate::media::device::keeper::{DeviceChange, Keeper, Opened, Pulse, keep};
use crate::media::device::{DeviceKind, Found};
use crate::media::frame::{FRAME_SAMPLES, SAMPLE_RATE};
use crate::media::resample::Resampler;
use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{FromSample, SampleFormat, SizedSample};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// The ring holds so much, in parts of a second.
const RING_PER_SECOND: u32 = 10;
/// The ring of what the device took.
const TAKEN_PER_SECOND: u32 = 5;
/// Each time the device finds too little, so much more is kept for it (2.5 ms), up to 20 ms.
const STEP_PER_SECOND: u32 = 400;
const MOST_STEPS: u64 = 8;
/// Never more is kept than this, in parts of a second, so that a frame still fits into the ring: 60 ms.
const MOST_PER_SECOND: u32 = 16;
/// How often the ring is looked at, at most and at least.
const LOOK: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(5);
/// A device that has not called for four of its periods, and at least so long, takes nothing: sound goes on
/// without it. (PulseAudio calls once, and then not for up to two seconds.)
const STALL: Duration = Duration::from_millis(80);
/// How long opening may take before it is given up.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// See the module. Dropping it closes the device.
pub struct Speaker {
    _keeper: Keeper,
    ends: Receiver<Opened<Feed>>,
    feed: Option<Feed>,
    name: String,
    resampled: Vec<f32>,
    drained: Vec<f32>,
    underruns: Arc<AtomicU64>,
    /// Underruns before this device was opened.
    underruns_before: u64,
}

/// The writing end of an open stream.
struct Feed {
    ring: Producer<f32>,
    rate: u32,
    resampler: Resampler,
    /// What the device has taken, and from its rate to ours.
    taken: Consumer<f32>,
    back: Resampler,
    /// The most frames a callback has asked for.
    period: Arc<AtomicU32>,
    callbacks: Arc<AtomicU64>,
    /// How many callbacks there had been when last one was seen to have come, and when that was.
    called: (u64, Duration),
}

impl Feed {
    /// Whether the device has begun to play, and still does.
    fn is_live(&mut self, now: Duration) -> bool {
        let callbacks = self.callbacks.load(Ordering::Relaxed);
        if callbacks != self.called.0 {
            self.called = (callbacks, now);
        }
        let period = f64::from(self.period.load(Ordering::Relaxed)) / f64::from(self.rate);
        let stall = Duration::from_secs_f64(4.0 * period).max(STALL);
        callbacks > 0 && now.saturating_sub(self.called.1) < stall
    }
}

/// What a speaker wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// 20 ms, now.
    Frame,
    /// Nothing for so long.
    Nothing(Duration),
    /// It is not there, or takes nothing.
    Absent,
}

impl std::fmt::Debug for Speaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speaker")
            .field("name", &self.name)
            .field("open", &self.feed.is_some())
            .finish_non_exhaustive()
    }
}

impl Speaker {
    /// Begins to open a speaker (the default one, or one by id or part of its name) and keeps it open.
    /// Callbacks that found too little to play are added to `underruns`.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        wanted: Option<String>,
        underruns: Arc<AtomicU64>,
        tell: impl Fn(DeviceChange) + Send + 'static,
    ) -> std::io::Result<Self> {
        let counter = Arc::clone(&underruns);
        let open = move |found: &Found, pulse: Pulse| open(found, pulse, Arc::clone(&counter));
        let (keeper, ends) = keep(DeviceKind::Speaker, wanted, open, tell)?;
        let resampled = Vec::with_capacity(FRAME_SAMPLES);
        Ok(Self {
            _keeper: keeper,
            ends,
            feed: None,
            name: String::new(),
            resampled,
            drained: Vec::new(),
            underruns,
            underruns_before: 0,
        })
    }

    /// The name of the device that is open, or was last.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it wants a frame; `now` is any clock's time.
    pub fn want(&mut self, now: Duration) -> Want {
        while let Ok(Opened { name, end }) = self.ends.try_recv() {
            (self.name, self.feed) = (name, Some(end));
            self.underruns_before = self.underruns.load(Ordering::Relaxed);
        }
        if self.feed.as_ref().is_some_and(|feed| feed.ring.is_abandoned()) {
            self.feed = None;
        }
        let Some(feed) = self.feed.as_mut() else { return Want::Absent };
        if !feed.is_live(now) {
            return Want::Absent;
        }
        let underruns = self.underruns.load(Ordering::Relaxed).saturating_sub(self.underruns_before);
        let steps = underruns.min(MOST_STEPS) as u32;
        let period = feed.period.load(Ordering::Relaxed).max(feed.rate / 100);
        let keep = (period + feed.rate / STEP_PER_SECOND * steps).min(feed.rate / MOST_PER_SECOND) as usize;
        let queued = feed.ring.buffer().capacity() - feed.ring.slots();
        if queued <= keep {
            return Want::Frame;
        }
        let spare = Duration::from_secs_f64((queued - keep) as f64 / f64::from(feed.rate));
        Want::Nothing(spare.clamp(*LOOK.start(), *LOOK.end()))
    }

    /// Plays 20 ms. What finds no room is dropped.
    pub fn play(&mut self, frame: &[f32; FRAME_SAMPLES]) {
        let Some(feed) = self.feed.as_mut().filter(|feed| feed.called.0 > 0) else { return };
        self.resampled.clear();
        if let Err(error) = feed.resampler.process(frame, &mut self.resampled) {
            log::warn!("{error}");
        }
        let (_written, dropped) = feed.ring.push_partial_slice(&self.resampled);
        if !dropped.is_empty() {
            log::debug!("{} samples too many for the speaker", dropped.len());
        }
    }
}

impl Speaker {
    /// Appends what the device has played since the last call, mono at 48 kHz: silence too where it found
    /// nothing. Once nobody has asked for 200 ms, what is newer is lost.
    pub fn played(&mut self, out: &mut Vec<f32>) {
        let Some(feed) = self.feed.as_mut() else { return };
        self.drained.resize(feed.taken.slots(), 0.0);
        let read = feed.taken.pop_entire_slice(&mut self.drained);
        if read.is_err() || feed.back.process(&self.drained, out).is_err() {
            log::debug!("what is played cannot be told");
        }
    }
}

fn open(found: &Found, pulse: Pulse, underruns: Arc<AtomicU64>) -> Result<(cpal::Stream, Feed), cpal::Error> {
    let unsupported = |reason: String| cpal::Error::with_message(cpal::ErrorKind::UnsupportedConfig, reason);
    let format = format::best(found.device.supported_output_configs()?)
        .ok_or_else(|| unsupported("it offers no format that can be used".into()))?;
    let resampler =
        Resampler::new(SAMPLE_RATE, format.rate).map_err(|error| unsupported(error.to_string()))?;
    let back = Resampler::new(format.rate, SAMPLE_RATE).map_err(|error| unsupported(error.to_string()))?;
    let (ring, from) = RingBuffer::new((format.rate / RING_PER_SECOND) as usize);
    let (played, taken) = RingBuffer::new((format.rate / TAKEN_PER_SECOND) as usize);
    let (period, callbacks) = (Arc::new(AtomicU32::new(0)), Arc::clone(&pulse.callbacks));
    let out = Out { ring: from, played, period: Arc::clone(&period), underruns, playing: false };
    let stream = match format.sample {
        SampleFormat::F32 => build::<f32>(found, &format, out, pulse),
        SampleFormat::I16 => build::<i16>(found, &format, out, pulse),
        SampleFormat::I32 => build::<i32>(found, &format, out, pulse),
        SampleFormat::U16 => build::<u16>(found, &format, out, pulse),
        SampleFormat::U8 => build::<u8>(found, &format, out, pulse),
        other => Err(unsupported(format!("samples of the kind {other}"))),
    }?;
    stream.play()?;
    let called = (0, Duration::ZERO);
    Ok((stream, Feed { ring, rate: format.rate, resampler, taken, back, period, callbacks, called }))
}

/// The callback's state.
struct Out {
    ring: Consumer<f32>,
    played: Producer<f32>,
    period: Arc<AtomicU32>,
    underruns: Arc<AtomicU64>,
    /// The first sample has come: what is missing from now on is an underrun.
    playing: bool,
}

impl Out {
    fn fill<S: SizedSample + FromSample<f32>>(&mut self, data: &mut [S], channels: usize) {
        let frames = u32::try_from(data.len() / channels).unwrap_or(u32::MAX);
        self.period.fetch_max(frames, Ordering::Relaxed);
        let mut short = false;
        for frame in data.chunks_mut(channels) {
            let sample = self.ring.pop();
            self.playing |= sample.is_ok();
            short |= sample.is_err();
            let sample = sample.unwrap_or(0.0);
            // A full ring: nobody asks what is played.
            let _unread = self.played.push(sample);
            frame.fill(S::from_sample_(sample));
        }
        if short && self.playing {
            self.underruns.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn build<S: SizedSample + FromSample<f32>>(
    found: &Found,
    format: &Format,
    mut out: Out,
    pulse: Pulse,
) -> Result<cpal::Stream, cpal::Error> {
    let channels = usize::from(format.channels);
    let callbacks = Arc::clone(&pulse.callbacks);
    found.device.build_output_stream(
        format.config(),
        move |data: &mut [S], _: &cpal::OutputCallbackInfo| {
            callbacks.fetch_add(1, Ordering::Relaxed);
            out.fill(data, channels);
        },
        move |error| pulse.error(&error),
        Some(OPEN_TIMEOUT),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callback_plays_on_every_channel_and_silence_where_nothing_is() {
        let (mut ring, from) = RingBuffer::new(8);
        let (played, mut taken) = RingBuffer::new(8);
        let underruns = Arc::new(AtomicU64::new(0));
        let mut out = Out {
            ring: from,
            played,
            period: Arc::default(),
            underruns: Arc::clone(&underruns),
            playing: false,
        };
        let mut data = [9i16; 4];
        out.fill(&mut data, 2);
        assert_eq!((data, underruns.load(Ordering::Relaxed)), ([0; 4], 0));
        for sample in [0.5, -0.5] {
            ring.push(sample).unwrap();
        }
        let mut data = [9i16; 6];
        out.fill(&mut data, 2);
        assert_eq!(data, [16_384, 16_384, -16_384, -16_384, 0, 0]);
        assert_eq!((underruns.load(Ordering::Relaxed), out.period.load(Ordering::Relaxed)), (1, 3));
        let mut told = [9.0; 5];
        taken.pop_entire_slice(&mut told).unwrap();
        assert_eq!(told.map(|sample| (sample * 2.0) as i32), [0, 0, 1, -1, 0]);
        // Unsigned silence is the middle.
        let mut data = [0u8; 2];
        out.fill(&mut data, 1);
        assert_eq!(data, [128; 2]);
    }
}
