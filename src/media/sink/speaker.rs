//! A speaker as a sink of sound: takes a little mono at 48 kHz when it wants more. It may be missing, vanish
//! and come back. Knows no codec.
//!
//! ```text
//! samples -> [writer's thread] resample -> ring (100 ms) -> device callback: to every channel
//! played()    <- [writer's thread] resample <- ring (200 ms) <-'  what the device really took, gaps included
//! ```
//! The callback takes no lock, waits for nothing, allocates nothing and logs nothing; what is not in the
//! ring is played as silence and counted. It wakes the writer: so the ring need hold no more than it takes at once.

use crate::media::device::format::{self, Format};
use crate::media::device::keeper::{DeviceChange, Keeper, Opened, Pulse, keep};
use crate::media::device::{DeviceKind, Found};
use crate::media::frame::{FRAME_SAMPLES, SAMPLE_RATE};
use crate::media::resample::Resampler;
use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{FromSample, SampleFormat, SizedSample};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// The ring holds so much, in parts of a second.
const RING_PER_SECOND: u32 = 10;
/// The ring of what the device took.
const TAKEN_PER_SECOND: u32 = 5;
/// Each time the device finds too little, so much more is kept for it (2.5 ms), up to 20 ms; and so much less
/// again when that has not happened for a while.
const STEP_PER_SECOND: u32 = 400;
const MOST_STEPS: u32 = 8;
const GOOD_WHILE: Duration = Duration::from_secs(30);
/// A device that asks for more than its period, as PulseAudio does at first and when it was late, will again
/// within so many callbacks (2 s and more).
const REMEMBERED: u32 = 256;
/// Never less is kept than this, in parts of a second: 5 ms.
const LEAST_PER_SECOND: u32 = 200;
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
    /// Underruns seen by now, and what is kept on their account since when.
    underruns_seen: u64,
    steps: (u32, Duration),
}

/// The writing end of an open stream.
struct Feed {
    ring: Producer<f32>,
    rate: u32,
    resampler: Resampler,
    /// What the device has taken, and from its rate to ours.
    taken: Consumer<f32>,
    back: Resampler,
    /// The most frames a callback has asked for, lately.
    period: Arc<AtomicU32>,
    callbacks: Arc<AtomicU64>,
    /// When the device will have played what it took, on the call's clock, microseconds.
    until: Arc<AtomicU64>,
    /// Who is woken when the device has taken something: whoever asks what it wants.
    writer: Arc<OnceLock<Thread>>,
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
    /// Some, now.
    Sound,
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
    /// Callbacks that found too little to play are added to `underruns`. `started` is the zero of the clock
    /// whose time it is told.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        wanted: Option<String>,
        underruns: Arc<AtomicU64>,
        started: Instant,
        tell: impl Fn(DeviceChange) + Send + 'static,
    ) -> std::io::Result<Self> {
        let counter = Arc::clone(&underruns);
        let open = move |found: &Found, pulse: Pulse| open(found, pulse, Arc::clone(&counter), started);
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
            underruns_seen: 0,
            steps: (0, Duration::ZERO),
        })
    }

    /// The name of the device that is open, or was last.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it wants sound; `now` is the time on its clock.
    pub fn want(&mut self, now: Duration) -> Want {
        while let Ok(Opened { name, end }) = self.ends.try_recv() {
            (self.name, self.feed) = (name, Some(end));
            (self.underruns_seen, self.steps) = (self.underruns.load(Ordering::Relaxed), (0, now));
        }
        if self.feed.as_ref().is_some_and(|feed| feed.ring.is_abandoned()) {
            self.feed = None;
        }
        let steps = self.steps(now);
        let Some(feed) = self.feed.as_mut() else { return Want::Absent };
        feed.writer.get_or_init(std::thread::current);
        if !feed.is_live(now) {
            return Want::Absent;
        }
        let period = feed.period.load(Ordering::Relaxed).max(feed.rate / LEAST_PER_SECOND);
        let keep = (period + feed.rate / STEP_PER_SECOND * steps).min(feed.rate / MOST_PER_SECOND) as usize;
        let queued = feed.ring.buffer().capacity() - feed.ring.slots();
        if queued < keep {
            return Want::Sound;
        }
        let spare = Duration::from_secs_f64((queued - keep) as f64 / f64::from(feed.rate));
        Want::Nothing(spare.clamp(*LOOK.start(), *LOOK.end()))
    }

    /// How many steps more than a period are kept.
    fn steps(&mut self, now: Duration) -> u32 {
        let underruns = self.underruns.load(Ordering::Relaxed);
        let new = underruns.saturating_sub(std::mem::replace(&mut self.underruns_seen, underruns));
        let (steps, since) = self.steps;
        if new > 0 {
            self.steps = ((u64::from(steps) + new).min(MOST_STEPS.into()) as u32, now);
        } else if steps > 0 && now.saturating_sub(since) > GOOD_WHILE {
            self.steps = (steps - 1, now);
        }
        self.steps.0
    }

    /// Plays samples. What finds no room is dropped.
    pub fn play(&mut self, samples: &[f32]) {
        let Some(feed) = self.feed.as_mut().filter(|feed| feed.called.0 > 0) else { return };
        self.resampled.clear();
        if let Err(error) = feed.resampler.process(samples, &mut self.resampled) {
            log::warn!("{error}");
        }
        let (_written, dropped) = feed.ring.push_partial_slice(&self.resampled);
        if !dropped.is_empty() {
            log::debug!("{} samples too many for the speaker", dropped.len());
        }
    }
}

