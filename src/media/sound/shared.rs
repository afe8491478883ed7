//! What the handle, the two threads and the device callbacks share: atomics, and one lock that no callback
//! touches. Keeps values, does nothing with them.

use super::SoundStats;
use crate::media::audio::DEFAULT_LOSS;
use crate::media::frame::{Moment, SAMPLE_RATE};
use crate::media::jitter::JitterStats;
use crate::media::level::Gauge;
use crate::media::record::Tap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A float that threads share.
#[derive(Debug)]
pub(super) struct AtomicF32(AtomicU32);

impl AtomicF32 {
    pub(super) fn new(value: f32) -> Self {
        Self(AtomicU32::new(value.to_bits()))
    }

    pub(super) fn load(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn store(&self, value: f32) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    started: Instant,
    pub(super) stop: AtomicBool,
    pub(super) muted: AtomicBool,
    pub(super) headphones: AtomicBool,
    /// Echo is being cancelled.
    pub(super) cancelling: AtomicBool,
    pub(super) bitrate: AtomicU32,
    pub(super) expected_loss: AtomicF32,
    pub(super) gauge: Gauge,
    pub(super) frames_sent: AtomicU64,
    pub(super) frames_dropped: AtomicU64,
    pub(super) packets_dropped: AtomicU64,
    pub(super) underruns: Arc<AtomicU64>,
    pub(super) overruns: Arc<AtomicU64>,
    jitter: Mutex<JitterStats>,
    heard: Mutex<Option<Moment>>,
    /// By how much frames are stamped later than they were captured, microseconds.
    pub(super) stamped_late: AtomicI64,
    /// Both ends of the ring of played samples, until each is taken.
    reference: Mutex<Option<rtrb::Consumer<f32>>>,
    reference_end: Mutex<Option<rtrb::Producer<f32>>>,
    pub(super) reference_taken: AtomicBool,
    pub(super) tap: Tap,
}

impl Shared {
    pub(super) fn new(bitrate: u32, headphones: bool, gauge: Gauge, started: Instant) -> Self {
        let (end, waiting) = rtrb::RingBuffer::new(SAMPLE_RATE as usize);
        Self {
            started,
            stop: AtomicBool::new(false),
            muted: AtomicBool::new(false),
            headphones: AtomicBool::new(headphones),
            cancelling: AtomicBool::new(false),
            bitrate: AtomicU32::new(bitrate),
            expected_loss: AtomicF32::new(DEFAULT_LOSS),
            gauge,
            frames_sent: AtomicU64::new(0),
            frames_dropped: AtomicU64::new(0),
            packets_dropped: AtomicU64::new(0),
            underruns: Arc::default(),
            overruns: Arc::default(),
            jitter: Mutex::default(),
            heard: Mutex::default(),
            stamped_late: AtomicI64::new(0),
            reference: Mutex::new(Some(waiting)),
            reference_end: Mutex::new(Some(end)),
            reference_taken: AtomicBool::new(false),
            tap: Tap::default(),
        }
    }

    /// The zero of the call's clock.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// The time on the call's clock.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn set_jitter(&self, stats: JitterStats) {
        *self.jitter.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }

    pub(super) fn set_heard(&self, heard: Option<Moment>) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = heard;
    }

    pub(super) fn stats(&self) -> SoundStats {
        SoundStats {
            jitter: *self.jitter.lock().unwrap_or_else(PoisonError::into_inner),
            frames_sent: self.frames_sent.load(Ordering::Relaxed),
            frames_dropped: self.frames_dropped.load(Ordering::Relaxed),
            packets_dropped: self.packets_dropped.load(Ordering::Relaxed),
            underruns: self.underruns.load(Ordering::Relaxed),
            overruns: self.overruns.load(Ordering::Relaxed),
            heard: *self.heard.lock().unwrap_or_else(PoisonError::into_inner),
            stamped_late: self.stamped_late.load(Ordering::Relaxed),
            cancelling_echo: self.cancelling.load(Ordering::Relaxed),
        }
    }

    /// The reading end of the reference ring, once; from then on it is fed.
    pub(super) fn take_reference(&self) -> Option<rtrb::Consumer<f32>> {
        let taken = self.reference.lock().unwrap_or_else(PoisonError::into_inner).take();
        if taken.is_some() {
            self.reference_taken.store(true, Ordering::Relaxed);
        }
        taken
    }

    /// The writing end, for the playout thread, once.
    pub(super) fn take_reference_end(&self) -> Option<rtrb::Producer<f32>> {
        self.reference_end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
