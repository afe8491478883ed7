//! A microphone as a source of sound: whatever its rate, channels and buffers, mono at 48 kHz comes out. It may be
//! missing, vanish and come back. Knows no codec.
//!
//! ```text
//! device callback: mix to mono -> ring (100 ms) -> [reader's thread] resample -> samples
//! ```
//! The callback takes no lock, waits for nothing, allocates nothing and logs nothing; what the ring has no
//! room for is dropped and counted.

use crate::media::device::format::{self, Format};
use crate::media::device::keeper::{DeviceChange, Keeper, Opened, Pulse, keep};
use crate::media::device::{DeviceKind, Found};
use crate::media::frame::SAMPLE_RATE;
use crate::media::level::{SilenceChange, SilenceWatch};
use crate::media::resample::Resampler;
use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{FromSample, SampleFormat, SizedSample};
use rtrb::{Consumer, Producer, RingBuffer};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// The ring holds so much, in parts of a second.
const RING_PER_SECOND: u32 = 10;
/// Exact zeros for so many samples (3 s) are told.
const SILENCE: usize = 3 * SAMPLE_RATE as usize;
/// How long opening may take before it is given up.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// See the module. Dropping it closes the device.
pub struct Microphone {
    _keeper: Keeper,
    ends: Receiver<Opened<Tap>>,
    tap: Option<Tap>,
    name: String,
    drained: Vec<f32>,
    resampled: Vec<f32>,
    ready: VecDeque<f32>,
    silence: SilenceWatch,
    /// When the newest sample that is ready was captured.
    captured: Duration,
}

/// The reading end of an open stream.
struct Tap {
    ring: Consumer<f32>,
    resampler: Resampler,
    /// When the newest sample in the ring was captured, on the clock that began at `started`, microseconds.
    captured: Arc<AtomicU64>,
}

impl std::fmt::Debug for Microphone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Microphone")
            .field("name", &self.name)
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

impl Microphone {
    /// Begins to open a microphone (the default one, or one by id or part of its name) and keeps it open.
    /// Samples that get lost for want of a reader are added to `overruns`. `started` is the zero of its clock.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        wanted: Option<String>,
        overruns: Arc<AtomicU64>,
        started: Instant,
        tell: impl Fn(DeviceChange) + Send + 'static,
    ) -> std::io::Result<Self> {
        let open = move |found: &Found, pulse: Pulse| open(found, pulse, Arc::clone(&overruns), started);
        let (keeper, ends) = keep(DeviceKind::Microphone, wanted, open, tell)?;
        Ok(Self {
            _keeper: keeper,
            ends,
            tap: None,
            name: String::new(),
            drained: Vec::new(),
            resampled: Vec::new(),
            ready: VecDeque::new(),
            silence: SilenceWatch::new(SILENCE),
            captured: Duration::ZERO,
        })
    }

    /// Whether a device is open. As of the last [`Self::poll`].
    pub fn is_open(&self) -> bool {
        self.tap.is_some()
    }

    /// The name of the device that is open, or was last.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Collects what the device has delivered; true when there are so many samples.
    pub fn poll(&mut self, samples: usize) -> bool {
        while let Ok(Opened { name, end }) = self.ends.try_recv() {
            (self.name, self.tap) = (name, Some(end));
            self.ready.clear();
            self.silence.restart();
        }
        let Some(tap) = &mut self.tap else { return false };
        let gone = tap.ring.is_abandoned();
        self.captured = Duration::from_micros(tap.captured.load(Ordering::Relaxed));
        self.drained.resize(tap.ring.slots(), 0.0);
        let read = tap.ring.pop_entire_slice(&mut self.drained);
        self.resampled.clear();
        if read.is_err() || tap.resampler.process(&self.drained, &mut self.resampled).is_err() || gone {
            self.tap = None;
        }
        self.ready.extend(&self.resampled);
        self.ready.len() >= samples
    }

    /// When the oldest sample that is ready was captured, as far as the device tells. As of the last
    /// [`Self::poll`].
    pub fn captured(&self) -> Duration {
        let waiting = self.ready.len() as f64 / f64::from(SAMPLE_RATE);
        self.captured.saturating_sub(Duration::from_secs_f64(waiting))
    }

    /// Takes the oldest samples, and says if the device has fallen silent (3 s of exact zeros) or is no longer.
    /// Where there are fewer the rest is zeros.
    pub fn take(&mut self, samples: &mut [f32]) -> Option<SilenceChange> {
        for sample in samples.iter_mut() {
            *sample = self.ready.pop_front().unwrap_or(0.0);
        }
        self.silence.push(samples)
    }
}

