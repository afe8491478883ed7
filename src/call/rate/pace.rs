//! When a picture's packets leave: spread, so that sound does not wait behind them at the path's narrow place.

use std::time::Duration;

/// A wide path takes a picture faster than its share of the rate, so that it is no later than it must be; on a narrow
/// one each packet that comes too early makes the next sound late. Rates in bit/s and the factors there, linear between.
const NARROW: (f64, f64) = (100_000.0, 1.25);
const WIDE: (f64, f64) = (500_000.0, 2.5);

/// So long pictures may leave faster, s, and again as the rate makes up for it: a key frame, and what has to wait for
/// it, would fill the narrow place's queue.
const QUICK: f64 = 0.04;
/// A codec keeps to its rate only on the whole: so much more leaves for as long as it must.
const STEADY: f64 = 1.05;
/// bit/s.
const SLOWEST: u32 = 8_000;

/// The pace of one end's pictures.
#[derive(Debug, Default, Clone, Copy)]
pub struct Pace {
    clear: Duration,
    /// Bits that left sooner than the rate has them, and by when.
    ahead: f64,
    counted: Duration,
}

impl Pace {
    /// Takes a picture of so many bytes on the wire, aimed at `rate` bit/s: when it begins to leave and when it is out.
    pub fn put(&mut self, now: Duration, bytes: usize, rate: u32) -> (Duration, Duration) {
        let begin = self.clear.max(now);
        let (rate, speed, bits) = (f64::from(rate.max(SLOWEST)) * STEADY, speed(rate), bytes as f64 * 8.0);
        let made_up = rate * begin.saturating_sub(self.counted).as_secs_f64();
        let ahead = (self.ahead - made_up).max(0.0);
        let gain = 1.0 - rate / speed;
        let quick = bits.min(speed * QUICK - ahead / gain).max(0.0);
        self.clear = begin + Duration::from_secs_f64(quick / speed + (bits - quick) / rate);
        (self.ahead, self.counted) = (ahead + quick * gain, self.clear);
        (begin, self.clear)
    }

    /// When all is out that was put.
    pub fn clear(&self) -> Duration {
        self.clear
    }
}

/// Of the rate, so much may go into retransmissions: on a path that loses because it is full, each makes the next
/// loss. What is not repeated is asked for as a key frame.
const REPEATED: f64 = 0.3;
/// What was not used is kept for so long.
const KEPT: Duration = Duration::from_millis(500);

/// The place that retransmissions have.
#[derive(Debug, Default, Clone, Copy)]
pub struct Repairs {
    room: f64,
    last: Option<Duration>,
}

impl Repairs {
    /// Whether one of so many bytes has a place at a rate of `rate` bit/s; then it is taken.
    pub fn take(&mut self, now: Duration, bytes: u32, rate: u32) -> bool {
        let bytes_a_second = f64::from(rate) * REPEATED / 8.0;
        let passed = self.last.map_or(KEPT, |last| now.saturating_sub(last));
        self.last = Some(now);
        let most = bytes_a_second * KEPT.as_secs_f64();
        self.room = (self.room + bytes_a_second * passed.as_secs_f64()).min(most);
        let taken = self.room > 0.0;
        if taken {
            self.room -= f64::from(bytes);
        }
        taken
    }
}

fn speed(rate: u32) -> f64 {
    let rate = f64::from(rate.max(SLOWEST));
    let part = ((rate - NARROW.0) / (WIDE.0 - NARROW.0)).clamp(0.0, 1.0);
    rate * (NARROW.1 + part * (WIDE.1 - NARROW.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_picture_begins_when_the_last_one_is_out() {
        let mut pace = Pace::default();
        // 400 bytes at 64 kbit/s, a quarter faster; the next ones that no longer.
        assert_eq!(pace.put(ms(0), 400, 64_000), (ms(0), ms(40)));
        assert_eq!(pace.put(ms(20), 420, 64_000), (ms(40), ms(90)));
        assert_eq!(pace.clear(), ms(90));
        // A wide path takes it faster.
        assert_eq!(pace.put(ms(500), 1_000, 800_000), (ms(500), ms(504)));
        // But not a key frame as a whole: 10,000 bytes in 40 ms, more than as many in 100.
        assert_eq!(pace.put(ms(600), 20_500, 800_000), (ms(600), ms(740)));
    }

    #[test]
    fn what_waits_for_a_key_frame_leaves_at_the_rate() {
        let mut pace = Pace::default();
        // Half a second's bytes at once, then 30 pictures a second of what the rate allows.
        pace.put(ms(0), 100_000, 1_600_000);
        let mut clear = pace.clear();
        for n in 1..12 {
            let (begin, end) = pace.put(ms(n * 1_000 / 30), 6_667, 1_600_000);
            assert_eq!(begin, clear);
            let took = end.saturating_sub(begin).as_secs_f64();
            assert!(took > 0.0317, "{n}: {took}");
            clear = end;
        }
        // After a pause they are quick again.
        let (begin, end) = pace.put(ms(2_000), 6_667, 1_600_000);
        assert!(end.saturating_sub(begin) < ms(14));
    }

    #[test]
    fn retransmissions_have_a_part_of_the_rate() {
        let mut repairs = Repairs::default();
        let mut bytes = 0;
        for n in 0..10_000 {
            bytes += if repairs.take(ms(n), 1_000, 400_000) { 1_000 } else { 0 };
        }
        // Three tenths of 400 kbit/s in 10 s, and what was kept.
        assert!((140_000..170_000).contains(&bytes), "{bytes}");
        assert!(Repairs::default().take(ms(0), 1_000, 26_000), "one always has a place");
    }
}
