//! When an offer ends, in 16 bits: unix minutes modulo 65,536, some 45 days.
//!
//! Knows no clock: whoever asks says what time it is. Never a reason to refuse a code, for the clock that is wrong
//! may be the reader's; the offerer decides.

/// The minute in which an offer ends, modulo 65,536.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Expiry(u16);

impl Expiry {
    /// The first full minute that is not before `unix_seconds`.
    pub fn at(unix_seconds: u64) -> Self {
        Self((unix_seconds.div_ceil(60) % 65_536) as u16)
    }

    /// As it stands in an offer.
    pub fn to_bits(self) -> u16 {
        self.0
    }

    /// As it stood in an offer.
    pub fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Seconds until then, negative when it has passed. Of the moments that the 16 bits can mean, the one nearest
    /// to now is taken: right for every code that is less than 22 days away.
    pub fn seconds_left(self, now_unix_seconds: u64) -> i64 {
        let now_minute = (now_unix_seconds / 60 % 65_536) as u16;
        let minutes = i64::from(self.0.wrapping_sub(now_minute).cast_signed());
        minutes * 60 - (now_unix_seconds % 60) as i64
    }

    /// Whether it has passed, by that clock.
    pub fn has_passed(self, now_unix_seconds: u64) -> bool {
        self.seconds_left(now_unix_seconds) < 0
    }

    /// For a code that has expired by that clock: what to say about it, to follow "this code".
    pub fn remark(self, now_unix_seconds: u64) -> Option<String> {
        let left = self.seconds_left(now_unix_seconds);
        (left < 0)
            .then(|| format!("seems to have expired {} ago, or a clock is wrong", span(left.unsigned_abs())))
    }

    /// For a code that by that clock is yet to be made, its life being `lifetime` seconds: what to say about it, to
    /// follow "this code".
    pub fn early_remark(self, now_unix_seconds: u64, lifetime: u64) -> Option<String> {
        let early = self.seconds_left(now_unix_seconds) - lifetime as i64;
        (early > EARLY).then(|| {
            format!(
                "seems to come from {} ahead of the time here: a clock is wrong",
                span(early.unsigned_abs())
            )
        })
    }
}

/// Made now or a little later, as far as whole minutes and two good clocks tell.
const EARLY: i64 = 120;

/// A span of time as a person says it: the largest unit of which there are two, rounded down.
pub fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T20:00:00Z
    const NOW: u64 = 1_795_377_600;

    #[test]
    fn a_code_from_the_future_is_remarked_upon_and_a_fresh_one_is_not() {
        for ahead in 0..60 {
            assert_eq!(Expiry::at(NOW + ahead + 900).early_remark(NOW, 900), None);
        }
        let remark = Expiry::at(NOW + 3 * 3_600 + 900).early_remark(NOW, 900).unwrap();
        assert_eq!(remark, "seems to come from 3 hours ahead of the time here: a clock is wrong");
    }

    #[test]
    fn an_offer_lives_its_fifteen_minutes_whatever_the_second() {
        for second in 0..60 {
            let left = Expiry::at(NOW + second + 900).seconds_left(NOW + second);
            assert!((900..960).contains(&left), "{left}");
        }
    }

    #[test]
    fn a_clock_three_hours_off_either_way_is_said_and_no_more() {
        let expiry = Expiry::at(NOW);
        assert_eq!(
            expiry.remark(NOW + 3 * 3600).unwrap(),
            "seems to have expired 3 hours ago, or a clock is wrong"
        );
        assert_eq!(expiry.remark(NOW - 3 * 3600), None);
        assert_eq!(expiry.seconds_left(NOW - 3 * 3600), 3 * 3600);
    }

    #[test]
    fn the_wrap_of_the_minutes_is_not_seen() {
        let wrap = 65_536 * 60 * 500;
        for (now, at) in [(wrap - 30, wrap + 300), (wrap, wrap + 300), (wrap + 600, wrap + 300)] {
            assert_eq!(Expiry::at(at).seconds_left(now), at as i64 - now as i64);
        }
    }

    #[test]
    fn spans_are_said_in_words() {
        for (seconds, words) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (240, "4 minutes"),
            (7200, "2 hours"),
            (1 << 20, "12 days"),
        ] {
            assert_eq!(span(seconds), words);
        }
    }
}
