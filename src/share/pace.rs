//! PURE: how much of a file may be on its way, so that the call beside it does not suffer. In the manner of LEDBAT
//! (RFC 6817): the time that bytes take until they are acknowledged is compared with the shortest time of late; what
//! it is longer is a queue that this file has built, or that somebody else needs, and the file makes room.

use std::collections::VecDeque;
use std::time::Duration;

/// The queue that is let be: LEDBAT's 100 ms would be heard in a call.
const TARGET: Duration = Duration::from_millis(40);
/// The least that may be on its way, bytes: two packets.
const LEAST: u64 = 2 * 1_024;
/// The most, bytes: what the other end may have to hold.
pub const MOST: u64 = 1024 * 1024;
/// What a new transfer begins with, bytes.
const START: u64 = 16 * 1024;
/// How long the shortest time counts: a path that became longer is not taken for a queue for ever.
const MEMORY: Duration = Duration::from_secs(20);

/// The window of one transfer.
#[derive(Debug)]
pub struct Pace {
    window: u64,
    /// Ends of pieces on their way, and when they left.
    flying: VecDeque<(u64, Duration)>,
    sent: u64,
    acknowledged: u64,
    /// The shortest time of this spell and of the one before.
    shortest: [Option<Duration>; 2],
    spell: Duration,
    /// The shortest time of what was on its way when `turn` left, and of the window before that: a
    /// packet that is sent again holds up all behind it, but not those before it; a queue holds up all.
    windows: [Option<Duration>; 2],
    turn: u64,
    /// There was a queue already.
    cut: bool,
}

impl Pace {
    /// Of a transfer that goes on at `from` bytes, at `now`.
    pub fn new(now: Duration, from: u64) -> Self {
        let (flying, shortest) = (VecDeque::new(), [None; 2]);
        Self {
            window: START,
            flying,
            sent: from,
            acknowledged: from,
            shortest,
            spell: now,
            windows: [None; 2],
            turn: from,
            cut: false,
        }
    }

    /// How many bytes may be sent now, in one piece of at most `most`; zero: wait for an acknowledgement.
    pub fn room(&self, most: usize) -> usize {
        let free = (self.acknowledged + self.window).saturating_sub(self.sent);
        // Pieces small enough that several fit into the window: one is a packet, or a few.
        let piece = (self.window / 4).clamp(LEAST / 2, most as u64);
        if free < piece { 0 } else { piece as usize }
    }

    /// So many bytes left at `now`.
    pub fn sent(&mut self, now: Duration, bytes: u64) {
        self.sent += bytes;
        self.flying.push_back((self.sent, now));
    }

    /// The other end has everything up to `total` at `now`.
    pub fn acknowledged(&mut self, now: Duration, total: u64) {
        if total <= self.acknowledged || total > self.sent {
            return;
        }
        let news = total - self.acknowledged;
        self.acknowledged = total;
        let mut left = None;
        while let Some((end, at)) = self.flying.front().copied().filter(|(end, _)| *end <= total) {
            left = Some((end, at));
            self.flying.pop_front();
        }
        if let Some((_, at)) = left {
            self.measured(now, now.saturating_sub(at), news);
        }
    }

