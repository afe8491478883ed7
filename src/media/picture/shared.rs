//! What the two threads and the handle on them share: a few switches, the target, and the counters. No lock is
//! held for longer than a copy.

use super::PictureStats;
use super::meter::{Freezes, Rate};
use crate::media::frame::{Codec, Moment, VIDEO_CLOCK, VideoFrame};
use crate::media::record::Tap;
use crate::media::video::VideoTarget;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A mean of times (seconds) that jumps by more begins anew: another stream is shown, or a freeze is over.
const TRANSIT_JUMP: f64 = 0.2;

/// What own picture aims at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SendTarget {
    pub(super) rate: VideoTarget,
    pub(super) size: (u32, u32),
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) stop: AtomicBool,
    pub(super) on: AtomicBool,
    pub(super) key_wanted: AtomicBool,
    /// The network has no room for a picture.
    pub(super) held: AtomicBool,
    /// When the last picture will have left, on the call's clock, µs.
    clear: AtomicU64,
    pub(super) packets_dropped: AtomicU64,
    wait_ms: AtomicU32,
    target: Mutex<SendTarget>,
    counters: Mutex<Counters>,
    started: Instant,
    pub(super) tap: Tap,
}

#[derive(Debug, Default)]
struct Counters {
    stats: PictureStats,
    sent: Rate,
    shown: Rate,
    freezes: Freezes,
    /// When pictures are shown less their timestamp, seconds: the mean of late.
    transit: Option<f64>,
}

impl Counters {
    fn see(&mut self, now: Duration, timestamp: u64) {
        let captured = timestamp as f64 / f64::from(VIDEO_CLOCK);
        let transit = now.as_secs_f64() - captured;
        let mean = self.transit.filter(|mean| (mean - transit).abs() < TRANSIT_JUMP);
        let mean = mean.map_or(transit, |mean| mean + (transit - mean) / 16.0);
        self.transit = Some(mean);
        let at = Duration::try_from_secs_f64(captured + mean).unwrap_or_default();
        self.stats.seen = Some(Moment { timestamp: timestamp as u32, at });
    }
}

/// A value whose writer panicked is still whole: every write is a plain assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(target: SendTarget, started: Instant) -> Self {
        Self {
            stop: AtomicBool::new(false),
            on: AtomicBool::new(true),
            key_wanted: AtomicBool::new(false),
            held: AtomicBool::new(false),
            clear: AtomicU64::new(0),
            packets_dropped: AtomicU64::new(0),
            wait_ms: AtomicU32::new(100),
            target: Mutex::new(target),
            counters: Mutex::default(),
            started,
            tap: Tap::default(),
        }
    }

    /// The call's clock.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn target(&self) -> SendTarget {
        *lock(&self.target)
    }

    pub(super) fn set_target(&self, target: SendTarget) {
        *lock(&self.target) = target;
    }

    pub(super) fn leaves_until(&self, clear: Duration) {
        self.clear.store(u64::try_from(clear.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether another picture would wait for longer than this behind those that are leaving.
    pub(super) fn is_full(&self, patience: Duration) -> bool {
        let clear = Duration::from_micros(self.clear.load(Ordering::Relaxed));
        self.held.load(Ordering::Relaxed) || clear > self.now() + patience
    }

    /// How long a missing packet is waited for.
    pub(super) fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms.load(Ordering::Relaxed).into())
    }

    pub(super) fn set_wait(&self, wait: Duration) {
        self.wait_ms.store(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub(super) fn remote_on(&self, on: bool) {
        lock(&self.counters).freezes.expect(self.now(), on);
    }

    pub(super) fn frame_sent(&self) {
        let mut counters = lock(&self.counters);
        counters.stats.frames_sent += 1;
        counters.sent.count(self.now());
    }

    pub(super) fn frame_dropped(&self) {
        lock(&self.counters).stats.frames_dropped += 1;
    }

    /// A picture of this RTP timestamp (without its wrap) is shown.
    pub(super) fn frame_shown(&self, frame: &VideoFrame, codec: Codec, timestamp: u64) {
        let now = self.now();
        let mut counters = lock(&self.counters);
        counters.stats.frames_decoded += 1;
        (counters.stats.width, counters.stats.height) = (frame.width, frame.height);
        counters.stats.codec = Some(codec);
        counters.shown.count(now);
        counters.freezes.shown(now);
        counters.see(now, timestamp);
    }

    /// The receiving side's own numbers.
    pub(super) fn received(&self, delay: Duration, missing: u64, asked: u64) {
        let mut counters = lock(&self.counters);
        counters.stats.playout_delay_ms = delay.as_millis() as u32;
        counters.stats.packets_missing = missing;
        counters.stats.key_frames_asked = asked;
    }

    pub(super) fn stats(&self) -> PictureStats {
        let now = self.now();
        let mut counters = lock(&self.counters);
        let mut stats = counters.stats;
        stats.sent_fps = counters.sent.per_second(now);
        stats.shown_fps = counters.shown.per_second(now);
        let (freezes, stood) = counters.freezes.until(now);
        (stats.freezes, stats.freeze_ms) = (freezes, stood.as_millis() as u64);
        stats.frozen = counters.freezes.lasts(now);
        stats.packets_dropped = self.packets_dropped.load(Ordering::Relaxed);
        stats
    }
}
