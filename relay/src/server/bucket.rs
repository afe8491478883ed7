//! Token buckets: bits per second of an allocation, rings of a doorbell, replies to strangers.

/// Lets through `rate` tokens a second on average and `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) per_second: u32,
    pub(super) burst: u32,
}

/// The state of one bucket; zero means full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// In thousandths of a token: a millisecond at one token a second, so nothing is lost to rounding.
    spent: u64,
    at_millis: u64,
}

impl Bucket {
    /// Takes `tokens` if they are there.
    pub(super) fn take(&mut self, rate: Rate, millis: u64, tokens: u32) -> bool {
        let elapsed = millis.saturating_sub(self.at_millis);
        self.at_millis = millis;
        self.spent = self.spent.saturating_sub(u64::from(rate.per_second).saturating_mul(elapsed));
        let spent = self.spent + 1000 * u64::from(tokens);
        let admitted = spent <= 1000 * u64::from(rate.burst);
        if admitted {
            self.spent = spent;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate { per_second: 10, burst: 3 };
        let mut bucket = Bucket::default();
        let mut passed = |millis| (0..10).filter(|_| bucket.take(rate, millis, 1)).count();
        assert_eq!(passed(0), 3);
        assert_eq!(passed(99), 0);
        assert_eq!(passed(100), 1);
        assert_eq!(passed(10_000), 3);
    }

    #[test]
    fn the_average_is_kept_however_time_is_cut() {
        let rate = Rate { per_second: 300, burst: 10 };
        let mut bucket = Bucket::default();
        let passed = (0..10_000).filter(|&millis| bucket.take(rate, millis, 1)).count();
        assert!((2700..=3010).contains(&passed), "{passed}");
    }
}
