//! Lengths of time as Go writes them, `1h30m` or `1.5s`.

use std::time::Duration;

/// Reads a length of time. `None`: it is none, or negative.
pub(super) fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut nanoseconds: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = length(rest, |byte| byte.is_ascii_digit());
        let whole: u128 = match &rest[..digits] {
            "" => 0,
            digits => digits.parse().ok()?,
        };
        rest = &rest[digits..];
        let mut fraction = "";
        if let Some(after) = rest.strip_prefix('.') {
            let digits = length(after, |byte| byte.is_ascii_digit());
            (fraction, rest) = after.split_at(digits);
        } else if digits == 0 {
            return None;
        }
        let (unit, after) =
            rest.split_at(length(rest, |byte| !byte.is_ascii_digit() && byte != b'.'));
        rest = after;
        let unit: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        nanoseconds = nanoseconds.checked_add(whole.checked_mul(unit)?)?;
        // Digits beyond the ninth are less than a nanosecond of a second.
        let mut place = unit;
        for digit in fraction.bytes().take(9) {
            place /= 10;
            nanoseconds += u128::from(digit - b'0') * place;
        }
    }
    let nanoseconds = u64::try_from(nanoseconds).ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

fn length(text: &str, belongs: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| belongs(*byte)).count()
}

/// Returns the length of time as our configuration has it, with the greatest unit that gives a whole number. What is less
/// than a millisecond is rounded up.
pub(super) fn ours(time: Duration) -> String {
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    for (unit, length) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if milliseconds > 0 && milliseconds.is_multiple_of(length) {
            return format!("{}{unit}", milliseconds / length);
        }
    }
    match milliseconds {
        0 => "0s".to_owned(),
        _ => format!("{milliseconds}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_go_are_read() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("300s", 300_000),
            ("720h0m0s", 2_592_000_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("1m0.25s", 60_250),
            ("250ms", 250),
        ] {
            assert_eq!(
                parse(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        assert_eq!(parse("3us"), Some(Duration::from_micros(3)));
        for bad in [
            "",
            "s",
            "10",
            "-1s",
            "1d",
            "1h-3m",
            "1..5s",
            "99999999999999h",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_written_with_one_unit() {
        for (milliseconds, text) in [
            (0, "0s"),
            (250, "250ms"),
            (1_500, "1500ms"),
            (25_000, "25s"),
            (60_250, "60250ms"),
            (5_400_000, "90m"),
            (2_592_000_000, "720h"),
        ] {
            assert_eq!(ours(Duration::from_millis(milliseconds)), text);
        }
        assert_eq!(ours(Duration::from_micros(3)), "1ms");
    }
}
