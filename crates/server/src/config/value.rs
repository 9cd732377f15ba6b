//! The types of configuration values: syntax and limits.

use std::{fmt, str::FromStr, time::Duration};

use super::shape::Shape;

/// A size in bytes: `1048576`, `512KiB`, `16 MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) usize);

/// Bytes. No option needs more, and the sum of a few still fits 32 bits.
const SIZE_MAX: usize = 1 << 30;

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match parse_bytes(text) {
            Some(bytes) if (1..=SIZE_MAX).contains(&bytes) => Ok(Self(bytes)),
            _ => Err(Shape::Size.refuse(text)),
        }
    }
}

/// A number with a unit, or bytes.
pub(super) fn parse_bytes(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit: usize = match text[digits..].trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<usize>().ok()?.checked_mul(unit)
}

/// The limit of memory that clients can use: `auto`, or a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemoryMax {
    Auto,
    Bytes(usize),
}

impl FromStr for MemoryMax {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || Shape::Memory.refuse(text);
        if text == "auto" {
            return Ok(Self::Auto);
        }
        match parse_bytes(text).ok_or_else(refuse)? {
            bytes if (MEMORY_MIN..=MEMORY_MAX).contains(&bytes) => Ok(Self::Bytes(bytes)),
            _ => Err(refuse()),
        }
    }
}

/// Bytes. A few normal messages would use up less.
const MEMORY_MIN: usize = 1 << 20;

/// Bytes. Far more than any machine has, and four times as much doesn't overflow.
const MEMORY_MAX: usize = 1 << (usize::BITS - 3);

/// A length of time: `500ms`, `10s`, `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period(pub(crate) Duration);

/// The longest time. Short enough that a deadline never overflows.
const PERIOD_MAX: Duration = Duration::from_secs(24 * 3600);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match parse_time(text) {
            Some(period) if period <= PERIOD_MAX => Ok(Self(period)),
            _ => Err(Shape::Period.refuse(text)),
        }
    }
}

/// A number with a unit.
fn parse_time(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit_ms: u64 = match text[digits..].trim_start() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let count: u64 = text[..digits].parse().ok()?;
    count.checked_mul(unit_ms).map(Duration::from_millis)
}

/// A length of time for what is stored: `300s`, `720h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LongPeriod(pub(crate) Duration);

/// Ten years. Short enough that a deadline never overflows.
const LONG_PERIOD_MAX: Duration = Duration::from_secs(87_600 * 3600);

impl FromStr for LongPeriod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match parse_time(text) {
            Some(period) if period <= LONG_PERIOD_MAX => Ok(Self(period)),
            _ => Err(Shape::LongPeriod.refuse(text)),
        }
    }
}

/// A length of time, or none: `30s`, `off`, `0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term(pub(crate) Option<Duration>);

impl FromStr for Term {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" | "false" | "0" => return Ok(Self(None)),
            _ => {}
        }
        match text.parse() {
            Ok(Period(Duration::ZERO)) => Ok(Self(None)),
            Ok(Period(period)) => Ok(Self(Some(period))),
            Err(_) => Err(Shape::Term.refuse(text)),
        }
    }
}

/// `on` or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    On,
    Off,
}

impl FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "on" | "true" => Ok(Self::On),
            "off" | "false" => Ok(Self::Off),
            _ => Err(Shape::Switch.refuse(text)),
        }
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Shape::Format.refuse(text)),
        }
    }
}

/// Whether TLS clients have to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAuth {
    Off,
    Request,
    Require,
}

impl FromStr for ClientAuth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" | "false" => Ok(Self::Off),
            "request" => Ok(Self::Request),
            "require" => Ok(Self::Require),
            _ => Err(Shape::ClientAuth.refuse(text)),
        }
    }
}

/// A log filter, checked when it is parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter(pub(crate) String);

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The filter's own parser accepts any word as a module; a misspelt level is the usual mistake.
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        let known = text.split(',').all(|directive| {
            let level = directive.rsplit('=').next().unwrap_or(directive).trim();
            levels.iter().any(|name| level.eq_ignore_ascii_case(name))
        });
        match known.then(|| tracing_subscriber::EnvFilter::try_new(text)) {
            Some(Ok(_)) => Ok(Self(text.to_owned())),
            _ => Err(Shape::Filter.refuse(text)),
        }
    }
}

/// A count, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u32);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count) if count > 0 && !text.starts_with('+') => Ok(Self(count)),
            _ => Err(Shape::Count.refuse(text)),
        }
    }
}

/// A number, which can be 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) u32);

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) if !text.starts_with('+') => Ok(Self(number)),
            _ => Err(Shape::Number.refuse(text)),
        }
    }
}

/// The secret that programs send to use `/api`. Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey(pub(crate) String);

/// Bytes. Longer than generated keys are, and far below the limit of a request head.
const API_KEY_BYTES_MAX: usize = 256;

