//! How late packets come, and the playout delay that follows from it. Pure integers, microseconds.

use std::collections::VecDeque;
use std::time::Duration;

/// Packets looked back on: 10 s of 20 ms packets.
const WINDOW: usize = 500;
/// The first packets (1 s) are forgotten when there are twice as many: they were late because devices were opened.
const OPENING: usize = 50;
/// The fraction of packets that should be there in time; FEC and invention cover the rest.
const IN_TIME: f64 = 0.98;
/// For the unevenness of the clock that pulls.
const MARGIN: i64 = 10_000;
/// The fraction of packets behind a gap, which restore it, that should be there in time.
const RESTORERS: f64 = 0.9;
/// The fraction of lost packets that there should be time to restore.
const RESTORED: f64 = 0.95;
/// A packet is restored from one that comes a frame later; and a little for the clocks.
const FRAME: i64 = 20_000;
const SLACK: i64 = 4_000;
/// Room is made for restoring bursts of so many frames at the most: for the sake of longer ones nobody wants
/// to wait in a conversation.
const MAX_BURST: usize = 9;
/// Gaps older than this (30 s) are forgotten: to change the delay is heard as well.
const GAPS_FOR: i64 = 1_500 * 960;
/// Gaps looked back on.
const MAX_GAPS: usize = 128;
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
    /// The first are forgotten.
    opened: bool,
    /// The quickest.
    quickest: i64,
    /// What the spread of the arrivals asks for.
    in_time: i64,
    /// By when most packets have come, after the quickest; and all.
    restorers: i64,
    slowest: i64,
    /// Timestamp behind it and length in frames of each gap lately.
    gaps: VecDeque<(i64, usize)>,
    /// How many frames of a gap there shall be time to restore.
    room: usize,
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
        if !self.opened && self.transits.len() == 2 * OPENING {
            self.transits.drain(..OPENING);
            (self.opened, self.next) = (true, OPENING);
        }
        let mut sorted = self.transits.clone();
        sorted.sort_unstable();
        let rank = |fraction: f64| ((sorted.len() - 1) as f64 * fraction).ceil() as usize;
        let slowest = |fraction: f64| sorted.get(rank(fraction)).copied().unwrap_or(transit);
        self.quickest = slowest(0.0);
        self.in_time = slowest(IN_TIME) + MARGIN - self.quickest;
        self.restorers = slowest(RESTORERS) + SLACK - self.quickest;
        self.slowest = slowest(1.0) - self.quickest;
        if self.gaps.front().is_some_and(|(behind, _)| timestamp - behind > GAPS_FOR) {
            self.gaps.pop_front();
            self.make_room();
        }
    }

    /// `samples` before the timestamp `behind` are lost; the packet there restores `reach` samples.
    pub(super) fn lost(&mut self, behind: i64, samples: i64, reach: i64) {
        let frames = |samples: i64| (samples_to_micros(samples) + FRAME / 2) / FRAME;
        if self.gaps.back().is_none_or(|(last, _)| *last != behind) {
            self.gaps.push_back((behind, frames(samples.min(reach)).clamp(0, WINDOW as i64) as usize));
        }
        if self.gaps.len() > MAX_GAPS {
            self.gaps.pop_front();
        }
        self.make_room();
    }

    /// The least room in which most lost frames are restored: of a longer gap, its end.
    fn make_room(&mut self) {
        let lost: usize = self.gaps.iter().map(|(_, frames)| frames).sum();
        let restored = |room: usize| self.gaps.iter().map(|(_, frames)| room.min(*frames)).sum::<usize>();
        let enough = |room: &usize| restored(*room) as f64 >= lost as f64 * RESTORED;
        self.room = (1..=MAX_BURST).find(enough).unwrap_or(MAX_BURST);
    }

    /// The delay that packets which are only late ask for.
    pub(super) fn patience(&self) -> i64 {
        self.in_time.min(MAX_TARGET)
    }

    /// The delay to aim at.
    pub(super) fn target(&self) -> i64 {
        let with_room = self.restorers + self.room.max(1) as i64 * FRAME;
        let room = if self.is_clean() { with_room.min(self.slowest + MARGIN) } else { with_room };
        room.max(self.in_time).min(MAX_TARGET)
    }

    /// Whether nothing was lost for so long that there is little to restore: what nevertheless is lost is
    /// invented, once, and from then on there is room again.
    fn is_clean(&self) -> bool {
        self.gaps.is_empty() && self.transits.len() == WINDOW
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
    fn there_is_room_for_restoring_one_frame_however_even_the_packets_come() {
        let mut window = DelayWindow::default();
        for n in 0..2 * OPENING as i64 - 1 {
            // One quick packet, and from then on all of them 8 ms slower.
            window.arrival(n * 20_000 + if n == 0 { 0 } else { 8_000 }, n * 960);
        }
        assert_eq!(window.target(), 8_000 + SLACK + FRAME);
    }

    #[test]
    fn where_nothing_was_lost_no_room_is_kept_and_all_packets_are_waited_for() {
        let mut window = DelayWindow::default();
        for n in 0..WINDOW as i64 + 150 {
            // One packet in a hundred is later than the margin would cover.
            let late = if n % 100 == 60 { 12_000 } else { 0 };
            window.arrival(n * 20_000 + late, n * 960);
            let known = n >= (OPENING + WINDOW) as i64 - 1;
            assert_eq!(window.target(), if known { 12_000 + MARGIN } else { SLACK + FRAME }, "packet {n}");
        }
        window.lost(700 * 960, 960, 960);
        assert_eq!(window.target(), SLACK + FRAME);
    }

    #[test]
    fn what_was_late_while_devices_were_opened_is_forgotten_soon() {
        let mut window = DelayWindow::default();
        for n in 0..2 * OPENING as i64 {
            window.arrival(n * 20_000 + if n < 15 { 80_000 } else { 0 }, n * 960);
            assert!(window.target() > 80_000 || n < 15 || n == 2 * OPENING as i64 - 1, "packet {n}");
        }
        assert_eq!(window.target(), SLACK + FRAME);
    }

    #[test]
    fn bursts_make_room_for_their_restoration_until_they_are_forgotten() {
        let mut window = DelayWindow::default();
        let arrive = |window: &mut DelayWindow, n: i64| window.arrival(n * 20_000, n * 960);
        arrive(&mut window, 0);
        for (n, frames, reach, room) in [(10, 1, 10, 1), (20, 5, 48_000, 5), (60, 30, 48_000, 9)] {
            arrive(&mut window, n);
            window.lost(n * 960, frames * 960, reach.max(960));
            assert_eq!(window.target(), SLACK + room * FRAME, "{frames} frames");
        }
        (61..1_700).for_each(|n| arrive(&mut window, n));
        assert_eq!(window.target(), MARGIN);
        // A friend whose packets restore nothing further back needs no such room.
        window.lost(1_700 * 960, 5 * 960, 960);
        assert_eq!(window.target(), SLACK + FRAME);
    }
}
