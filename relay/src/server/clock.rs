//! Time as the core sees it: two clocks read by the I/O, and coarse seconds to store.

use std::time::{Duration, Instant};

/// What time it is, on both clocks, as the I/O read them.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For every interval.
    pub monotonic: Instant,
    /// Seconds since 1970, for nonces and time-limited credentials only: this clock may jump.
    pub unix: u64,
}

/// Seconds since the relay started: four bytes instead of sixteen in every permission.
pub(super) type Seconds = u32;

/// Turns instants into [`Seconds`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn new(start: Instant) -> Self {
        Self { start }
    }

    pub(super) fn seconds(self, now: Now) -> Seconds {
        now.monotonic.saturating_duration_since(self.start).as_secs() as Seconds
    }

    pub(super) fn millis(self, now: Now) -> u64 {
        now.monotonic.saturating_duration_since(self.start).as_millis() as u64
    }

    pub(super) fn instant(self, seconds: Seconds) -> Instant {
        self.start + Duration::from_secs(u64::from(seconds))
    }
}
