//! Payloads that must be JSON.

use std::fmt;

use bytes::Bytes;
use serde_json::value::RawValue;

/// Checks that `payload` is one JSON value, and returns it as a JSON client can be sent it: without blanks around it
/// and without line ends inside.
///
/// Nothing else changes: order and repetition of keys, digits of numbers and escapes stay. Without a line end inside,
/// the result is a slice of `payload`, not a copy.
///
/// # Errors
///
/// [`NotJson`] if it is empty, isn't valid UTF-8, isn't valid JSON or holds more than one value.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use sockeye_hub::wire::check_json;
///
/// let pretty = Bytes::from_static(b"{\n  \"text\": \"one\\ntwo\"\n}\n");
/// assert_eq!(check_json(pretty)?, r#"{  "text": "one\ntwo"}"#);
/// assert!(check_json(Bytes::from_static(b"{} {}")).is_err());
/// # Ok::<(), sockeye_hub::wire::NotJson>(())
/// ```
pub fn check_json(payload: Bytes) -> Result<Bytes, NotJson> {
    let value: &RawValue = serde_json::from_slice(&payload).map_err(|_| NotJson)?;
    match without_line_ends(value.get()) {
        None => Ok(payload.slice_ref(value.get().as_bytes())),
        Some(text) => Ok(text.into()),
    }
}

/// Returns `json` without line ends, or nothing if there are none. `json` is valid JSON.
///
/// JSON has raw line ends only between tokens, and no two tokens need a blank between them, so the value stays the same.
/// A newline would split a frame of the JSON encoding, a carriage return an event of SSE.
pub(super) fn without_line_ends(json: &str) -> Option<String> {
    memchr::memchr2(b'\n', b'\r', json.as_bytes())?;
    Some(json.split(['\n', '\r']).collect())
}

/// A payload isn't JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson;

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the payload isn't one JSON value")
    }
}

impl std::error::Error for NotJson {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_without_line_ends_is_not_copied() {
        let payload = Bytes::from_static(b" {\"a\": [1, 2]}\n");
        let checked = check_json(payload.clone()).expect("JSON");
        assert_eq!(checked, r#"{"a": [1, 2]}"#);
        assert_eq!(checked.as_ptr(), payload[1..].as_ptr());
    }

    /// HUB 4, scenario 29.
    #[test]
    fn line_ends_between_tokens_are_removed_and_escaped_ones_stay() {
        let payload = Bytes::from_static(b"[\n1,\r\n\"a\\nb\\r\",\n\ntrue\n]");
        assert_eq!(check_json(payload).expect("JSON"), "[1,\"a\\nb\\r\",true]");
    }

    /// HUB 4, scenario 29.
    #[test]
    fn what_a_parser_would_change_is_passed_on() {
        for payload in [
            "\"\u{2028}\u{2029}\"",
            r#"{"a":1,"a":2}"#,
            "123456789012345678901234567890",
            "1e400",
            "-0.10",
            r#""\ud800""#,
            r#""\u0000""#,
            "null",
            "[[[[[[]]]]]]",
        ] {
            assert_eq!(
                check_json(Bytes::copy_from_slice(payload.as_bytes())).expect(payload),
                payload
            );
        }
    }

    #[test]
    fn ten_thousand_levels_are_checked_without_recursion() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        assert_eq!(check_json(Bytes::from(deep.clone())), Ok(Bytes::from(deep)));
    }

    #[test]
    fn what_is_not_one_value_is_refused() {
        for payload in [
            &b""[..],
            b" ",
            b"\n",
            b"nul",
            b"{",
            b"{} {}",
            b"{}\n{}",
            b"1,",
            b"01",
            b"+1",
            b"NaN",
            b"'a'",
            b"\"a\nb\"",
            b"\"\xff\"",
            b"\"\\x\"",
            b"\xef\xbb\xbf{}",
        ] {
            assert_eq!(check_json(Bytes::from_static(payload)), Err(NotJson));
        }
    }
}