impl Speaker {
    /// How long after `now` the next sample that is given to it is heard, as far as the device tells.
    pub fn lag(&self, now: Duration) -> Duration {
        let Some(feed) = &self.feed else { return Duration::ZERO };
        let queued = feed.ring.buffer().capacity() - feed.ring.slots();
        let until = Duration::from_micros(feed.until.load(Ordering::Relaxed));
        until.saturating_sub(now) + Duration::from_secs_f64(queued as f64 / f64::from(feed.rate))
    }

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

fn open(
    found: &Found,
    pulse: Pulse,
    underruns: Arc<AtomicU64>,
    started: Instant,
) -> Result<(cpal::Stream, Feed), cpal::Error> {
    let unsupported = |reason: String| cpal::Error::with_message(cpal::ErrorKind::UnsupportedConfig, reason);
    let format = format::best(found.device.supported_output_configs()?, found.period)
        .ok_or_else(|| unsupported("it offers no format that can be used".into()))?;
    let resampler =
        Resampler::new(SAMPLE_RATE, format.rate).map_err(|error| unsupported(error.to_string()))?;
    let back = Resampler::new(format.rate, SAMPLE_RATE).map_err(|error| unsupported(error.to_string()))?;
    let (ring, from) = RingBuffer::new((format.rate / RING_PER_SECOND) as usize);
    let (played, taken) = RingBuffer::new((format.rate / TAKEN_PER_SECOND) as usize);
    let (period, callbacks) = (Arc::new(AtomicU32::new(0)), Arc::clone(&pulse.callbacks));
    let until = Arc::new(AtomicU64::new(0));
    let writer = Arc::new(OnceLock::new());
    let out = Out {
        most: [0; 2],
        counted: 0,
        ring: from,
        played,
        period: Arc::clone(&period),
        underruns,
        playing: false,
        until: Arc::clone(&until),
        started,
        writer: Arc::clone(&writer),
    };
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
    let rate = format.rate;
    Ok((stream, Feed { ring, rate, resampler, taken, back, period, callbacks, until, writer, called }))
}

/// The callback's state.
struct Out {
    /// The most frames asked for in the callbacks that are being counted, and in those counted before.
    most: [u32; 2],
    counted: u32,
    ring: Consumer<f32>,
    played: Producer<f32>,
    period: Arc<AtomicU32>,
    underruns: Arc<AtomicU64>,
    /// The first sample has come: what is missing from now on is an underrun.
    playing: bool,
    until: Arc<AtomicU64>,
    started: Instant,
    writer: Arc<OnceLock<Thread>>,
}

impl Out {
    /// Tells when so many frames will have been played that begin `lag` from now, and that more are wanted.
    fn tell(&self, lag: Duration, frames: usize, rate: u32) {
        let length = Duration::from_secs_f64(frames as f64 / f64::from(rate));
        let until = (self.started.elapsed() + lag + length).as_micros();
        self.until.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// So many frames are asked for.
    fn count(&mut self, frames: u32) {
        let [now, before] = self.most;
        self.counted += 1;
        self.most =
            if self.counted.is_multiple_of(REMEMBERED) { [frames, now] } else { [now.max(frames), before] };
        self.period.store(self.most.into_iter().fold(0, u32::max), Ordering::Relaxed);
    }

    fn fill<S: SizedSample + FromSample<f32>>(&mut self, data: &mut [S], channels: usize) {
        let frames = u32::try_from(data.len() / channels).unwrap_or(u32::MAX);
        self.count(frames);
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
    let rate = format.rate;
    let callbacks = Arc::clone(&pulse.callbacks);
    found.device.build_output_stream(
        format.config(),
        move |data: &mut [S], info: &cpal::OutputCallbackInfo| {
            callbacks.fetch_add(1, Ordering::Relaxed);
            out.fill(data, channels);
            let time = info.timestamp();
            out.tell(time.playback.saturating_duration_since(time.callback), data.len() / channels, rate);
        },
        move |error| pulse.error(&error),
        Some(OPEN_TIMEOUT),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a clock that nobody looks at")]

    use super::*;

    #[test]
    fn the_callback_plays_on_every_channel_and_silence_where_nothing_is() {
        let (mut ring, from) = RingBuffer::new(8);
        let (played, mut taken) = RingBuffer::new(8);
        let underruns = Arc::new(AtomicU64::new(0));
        let mut out = Out {
            most: [0; 2],
            counted: 0,
            ring: from,
            played,
            period: Arc::default(),
            underruns: Arc::clone(&underruns),
            playing: false,
            until: Arc::default(),
            started: Instant::now(),
            writer: Arc::default(),
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