impl FromStr for ApiKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Characters of a header field's value that need no quoting or trimming (RFC 9110 section 5.5).
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        match visible && (1..=API_KEY_BYTES_MAX).contains(&text.len()) {
            true => Ok(Self(text.to_owned())),
            // The text is not shown, since a mistyped secret is still nearly the secret.
            false => Err(format!(
                "not an API key; allowed: {}",
                Shape::Secret.allowed()
            )),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// The secret that pages send to use the chat. Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ChatToken(pub(crate) String);

impl FromStr for ChatToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<ApiKey>() {
            Ok(secret) => Ok(Self(secret.0)),
            Err(_) => Err(format!("not a token; allowed: {}", Shape::Secret.allowed())),
        }
    }
}

impl fmt::Debug for ChatToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChatToken(…)")
    }
}

/// The path of a URL, `/chat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UrlPath(pub(crate) String);

/// Bytes. Longer than any path that a person types.
const URL_PATH_BYTES_MAX: usize = 256;

impl FromStr for UrlPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // No braces, since they would be parameters of a route.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        let is_path = text.starts_with('/') && text.bytes().all(plain);
        match is_path && text.len() <= URL_PATH_BYTES_MAX {
            true => Ok(Self(text.to_owned())),
            false => Err(Shape::UrlPath.refuse(text)),
        }
    }
}

/// Where presence is stored.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum PresenceStore {
    Auto,
    Memory,
    Durable,
    /// The URL, which may hold a password.
    Redis(String),
}

impl FromStr for PresenceStore {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_redis = |scheme: &str| text.starts_with(scheme) && text.len() > scheme.len();
        match text {
            "auto" => Ok(Self::Auto),
            "memory" => Ok(Self::Memory),
            "durable" => Ok(Self::Durable),
            _ if is_redis("redis://") || is_redis("redis+unix://") => {
                Ok(Self::Redis(text.to_owned()))
            }
            // The text is not shown, since a mistyped URL may hold a password.
            _ if text.contains('@') => Err(format!(
                "not a store of presence; allowed: {}",
                Shape::Store.allowed()
            )),
            _ => Err(Shape::Store.refuse(text)),
        }
    }
}

impl fmt::Debug for PresenceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "Auto",
            Self::Memory => "Memory",
            Self::Durable => "Durable",
            Self::Redis(_) => "Redis(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_size_or_what_there_is() {
        assert_eq!("auto".parse(), Ok(MemoryMax::Auto));
        assert_eq!("2GiB".parse(), Ok(MemoryMax::Bytes(2 << 30)));
        assert_eq!("1048576".parse(), Ok(MemoryMax::Bytes(1 << 20)));
        for bad in ["", "off", "0", "1KiB", "half", "99999999999GiB"] {
            assert!(bad.parse::<MemoryMax>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!("16MiB".parse(), Ok(Bytes(16 << 20)));
        assert_eq!("16 KiB".parse(), Ok(Bytes(16 << 10)));
        assert_eq!("7".parse(), Ok(Bytes(7)));
        for bad in [
            "",
            "MiB",
            "16MB",
            "0",
            "-1",
            "2GiB",
            "99999999999999999999",
            "1.5MiB",
        ] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
    }

    #[test]
    fn periods_need_a_unit() {
        assert_eq!("500ms".parse(), Ok(Period(Duration::from_millis(500))));
        assert_eq!("2 m".parse(), Ok(Period(Duration::from_secs(120))));
        assert_eq!("0s".parse(), Ok(Period(Duration::ZERO)));
        for bad in ["", "10", "s", "1d", "25h", "-1s"] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_stored_can_stay_for_years() {
        assert_eq!(
            "720h".parse(),
            Ok(LongPeriod(Duration::from_secs(720 * 3600)))
        );
        assert_eq!("0s".parse(), Ok(LongPeriod(Duration::ZERO)));
        for bad in ["", "720", "87601h", "99999999999999999999h"] {
            assert!(bad.parse::<LongPeriod>().is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_can_be_zero() {
        assert_eq!("0".parse(), Ok(Number(0)));
        for bad in ["", "-1", "+1", "4294967296", "1.0"] {
            assert!(bad.parse::<Number>().is_err(), "{bad}");
        }
    }

    #[test]
    fn api_keys_are_visible_and_never_shown() {
        let key: ApiKey = "s3cret!".parse().unwrap();
        assert!(!format!("{key:?}").contains("s3cret"));
        for bad in ["", "two words", "schlüssel", &"x".repeat(257)] {
            let error = bad.parse::<ApiKey>().unwrap_err();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }

    #[test]
    fn terms_can_be_off() {
        assert_eq!("25s".parse(), Ok(Term(Some(Duration::from_secs(25)))));
        for off in ["off", "0", "0s", "0ms", "false"] {
            assert_eq!(off.parse(), Ok(Term(None)), "{off}");
        }
        for bad in ["", "10", "on", "true", "never", "25h"] {
            assert!(bad.parse::<Term>().is_err(), "{bad}");
        }
    }

    #[test]
    fn filters_name_levels() {
        for good in ["info", "OFF", "warn,sockeye=debug", "sockeye::server=trace"] {
            assert!(good.parse::<Filter>().is_ok(), "{good}");
        }
        for bad in ["", "loud", "sockeye=loud", "info,"] {
            assert!(bad.parse::<Filter>().is_err(), "{bad}");
        }
    }
}
