//! How many bytes a second a terminal may be sent, as a bucket that fills with time; and how dear a byte is
//! when the bucket runs low.

use std::time::Duration;

/// A bucket of bytes. It may hold a quarter of a second's worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    rate: f64,
    depth: f64,
    level: f64,
}

/// How much time's worth of bytes may be saved up.
const DEPTH: Duration = Duration::from_millis(250);

/// A byte of an empty bucket costs two to this power as much as one of a full bucket.
const STEEPNESS: f64 = 7.0;

/// Never less than this in the bucket of even the slowest line: a frame's framing has to fit.
const LEAST: f64 = 1024.0;

impl Budget {
    /// A full bucket that fills with `rate` bytes a second.
    pub(super) fn new(rate: u32) -> Self {
        let depth = (f64::from(rate) * DEPTH.as_secs_f64()).max(LEAST);
        Self { rate: f64::from(rate), depth, level: depth }
    }

    /// Time went by.
    pub(super) fn fill(&mut self, elapsed: Duration) {
        self.level = (self.level + self.rate * elapsed.as_secs_f64()).min(self.depth);
    }

    /// Bytes that may be sent now.
    pub(super) fn left(&self) -> usize {
        self.level.max(0.0) as usize
    }

    /// Bytes a second.
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// Bytes that can be saved up.
    pub(super) fn depth(&self) -> f64 {
        self.depth
    }

    /// Bytes were sent.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.level -= bytes as f64;
    }

    /// What a byte is worth compared with one of a full bucket: 1 and more.
    pub(super) fn dearness(&self) -> f32 {
        let full = (self.level / self.depth).clamp(0.0, 1.0);
        // The upper half of the bucket is for single large frames: it does not make bytes dearer.
        let lacking = (1.0 - 2.0 * full).max(0.0);
        (STEEPNESS * lacking).exp2() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_comes_back_with_time() {
        let mut budget = Budget::new(100_000);
        assert_eq!(budget.left(), 25_000);
        budget.spend(25_000);
        assert_eq!(budget.left(), 0);
        budget.fill(Duration::from_millis(100));
        assert_eq!(budget.left(), 10_000);
        budget.fill(Duration::from_hours(1));
        assert_eq!(budget.left(), 25_000);
    }

    #[test]
    fn bytes_get_dearer_as_the_bucket_empties() {
        let mut budget = Budget::new(100_000);
        assert!((budget.dearness() - 1.0).abs() < 0.01);
        budget.spend(20_000);
        let low = budget.dearness();
        budget.spend(20_000);
        assert!(1.0 < low && low < budget.dearness(), "{low}");
    }
}
