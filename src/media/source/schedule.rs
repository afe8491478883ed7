//! When the next picture of a source is due: a steady beat without drift. PURE: it is told the time.

use std::time::Duration;

/// A beat of so many pictures a second. The `n`th is due `n / fps` after the first, however late the ones
/// before it were.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Pictures in `Schedule::rate.1` seconds.
    rate: (u32, u32),
    start: Option<Duration>,
    next: u64,
}

/// Later than this the missed beats are left out instead of being made up for: the machine slept.
const MAX_BEHIND: Duration = Duration::from_millis(400);

impl Schedule {
    /// `rate.0` pictures in `rate.1` seconds; zeros count as one.
    pub fn new(rate: (u32, u32)) -> Self {
        Self { rate: (rate.0.max(1), rate.1.max(1)), start: None, next: 0 }
    }

    /// How long to wait for the next beat, and its number; the numbers rise by one but where beats were left
    /// out. Each call is one beat.
    pub fn beat(&mut self, now: Duration) -> (Duration, u64) {
        let start = *self.start.get_or_insert(now);
        let behind = now.saturating_sub(start + self.offset(self.next));
        if behind > MAX_BEHIND {
            self.next = self.elapsed_beats(now.saturating_sub(start));
        }
        let beat = self.next;
        self.next += 1;
        ((start + self.offset(beat)).saturating_sub(now), beat)
    }

    fn offset(&self, beat: u64) -> Duration {
        let nanos = u128::from(beat) * 1_000_000_000 * u128::from(self.rate.1) / u128::from(self.rate.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2))
    }

    fn elapsed_beats(&self, elapsed: Duration) -> u64 {
        let beats = elapsed.as_nanos() * u128::from(self.rate.0) / (1_000_000_000 * u128::from(self.rate.1));
        u64::try_from(beats).unwrap_or(u64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_come_without_drift_whatever_the_caller_loses() {
        let mut schedule = Schedule::new((30, 1));
        let mut now = Duration::from_secs(5);
        for n in 0..3000 {
            let (wait, beat) = schedule.beat(now);
            assert_eq!(beat, n);
            now += wait + Duration::from_millis(n % 7);
        }
        let (wait, _) = schedule.beat(now);
        assert_eq!(now + wait, Duration::from_secs(105));
    }

    #[test]
    fn after_a_long_pause_the_missed_beats_are_left_out() {
        let mut schedule = Schedule::new((30_000, 1001));
        schedule.beat(Duration::ZERO);
        let (wait, beat) = schedule.beat(Duration::from_secs(10));
        assert_eq!((wait, beat), (Duration::ZERO, 299));
    }
}
