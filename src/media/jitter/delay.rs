//! How late packets come, and the playout delay that follows from it. Pure integers, microseconds.

use std::time::Duration;

/// Packets looked back on: 10 s of 20 ms packets.
const WINDOW: usize = 500;
/// The fraction of packets that should be there in time; FEC and invention cover the rest.
const IN_TIME: f64 = 0.98;
/// For the unevenness of the clock that pulls.
const MARGIN: i64 = 10_000;
/// FEC travels in the next packet, a frame later: for it to be of use, that one must be there already.
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
    /// By how much the slowest of those that should be in time was slower.
    spread: i64,
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
        let rank = ((sorted.len() - 1) as f64 * IN_TIME).ceil() as usize;
        let (faster, slow, _) = sorted.select_nth_unstable(rank);
        self.quickest = faster.iter().copied().min().unwrap_or(*slow);
        self.spread = *slow - self.quickest;
    }

    /// The delay to aim at.
    pub(super) fn target(&self) -> i64 {
        (self.spread + MARGIN).clamp(ROOM_FOR_FEC, MAX_TARGET)
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
            // 1 % stragglers of 300 ms, the others 0 to 40 ms.
            let lateness = if n % 100 == 7 { 300_000 } else { (n * 7919 % 41) * 1000 };
            window.arrival(n * 20_000 + lateness, n * 960);
        }
        assert_eq!(window.target(), 40_000 + MARGIN);
        assert_eq!(window.delay(20_000, 960), 0);
    }
}
