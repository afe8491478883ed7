//! How long packets wait in the path: one-way delay over the least of the last half minute. The two clocks need not
//! agree, only run at about the same speed.

use super::Fate;
use std::collections::VecDeque;
use std::time::Duration;

/// Over so much arrival time the least delay counts: what remains when a picture's packets have passed.
const WINDOW: i64 = 100_000;
/// And over so many packets.
const PACKETS: usize = 6;
/// And no more, whatever times are claimed.
const MOST: usize = 512;
/// The base delay is the least of so many slices of time: long enough for a lull, short enough for a new route and
/// for clocks that drift (200 ppm are 6 ms in 30 s).
const SLICES: usize = 6;
const SLICE: i64 = 5_000_000;

/// Delays in µs; only differences mean anything.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Arrival and delay of the last packets.
    recent: VecDeque<(i64, i64)>,
    /// Beginning and least delay of each slice, the newest last.
    slices: VecDeque<(i64, i64)>,
}

impl Queue {
    pub(super) fn take(&mut self, fate: &Fate) {
        let Some(arrived) = fate.arrived else { return };
        let arrived = micros(arrived);
        let delay = arrived - micros(fate.sent);
        self.recent.push_back((arrived, delay));
        let newest = self.recent.iter().map(|(at, _)| *at).max().unwrap_or(arrived);
        while self.recent.len() > MOST
            || self.recent.len() > PACKETS && self.recent.front().is_some_and(|(at, _)| newest - at > WINDOW)
        {
            self.recent.pop_front();
        }
        match self.slices.back_mut() {
            Some((begun, least)) if newest - *begun < SLICE => *least = (*least).min(delay),
            _ => self.slices.push_back((newest, delay)),
        }
        if self.slices.len() > SLICES {
            self.slices.pop_front();
        }
    }

    /// The least wait of the last moment; `None` before the first packet.
    pub(super) fn standing(&self) -> Option<Duration> {
        let base = self.slices.iter().map(|(_, least)| *least).min()?;
        let now = self.recent.iter().map(|(_, delay)| *delay).min()?;
        Some(Duration::from_micros(u64::try_from(now - base).unwrap_or(0)))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(sent: u64, arrived: u64) -> Fate {
        let ms = Duration::from_millis;
        Fate { sent: ms(sent), arrived: Some(ms(arrived)), size: 100 }
    }

    #[test]
    fn a_burst_is_no_standing_queue_and_clocks_need_not_agree() {
        for zero in [0, 9_000_000] {
            let mut queue = Queue::default();
            for n in 0..100 {
                // Every tenth packet finds the queue empty.
                queue.take(&fate(5_000 + n * 10, zero + 5_020 + n * 10 + n % 10 * 8));
            }
            assert_eq!(queue.standing(), Some(Duration::ZERO));
            for n in 100..140 {
                queue.take(&fate(5_000 + n * 10, zero + 5_120 + n * 10));
            }
            assert_eq!(queue.standing(), Some(Duration::from_millis(100)));
        }
    }

    #[test]
    fn a_longer_way_is_the_new_base_after_a_while() {
        let mut queue = Queue::default();
        for n in 0..4_000 {
            queue.take(&fate(n * 20, n * 20 + if n < 1_000 { 20 } else { 120 }));
        }
        assert_eq!(queue.standing(), Some(Duration::ZERO));
    }

    #[test]
    fn no_times_make_it_panic_or_grow() {
        let mut queue = Queue::default();
        let mut random = 1u64;
        for _ in 0..10_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let arrived = Some(Duration::from_micros(random >> 20));
            queue.take(&Fate { sent: Duration::from_micros(random >> 30), arrived, size: 1 });
        }
        assert!(queue.recent.len() <= MOST + 1 && queue.slices.len() <= SLICES);
        assert!(queue.standing().is_some());
    }
}
