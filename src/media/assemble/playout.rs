//! When a picture is to be shown: its RTP time plus a delay just long enough to hide the jitter seen lately.
//! PURE; knows nothing of pictures.

use crate::media::frame::VIDEO_CLOCK;
use std::collections::VecDeque;
use std::time::Duration;

/// The fastest way through the network is looked for over this long: long enough to see it again and again,
/// short enough to follow the drift of the two clocks.
const WINDOW: Duration = Duration::from_secs(10);
/// The longest delay for smoothness' sake.
const MAX_DELAY: f64 = 0.120;
/// The estimate of the jitter goes up by a quarter of what is missing, and down by a 64th of what is too much.
const RISE: f64 = 0.25;
const FALL: f64 = 1.0 / 64.0;
/// A transit time that jumps by more is another clock (the sender started anew), not jitter.
const MAX_JUMP: f64 = 3.0;

/// Tells arrivals' playout times.
#[derive(Debug, Default)]
pub struct Playout {
    /// Arrival and transit time (arrival less RTP time, seconds) of those that were the fastest since.
    fastest: VecDeque<(Duration, f64)>,
    jitter: f64,
    last: Duration,
}

impl Playout {
    /// With no arrivals seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// When the picture of this RTP timestamp (unwrapped, 90 kHz) that arrived just then is to be shown. Never
    /// before it arrived, and never before the one before it.
    pub fn arrival(&mut self, timestamp: u64, arrived: Duration) -> Duration {
        let rtp = timestamp as f64 / f64::from(VIDEO_CLOCK);
        let transit = arrived.as_secs_f64() - rtp;
        if self.fastest.front().is_some_and(|&(_, fastest)| (transit - fastest).abs() > MAX_JUMP) {
            *self = Self { last: self.last, ..Self::default() };
        }
        while self.fastest.back().is_some_and(|&(_, slower)| slower >= transit) {
            self.fastest.pop_back();
        }
        self.fastest.push_back((arrived, transit));
        while self.fastest.len() > 1 && self.fastest.front().is_some_and(|&(at, _)| at + WINDOW < arrived) {
            self.fastest.pop_front();
        }
        let fastest = self.fastest.front().map_or(transit, |&(_, fastest)| fastest);
        let late = transit - fastest;
        self.jitter += (late - self.jitter) * if late > self.jitter { RISE } else { FALL };
        let due = Duration::try_from_secs_f64(rtp + fastest + self.delay().as_secs_f64()).unwrap_or(arrived);
        self.last = due.clamp(arrived, arrived + Duration::from_secs_f64(MAX_DELAY)).max(self.last);
        self.last
    }

    /// How much later than on the fastest way pictures are shown.
    pub fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.jitter.clamp(0.0, MAX_DELAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows 30 pictures a second whose `n`th takes `transit(n)` milliseconds; the delays and the intervals.
    fn show(count: u64, transit: impl Fn(u64) -> u64) -> (Vec<u64>, Vec<u64>) {
        let mut playout = Playout::new();
        let shown: Vec<Duration> = (0..count)
            .map(|n| {
                let sent = Duration::from_micros(n * 1_000_000 / 30);
                playout.arrival((1 << 32) + n * 3000, sent + Duration::from_millis(50 + transit(n)))
            })
            .collect();
        let delays = shown.iter().zip(0..).map(|(at, n)| {
            at.saturating_sub(Duration::from_micros(n * 1_000_000 / 30)).as_millis() as u64 - 50
        });
        let intervals = shown.windows(2).map(|pair| pair[1].saturating_sub(pair[0]).as_millis() as u64);
        (delays.collect(), intervals.collect())
    }

    #[test]
    fn a_steady_network_costs_no_delay() {
        let (delays, _) = show(100, |_| 0);
        assert!(delays.iter().all(|&delay| delay <= 1), "{delays:?}");
    }

    #[test]
    fn jitter_is_hidden_after_a_while_by_a_delay_of_its_size() {
        let (delays, intervals) = show(300, |n| n * 7 % 20);
        assert!(delays[100..].iter().all(|&delay| delay <= 20), "{delays:?}");
        assert!(intervals[100..].iter().all(|&interval| (25..=42).contains(&interval)), "{intervals:?}");
    }

    #[test]
    fn a_sender_that_starts_anew_is_followed_at_once() {
        let mut playout = Playout::new();
        playout.arrival(1 << 40, Duration::from_secs(1));
        let arrived = Duration::from_secs(2);
        assert_eq!(playout.arrival(1 << 32, arrived), arrived);
        assert!(playout.arrival(u64::MAX, Duration::from_secs(3)) <= Duration::from_secs(4));
    }

    #[test]
    fn order_is_kept_when_one_is_late() {
        let (delays, intervals) = show(60, |n| if n == 30 { 100 } else { 0 });
        assert!(delays.iter().all(|&delay| delay <= 120));
        assert!(intervals.iter().all(|&interval| interval < 150));
    }
}