    fn measured(&mut self, now: Duration, taken: Duration, news: u64) {
        if now > self.spell + MEMORY / 2 {
            self.shortest = [None, self.shortest[0]];
            self.spell = now;
        }
        self.shortest[0] = Some(self.shortest[0].map_or(taken, |shortest| shortest.min(taken)));
        let base = self.shortest.iter().flatten().min().copied().unwrap_or(taken);
        let [this, ..] = &mut self.windows;
        *this = Some(this.map_or(taken, |shortest| shortest.min(taken)));
        let recent = self.windows.iter().flatten().min().copied().unwrap_or(taken);
        let queue = recent.saturating_sub(base);
        if queue <= TARGET {
            // Twice as much a round trip at first, later an eighth more; slower near to the target.
            let share = 1.0 - queue.as_secs_f64() / TARGET.as_secs_f64();
            let news = if self.cut { news as f64 / 8.0 } else { news as f64 };
            self.window = (self.window + (news * share) as u64).min(MOST);
        }
        if self.acknowledged >= self.turn {
            if queue > TARGET {
                // As much less as the queue is too long, but at the most half.
                let keep = ((base + TARGET).as_secs_f64() / recent.as_secs_f64()).clamp(0.5, 0.9);
                self.window = ((self.window as f64 * keep) as u64).max(LEAST);
                self.cut = true;
            }
            self.windows = [None, self.windows[0]];
            self.turn = self.sent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link of `rate` bytes a second and 40 ms, with a queue of its own; gives the longest queue of the second half
    /// and the share of the link that was used in it.
    fn over(rate: f64, seconds: u64) -> (Duration, f64) {
        let half = Duration::from_secs(seconds / 2);
        let mut pace = Pace::new(Duration::ZERO, 0);
        let (mut sent, mut free_at, mut arrived_late) = (0_u64, Duration::ZERO, 0_u64);
        let mut arrivals: VecDeque<(Duration, u64)> = VecDeque::new();
        let mut longest = Duration::ZERO;
        for millis in 0..seconds * 1_000 {
            let now = Duration::from_millis(millis);
            while let Some((_, total)) = arrivals.front().copied().filter(|(at, _)| *at <= now) {
                arrivals.pop_front();
                pace.acknowledged(now, total);
                arrived_late += u64::from(now > half);
            }
            loop {
                let piece = pace.room(16 * 1024) as u64;
                if piece == 0 {
                    break;
                }
                sent += piece;
                pace.sent(now, piece);
                free_at = free_at.max(now) + Duration::from_secs_f64(piece as f64 / rate);
                if now > half {
                    longest = longest.max(free_at.saturating_sub(now));
                }
                arrivals.push_back((free_at + Duration::from_millis(40), sent));
            }
        }
        assert!(arrived_late > 0);
        (longest, sent as f64 / (rate * seconds as f64))
    }

    #[test]
    fn a_link_of_any_rate_is_used_and_its_queue_stays_short() {
        for kilobits in [100.0, 1_000.0, 10_000.0, 100_000.0] {
            let (queue, used) = over(kilobits * 125.0, 20);
            // On the slowest two packets alone are a queue of 160 ms.
            let allowed = Duration::from_millis(90) + Duration::from_secs_f64(2_048.0 / (kilobits * 125.0));
            assert!(queue < allowed, "{kilobits} kbit/s: a queue of {queue:?}");
            assert!(used > 0.75, "{kilobits} kbit/s: {used} used");
        }
    }

    #[test]
    fn what_was_never_sent_is_not_acknowledged() {
        let mut pace = Pace::new(Duration::ZERO, 100);
        pace.acknowledged(Duration::ZERO, 5_000);
        pace.acknowledged(Duration::ZERO, 50);
        assert_eq!((pace.acknowledged, pace.window), (100, START));
    }

    /// A link of 10 MB/s that loses a packet in fifty; what comes behind a lost one is kept until that has come again:
    /// after a round trip if three follow it, else after 150 ms.
    fn lossy(round_trip: Duration) -> f64 {
        let mut pace = Pace::new(Duration::ZERO, 0);
        let (mut sent, mut packets, mut free_at, mut held) = (0_u64, 0_u64, Duration::ZERO, Duration::ZERO);
        let mut arrivals: VecDeque<(Duration, u64)> = VecDeque::new();
        let mut now = Duration::ZERO;
        while now < Duration::from_secs(20) {
            now += Duration::from_micros(100);
            while let Some((_, total)) = arrivals.front().copied().filter(|(at, _)| *at <= now) {
                arrivals.pop_front();
                pace.acknowledged(now, total);
            }
            loop {
                let piece = pace.room(16 * 1024) as u64;
                if piece == 0 {
                    break;
                }
                let behind = pace.room(usize::MAX / 2);
                sent += piece;
                pace.sent(now, piece);
                free_at = free_at.max(now) + Duration::from_secs_f64(piece as f64 / 10e6);
                for _ in 0..piece.div_ceil(1_100) {
                    packets += 1;
                    if packets.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56 < 5 {
                        let again = if behind > 4_000 { round_trip } else { Duration::from_millis(150) };
                        held = held.max(free_at + again);
                    }
                }
                arrivals.push_back(((free_at + round_trip).max(held), sent));
            }
        }
        sent as f64 / 200e6
    }

    #[test]
    fn lost_packets_are_not_taken_for_a_queue() {
        for (round_trip, least) in [(1, 0.2), (40, 0.2)] {
            let used = lossy(Duration::from_millis(round_trip));
            assert!(used > least, "{round_trip} ms: {used} of the link used");
        }
    }

    #[test]
    fn a_packet_that_is_sent_again_after_a_second_is_no_queue() {
        let mut pace = Pace::new(Duration::ZERO, 0);
        let (mut now, mut total) = (Duration::ZERO, 0);
        for nth in 0..200 {
            pace.sent(now, 1_000);
            total += 1_000;
            now += if nth % 4 == 3 { Duration::from_secs(1) } else { Duration::from_millis(1) };
            pace.acknowledged(now, total);
        }
        assert!(pace.window > 4 * START, "{}", pace.window);
    }
}