fn open(
    found: &Found,
    pulse: Pulse,
    overruns: Arc<AtomicU64>,
    started: Instant,
) -> Result<(cpal::Stream, Tap), cpal::Error> {
    let unsupported = |reason: String| cpal::Error::with_message(cpal::ErrorKind::UnsupportedConfig, reason);
    let format = format::best(found.device.supported_input_configs()?, found.period)
        .ok_or_else(|| unsupported("it offers no format that can be used".into()))?;
    let resampler =
        Resampler::new(format.rate, SAMPLE_RATE).map_err(|error| unsupported(error.to_string()))?;
    let (into, ring) = RingBuffer::new((format.rate / RING_PER_SECOND) as usize);
    let captured = Arc::new(AtomicU64::new(0));
    let into = In { ring: into, overruns, captured: Arc::clone(&captured), started };
    let stream = match format.sample {
        SampleFormat::F32 => build::<f32>(found, &format, into, pulse),
        SampleFormat::I16 => build::<i16>(found, &format, into, pulse),
        SampleFormat::I32 => build::<i32>(found, &format, into, pulse),
        SampleFormat::U16 => build::<u16>(found, &format, into, pulse),
        SampleFormat::U8 => build::<u8>(found, &format, into, pulse),
        other => Err(unsupported(format!("samples of the kind {other}"))),
    }?;
    stream.play()?;
    Ok((stream, Tap { ring, resampler, captured }))
}

/// The callback's state.
struct In {
    ring: Producer<f32>,
    overruns: Arc<AtomicU64>,
    captured: Arc<AtomicU64>,
    started: Instant,
}

impl In {
    /// Takes what was captured, the first of it so long ago.
    fn take<S: SizedSample>(&mut self, data: &[S], format: &Format, ago: Duration)
    where
        f32: FromSample<S>,
    {
        let gain = 1.0 / f32::from(format.channels);
        for frame in data.chunks_exact(usize::from(format.channels)) {
            let sum: f32 = frame.iter().map(|sample| f32::from_sample_(*sample)).sum();
            if self.ring.push(sum * gain).is_err() {
                self.overruns.fetch_add(1, Ordering::Relaxed);
            }
        }
        let length = data.len() as f64 / f64::from(format.channels) / f64::from(format.rate);
        let newest = self.started.elapsed().saturating_sub(ago) + Duration::from_secs_f64(length);
        self.captured.store(u64::try_from(newest.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

fn build<S: SizedSample>(
    found: &Found,
    format: &Format,
    mut into: In,
    pulse: Pulse,
) -> Result<cpal::Stream, cpal::Error>
where
    f32: FromSample<S>,
{
    let format = *format;
    let callbacks = Arc::clone(&pulse.callbacks);
    found.device.build_input_stream(
        format.config(),
        move |data: &[S], info: &cpal::InputCallbackInfo| {
            callbacks.fetch_add(1, Ordering::Relaxed);
            let time = info.timestamp();
            into.take(data, &format, time.callback.saturating_duration_since(time.capture));
        },
        move |error| pulse.error(&error),
        Some(OPEN_TIMEOUT),
    )
}
