//! How late packets come, and the playout delay that follows from it. Pure integers, microseconds.

use std::time::Duration;

/// Packets looked back on: 10 s of 20 ms packets.
const WINDOW: usize = 500;
/// The fraction of packets that should be there in time; FEC and invention cover the rest.
const IN_TIME: f64 = 0.98;
/// For the unevenness of the clock that pulls.
const MARGIN: i64 = 10_000;
/// The fraction of lost packets whose successor, which carries their FEC, should be there in time.
const FEC_IN_TIME: f64 = 0.9;
/// That successor comes a frame later.
const ROOM_FOR_FEC: i64 = 24_000;
/// Longer delays than this are worse than the gaps they avoid.
const MAX_TARGET: i64 = 500_000;

/// RTP units of Opus (RFC 7587 §4.1: always 48 kHz) to microseconds.
pub(super) fn samples_to_micros(samples: i64) -> i64 {
    samples.saturating_mul(125) / 6
}

/// Microseconds of a clock reading.
pub(super) fn micros(at: Duration) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX / 4)
}

/// The transit times of the last packets: arrival less timestamp. Absolute values mean nothing (two
/// clocks), differences do.
#[derive(Debug, Default)]
pub(super) struct DelayWindow {
    transits: Vec<i64>,
    /// Where the next one goes, once the window is full.
    next: usize,
    /// The quickest.
    quickest: i64,
    target: i64,
}

impl DelayWindow {
    /// A packet came.
    pub(super) fn arrival(&mut self, arrived: i64, timestamp: i64) {
        let transit = arrived - samples_to_micros(timestamp);
        match self.transits.get_mut(self.next) {
            Some(oldest) => *oldest = transit,
            None => self.transits.push(transit),
        }
        self.next = (self.next + 1) % WINDOW;
        let mut sorted = self.transits.clone();
        sorted.sort_unstable();
        let rank = |fraction: f64| ((sorted.len() - 1) as f64 * fraction).ceil() as usize;
        let slowest = |fraction: f64| sorted.get(rank(fraction)).copied().unwrap_or(transit);
        self.quickest = slowest(0.0);
        let with_fec = slowest(FEC_IN_TIME) + ROOM_FOR_FEC;
        self.target = with_fec.max(slowest(IN_TIME) + MARGIN) - self.quickest;
    }

    /// The delay to aim at.
    pub(super) fn target(&self) -> i64 {
        self.target.min(MAX_TARGET)
    }

    /// The delay of a frame if it is played `now`: since when the quickest packet would have brought it.
    pub(super) fn delay(&self, now: i64, timestamp: i64) -> i64 {
        now - samples_to_micros(timestamp) - self.quickest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_the_spread_of_nearly_all_packets_and_the_margin() {
        let mut window = DelayWindow::default();
        for n in 0..500 {
            // 1 % stragglers of 300 ms, 8 % of 40 ms, the others 0 to 5 ms.
            let lateness = match n % 100 {
                7 => 300_000,
                8..16 => 40_000,
                other => other % 6 * 1_000,
            };
            window.arrival(n * 20_000 + lateness, n * 960);
        }
        assert_eq!(window.target(), 40_000 + MARGIN);
        assert_eq!(window.delay(20_000, 960), 0);
        assert_eq!(window.delay(45_000, 960), 25_000);
    }

    #[test]
    fn there_is_room_for_fec_however_even_the_packets_come() {
        let mut window = DelayWindow::default();
        for n in 0..100 {
            // One quick packet, and from then on all of them 8 ms slower.
            window.arrival(n * 20_000 + if n == 0 { 0 } else { 8_000 }, n * 960);
        }
        assert_eq!(window.target(), 8_000 + ROOM_FOR_FEC);
    }
}
