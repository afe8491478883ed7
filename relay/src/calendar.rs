//! Dates from seconds since 1970, in UTC. Pure.

/// Year, month and day (Gregorian, proleptic).
fn date(unix: u64) -> (u64, u64, u64) {
    // Days counted from 1 March of year 0, so that the leap day is a year's last.
    let days = unix / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// `2026-11`
pub(crate) fn month(unix: u64) -> String {
    let (year, month, _) = date(unix);
    format!("{year:04}-{month:02}")
}

/// `2026-11-22T21:00:00Z`
pub(crate) fn timestamp(unix: u64) -> String {
    let (year, month, day) = date(unix);
    let (hour, minute, second) = (unix / 3600 % 24, unix / 60 % 60, unix % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        for (unix, expect) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(unix), expect);
            assert_eq!(month(unix), expect[..7]);
        }
    }
}
