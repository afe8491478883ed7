//! Pictures a second and freezes, from the moments of pictures. PURE.

use std::collections::VecDeque;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// A picture that stands still for longer is a freeze.
const FREEZE: Duration = Duration::from_millis(500);
/// More pictures a second than anybody sends.
const MAX_MOMENTS: usize = 256;

/// Counts pictures in the last second.
#[derive(Debug, Default)]
pub(super) struct Rate(VecDeque<Duration>);

impl Rate {
    pub(super) fn count(&mut self, now: Duration) {
        if self.0.len() >= MAX_MOMENTS {
            self.0.pop_front();
        }
        self.0.push_back(now);
    }

    pub(super) fn per_second(&mut self, now: Duration) -> f32 {
        while self.0.front().is_some_and(|&at| at + SECOND <= now) {
            self.0.pop_front();
        }
        self.0.len() as f32
    }
}

/// Counts the times that a picture stood still for too long, and how long.
#[derive(Debug, Default)]
pub(super) struct Freezes {
    last: Option<Duration>,
    /// No picture is expected; what still comes was on its way.
    paused: bool,
    count: u32,
    total: Duration,
}

impl Freezes {
    /// A picture was shown.
    pub(super) fn shown(&mut self, now: Duration) {
        (self.count, self.total) = self.until(now);
        self.last = (!self.paused).then_some(now);
    }

    /// Pictures are expected from now on, or none: then standing still is no freeze.
    pub(super) fn expect(&mut self, now: Duration, pictures: bool) {
        (self.count, self.total) = self.until(now);
        (self.paused, self.last) = (!pictures, None);
    }

    /// How many so far, and how long in all, the one that lasts included.
    pub(super) fn until(&self, now: Duration) -> (u32, Duration) {
        if self.lasts(now) {
            (self.count + 1, self.total + self.still(now))
        } else {
            (self.count, self.total)
        }
    }

    /// Whether one lasts.
    pub(super) fn lasts(&self, now: Duration) -> bool {
        self.still(now) > FREEZE
    }

    fn still(&self, now: Duration) -> Duration {
        self.last.map_or(Duration::ZERO, |last| now.saturating_sub(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_rate_is_that_of_the_last_second() {
        let mut rate = Rate::default();
        (0..60).for_each(|n| rate.count(ms(n * 40)));
        assert!((rate.per_second(ms(60 * 40)) - 25.0).abs() < 1.1);
        assert!(rate.per_second(ms(10_000)).abs() < 0.1);
    }

    #[test]
    fn freezes_are_counted_while_they_last_but_not_when_the_camera_is_off() {
        let mut freezes = Freezes::default();
        assert_eq!(freezes.until(ms(9_000)), (0, ms(0)));
        freezes.shown(ms(10_000));
        assert_eq!(freezes.until(ms(10_400)), (0, ms(0)));
        assert_eq!(freezes.until(ms(10_700)), (1, ms(700)));
        assert!(freezes.lasts(ms(10_700)) && !freezes.lasts(ms(10_400)));
        freezes.shown(ms(10_800));
        assert_eq!(freezes.until(ms(10_900)), (1, ms(800)));
        freezes.expect(ms(11_000), false);
        freezes.shown(ms(11_050));
        assert_eq!(freezes.until(ms(19_000)), (1, ms(800)), "the last one was on its way");
        freezes.expect(ms(19_500), true);
        freezes.shown(ms(20_000));
        assert_eq!(freezes.until(ms(20_100)), (1, ms(800)));
    }
}
