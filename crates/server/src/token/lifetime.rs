//! How long a token is valid, typed and told.

use std::{str::FromStr, time::Duration};

/// The value of --expires-in. `None`: the token never expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime(pub(crate) Option<Duration>);

/// Seconds. Ten years: a typing error is noticed, and the sum with the time of day doesn't overflow.
const LIFETIME_MAX: u64 = 10 * 366 * DAY;

/// Seconds.
const MINUTE: u64 = 60;
/// Seconds.
const HOUR: u64 = 60 * MINUTE;
/// Seconds.
const DAY: u64 = 24 * HOUR;

impl FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let unit = match &text[digits..] {
            "s" => Some(1),
            "m" => Some(MINUTE),
            "h" => Some(HOUR),
            "d" => Some(DAY),
            _ => None,
        };
        unit.zip(text[..digits].parse::<u64>().ok())
            .and_then(|(unit, count)| count.checked_mul(unit))
            .filter(|seconds| (1..=LIFETIME_MAX).contains(seconds))
            .map(|seconds| Self(Some(Duration::from_secs(seconds))))
            .ok_or_else(|| {
                format!(
                    "{text:?} is not a time; allowed: a number with s, m, h or d, 1s to 3660d, or never"
                )
            })
    }
}

/// Returns a length of time in words: its largest unit, rounded down.
pub(crate) fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (unit_seconds, unit) = match seconds {
        0..MINUTE => (1, "second"),
        MINUTE..HOUR => (MINUTE, "minute"),
        HOUR..DAY => (HOUR, "hour"),
        _ => (DAY, "day"),
    };
    match seconds / unit_seconds {
        1 => format!("1 {unit}"),
        count => format!("{count} {unit}s"),
    }
}

/// Returns a time of day in UTC, `2026-01-01T00:00:00Z`. `None` beyond the year 9999.
pub(crate) fn date(unix_seconds: u64) -> Option<String> {
    let (days, second) = (unix_seconds / DAY, unix_seconds % DAY);
    if days >= DAYS_UNTIL_10000 {
        return None;
    }
    // The years begin on the first of March, so that the day that some years have more is a year's last. There are 97
    // such days in 400 years.
    let day = days + DAYS_BEFORE_1970;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    let (hour, minute, second) = (second / HOUR, second % HOUR / MINUTE, second % MINUTE);
    Some(format!(
        "{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}Z"
    ))
}

/// Days from 1 March of the year 0 to 1970-01-01.
const DAYS_BEFORE_1970: u64 = 719_468;

/// Days from 1970-01-01 to 10000-01-01.
const DAYS_UNTIL_10000: u64 = 2_932_897;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_with_a_unit_or_never() {
        let seconds = |text: &str| text.parse::<Lifetime>().map(|time| time.0);
        assert_eq!(seconds("90s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(seconds("2h"), Ok(Some(Duration::from_secs(7200))));
        assert_eq!(seconds("3660d"), Ok(Some(Duration::from_secs(316_224_000))));
        assert_eq!(seconds("never"), Ok(None));
        for bad in [
            "",
            "5",
            "0s",
            "h",
            "-1h",
            "1.5h",
            "3661d",
            "1w",
            "99999999999999999999d",
            "1é",
        ] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_is_told_by_its_largest_unit() {
        for (seconds, words) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "1 minute"),
            (3599, "59 minutes"),
            (3600, "1 hour"),
            (172_800, "2 days"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }

    // By `date -u -d @N`.
    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(date(seconds).as_deref(), Some(expected));
        }
        assert_eq!(date(253_402_300_800), None);
        assert_eq!(date(u64::MAX), None);
    }
}
