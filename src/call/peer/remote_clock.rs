//! When the remote end captured what it sent, on our clock. Pure: told what its sender reports say, and when they
//! came.
//!
//! ```text
//! its clock  ----*---------------- NTP time of a report, which names an RTP timestamp of that moment
//!                 \ way here
//! our clock  ------*-------------- arrival          offset = arrival - NTP time - way here
//! ```
//! RFC 3550 §6.4.1. The way here is taken for half of the round trip: where the two ways differ, the times are
//! wrong by half of the difference, so by half of the round trip at the worst. What waits in a queue on its way
//! says too much of the way; so of the last reports the one that came soonest counts, and the least round trip.

use std::collections::VecDeque;
use std::time::Duration;

/// Reports looked back on. They come once a second; two crystals 100 ppm apart differ by 2 ms in that time.
const REPORTS: usize = 20;
/// Seconds by which an offset may jump; beyond, the remote end's clock was set.
const JUMP: f64 = 1.0;

/// What the reports of one stream tell.
#[derive(Debug, Clone)]
pub(super) struct RemoteClock {
    /// RTP units a second.
    rate: f64,
    /// NTP time (seconds) and RTP timestamp of the last report.
    last: Option<(f64, u32)>,
    /// Arrival less NTP time, seconds, of each report; and the round trip known then.
    offsets: VecDeque<f64>,
    round_trips: VecDeque<f64>,
}

impl RemoteClock {
    /// Of a stream whose timestamps count `rate` a second.
    pub(super) fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate), last: None, offsets: VecDeque::new(), round_trips: VecDeque::new() }
    }

    /// A sender report came. `ntp`: RFC 3550 §4, seconds in 32 bits and their fraction in 32 more.
    pub(super) fn reported(&mut self, ntp: u64, timestamp: u32, arrived: Duration) {
        let ntp = ntp as f64 / 2f64.powi(32);
        let offset = arrived.as_secs_f64() - ntp;
        if self.offsets.back().is_some_and(|last| (offset - last).abs() > JUMP) {
            self.offsets.clear();
        }
        self.last = Some((ntp, timestamp));
        push(&mut self.offsets, offset);
    }

    /// A round trip was measured.
    pub(super) fn round_trip(&mut self, round_trip: Duration) {
        push(&mut self.round_trips, round_trip.as_secs_f64());
    }

    /// How long before `at`, on our clock, the remote end captured what this timestamp names; `None` before the
    /// first report. Not below zero: so near the clocks cannot be told.
    pub(super) fn age(&self, timestamp: u32, at: Duration) -> Option<Duration> {
        let (ntp, known) = self.last?;
        let offset = least(&self.offsets)? - least(&self.round_trips).unwrap_or_default() / 2.0;
        let since = f64::from(timestamp.wrapping_sub(known) as i32) / self.rate;
        let age = at.as_secs_f64() - (ntp + since + offset);
        Some(Duration::try_from_secs_f64(age).unwrap_or_default())
    }
}

fn push(values: &mut VecDeque<f64>, value: f64) {
    values.push_back(value);
    if values.len() > REPORTS {
        values.pop_front();
    }
}

fn least(values: &VecDeque<f64>) -> Option<f64> {
    values.iter().copied().min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 January 2026, as NTP counts.
    const ERA: f64 = 3_976_214_400.0;
    const START: u32 = u32::MAX - 40_000;

    fn ntp(seconds: f64) -> u64 {
        ((ERA + seconds) * 2f64.powi(32)) as u64
    }

    /// A sender whose clock is five minutes off, `way` milliseconds away and `back` the other way.
    fn after_reports(way: &[u64], back: u64) -> RemoteClock {
        let mut clock = RemoteClock::new(48_000);
        for (n, way) in way.iter().enumerate() {
            let sent = n as f64;
            let timestamp = START.wrapping_add(n as u32 * 48_000);
            clock.reported(ntp(sent + 300.0), timestamp, Duration::from_secs_f64(sent) + ms(*way));
            clock.round_trip(ms(way + back));
        }
        clock
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn near(is: Option<Duration>, should: u64) {
        let is = is.unwrap();
        assert!(is.abs_diff(ms(should)) < Duration::from_micros(200), "{is:?}, not {should} ms");
    }

    #[test]
    fn without_a_report_nothing_is_known() {
        assert_eq!(RemoteClock::new(90_000).age(5, ms(5)), None);
    }

    #[test]
    fn the_age_is_that_of_the_capture_however_the_clocks_stand_and_timestamps_wrap() {
        let clock = after_reports(&[20, 20, 20], 20);
        for (captured, played) in [(500, 600), (2_000, 2_090), (2_500, 2_580), (700, 900)] {
            let timestamp = START.wrapping_add(captured as u32 * 48);
            near(clock.age(timestamp, ms(played)), played - captured);
        }
        // Heard before it was spoken: the clocks cannot be told so well.
        assert_eq!(clock.age(START.wrapping_add(96_000), ms(1_990)), Some(Duration::ZERO));
    }

    #[test]
    fn a_queue_on_the_way_changes_nothing_for_a_while() {
        let clock = after_reports(&[20, 20, 170, 60, 90], 20);
        near(clock.age(START.wrapping_add(48_000), ms(1_100)), 100);
    }

    #[test]
    fn ways_that_differ_are_taken_for_their_mean() {
        let clock = after_reports(&[50, 50], 10);
        // 100 ms in truth; off by half of the 40 ms between the two ways.
        near(clock.age(START.wrapping_add(48_000), ms(1_100)), 80);
    }

    #[test]
    fn a_clock_that_is_set_is_followed() {
        let mut clock = after_reports(&[20; 5], 20);
        for n in 5..8u32 {
            let timestamp = START.wrapping_add(n * 48_000);
            clock.reported(ntp(f64::from(n)), timestamp, Duration::from_secs(n.into()) + ms(20));
        }
        near(clock.age(START.wrapping_add(7 * 48_000), ms(7_100)), 100);
    }

    #[test]
    fn nothing_that_is_said_makes_it_panic() {
        let mut clock = RemoteClock::new(48_000);
        for ntp in [0, u64::MAX, 1 << 63] {
            clock.reported(ntp, u32::MAX, Duration::MAX / 2);
            clock.round_trip(Duration::MAX);
            assert!(clock.age(0, Duration::ZERO).is_some());
        }
    }
}
