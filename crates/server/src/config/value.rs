//! The types of configuration values: syntax and limits.

use std::{any::TypeId, fmt, path::PathBuf, str::FromStr, time::Duration};

use sockeye_hub::namespace::{PublicationDataFormat, RecoveryMode};

use super::{
    NamespaceList, PublicKey, PublicUrl, Text, TokenSecret, WebOrigin, choice,
    listen_addr::{FileMode, FileOwner, ListenAddr},
    network::{Network, TrustedProxy},
};

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
fn parse_bytes(text: &str) -> Option<usize> {
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

/// The syntax of a value, by its Rust type. Shown in errors and in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Addr,
    Mode,
    Owner,
    Path,
    Size,
    Memory,
    Count,
    Period,
    Term,
    Switch,
    Format,
    ClientAuth,
    Filter,
    Secret,
    UrlPath,
    Store,
    Network,
    TrustedProxy,
    PublicUrl,
    Number,
    LongPeriod,
    Text,
    TokenSecret,
    PublicKey,
    Origin,
    RecoveryMode,
    DataFormat,
    Namespaces,
}

impl Shape {
    /// # Panics
    /// The type is unknown, which the tests would have found.
    pub(crate) fn of(arg: &clap::Arg) -> Self {
        let parsed = arg.get_value_parser().type_id();
        let known = [
            (TypeId::of::<ListenAddr>(), Self::Addr),
            (TypeId::of::<FileMode>(), Self::Mode),
            (TypeId::of::<FileOwner>(), Self::Owner),
            (TypeId::of::<PathBuf>(), Self::Path),
            (TypeId::of::<Bytes>(), Self::Size),
            (TypeId::of::<MemoryMax>(), Self::Memory),
            (TypeId::of::<Count>(), Self::Count),
            (TypeId::of::<Period>(), Self::Period),
            (TypeId::of::<Term>(), Self::Term),
            (TypeId::of::<Switch>(), Self::Switch),
            (TypeId::of::<LogFormat>(), Self::Format),
            (TypeId::of::<ClientAuth>(), Self::ClientAuth),
            (TypeId::of::<Filter>(), Self::Filter),
            (TypeId::of::<ApiKey>(), Self::Secret),
            (TypeId::of::<ChatToken>(), Self::Secret),
            (TypeId::of::<UrlPath>(), Self::UrlPath),
            (TypeId::of::<PresenceStore>(), Self::Store),
            (TypeId::of::<Network>(), Self::Network),
            (TypeId::of::<TrustedProxy>(), Self::TrustedProxy),
            (TypeId::of::<PublicUrl>(), Self::PublicUrl),
            (TypeId::of::<Number>(), Self::Number),
            (TypeId::of::<LongPeriod>(), Self::LongPeriod),
            (TypeId::of::<Text>(), Self::Text),
            (TypeId::of::<TokenSecret>(), Self::TokenSecret),
            (TypeId::of::<PublicKey>(), Self::PublicKey),
            (TypeId::of::<WebOrigin>(), Self::Origin),
            (TypeId::of::<RecoveryMode>(), Self::RecoveryMode),
            (TypeId::of::<PublicationDataFormat>(), Self::DataFormat),
            (TypeId::of::<NamespaceList>(), Self::Namespaces),
        ];
        let shape = known.into_iter().find(|(id, _)| parsed == *id);
        shape
            .unwrap_or_else(|| panic!("{} has a type without a shape", arg.get_id()))
            .1
    }

    /// Parses one value as clap would, for values that don't come from the command line.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Addr => text.parse::<ListenAddr>().map(drop),
            Self::Mode => text.parse::<FileMode>().map(drop),
            Self::Owner => text.parse::<FileOwner>().map(drop),
            Self::Path if text.is_empty() => Err(self.refuse(text)),
            Self::Path => Ok(()),
            Self::Size => text.parse::<Bytes>().map(drop),
            Self::Memory => text.parse::<MemoryMax>().map(drop),
            Self::Count => text.parse::<Count>().map(drop),
            Self::Period => text.parse::<Period>().map(drop),
            Self::Term => text.parse::<Term>().map(drop),
            Self::Switch => text.parse::<Switch>().map(drop),
            Self::Format => text.parse::<LogFormat>().map(drop),
            Self::ClientAuth => text.parse::<ClientAuth>().map(drop),
            Self::Filter => text.parse::<Filter>().map(drop),
            Self::Secret => text.parse::<ApiKey>().map(drop),
            Self::UrlPath => text.parse::<UrlPath>().map(drop),
            Self::Store => text.parse::<PresenceStore>().map(drop),
            Self::Network => text.parse::<Network>().map(drop),
            Self::TrustedProxy => text.parse::<TrustedProxy>().map(drop),
            Self::PublicUrl => text.parse::<PublicUrl>().map(drop),
            Self::Number => text.parse::<Number>().map(drop),
            Self::LongPeriod => text.parse::<LongPeriod>().map(drop),
            Self::Text => text.parse::<Text>().map(drop),
            Self::TokenSecret => text.parse::<TokenSecret>().map(drop),
            Self::PublicKey => text.parse::<PublicKey>().map(drop),
            Self::Origin => text.parse::<WebOrigin>().map(drop),
            Self::RecoveryMode => choice::recovery_mode(text).map(drop),
            Self::DataFormat => choice::data_format(text).map(drop),
            Self::Namespaces => text.parse::<NamespaceList>().map(drop),
        }
    }

    pub(super) fn refuse(self, text: &str) -> String {
        format!(
            "{text:?} is not {}; allowed: {}",
            self.noun(),
            self.allowed()
        )
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Addr => "an address",
            Self::Mode => "a mode of a file",
            Self::Owner => "an owner of a file",
            Self::Path => "a path",
            Self::Size | Self::Memory => "a size",
            Self::Count => "a count",
            Self::Period | Self::Term => "a length of time",
            Self::Switch => "a switch",
            Self::Format => "a log format",
            Self::ClientAuth => "a rule for client certificates",
            Self::Filter => "a log filter",
            Self::Secret => "a secret",
            Self::UrlPath => "a path of a URL",
            Self::Store => "a store of presence",
            Self::Network => "a network",
            Self::TrustedProxy => "a proxy",
            Self::PublicUrl => "an address of a server",
            Self::Number => "a number",
            Self::LongPeriod => "a length of time",
            Self::Text => "a text",
            Self::TokenSecret => "a secret",
            Self::PublicKey => "a public key",
            Self::Origin => "an origin",
            Self::RecoveryMode => "a recovery mode",
            Self::DataFormat => "a data format",
            Self::Namespaces => "a list of namespaces",
        }
    }

    /// Returns the end of the sentence "allowed: …".
    pub(crate) fn allowed(self) -> &'static str {
        match self {
            Self::Addr => {
                "HOST:PORT such as 127.0.0.1:8080, [::1]:8080 or localhost:0; unix:PATH; fd:NUMBER or fd:NAME"
            }
            Self::Mode => "permissions in octal, 0 to 777, such as 660",
            Self::Owner => "USER, USER:GROUP or :GROUP, each a name or a number",
            Self::Path => "a path, not empty",
            Self::Size => "bytes, or a number with KiB, MiB or GiB; 1 to 1GiB",
            Self::Memory => "auto; bytes, or a number with KiB, MiB or GiB, from 1MiB on",
            Self::Count => "a number, 1 to 4294967295",
            Self::Period => "a number with ms, s, m or h; up to 24h",
            Self::Term => "a number with ms, s, m or h, up to 24h; off",
            Self::Switch => "on, off",
            Self::Format => "text, json",
            Self::ClientAuth => "off, request, require",
            Self::Filter => {
                "off, error, warn, info, debug, trace, or a list such as warn,sockeye=debug"
            }
            Self::Secret => "1 to 256 visible ASCII characters, no spaces",
            Self::Store => {
                "auto, memory, durable, redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], redis+unix:///PATH"
            }
            Self::Network => "an address or a range, such as 127.0.0.1, 10.0.0.0/8 or fd00::/8",
            Self::TrustedProxy => {
                "an address or a range, such as 127.0.0.1, 10.0.0.0/8 or fd00::/8; unix:"
            }
            Self::PublicUrl => {
                "https://HOST or http://HOST, with a port if it is not the usual one"
            }
            Self::Number => "a number, 0 to 4294967295",
            Self::LongPeriod => "a number with ms, s, m or h; up to 87600h",
            Self::Text => "up to 1024 bytes without control characters",
            Self::TokenSecret => "1 to 4096 bytes",
            Self::PublicKey => "PEM, which begins with -----BEGIN; up to 16 KiB",
            Self::Origin => {
                "https://HOST or http://HOST, with a port if it is not the usual one; * for any"
            }
            Self::RecoveryMode => "stream, cache",
            Self::DataFormat => "not_empty, json, json_object, binary",
            Self::Namespaces => "tables with a name each; outside the file a JSON array of objects",
            Self::UrlPath => "/ and then letters, digits, / - . _ ~; such as /chat",
        }
    }

    /// Returns whether the value must not be shown.
    pub(crate) fn is_secret(self, text: &str) -> bool {
        // User and password of a URL come before an @.
        matches!(self, Self::Secret | Self::TokenSecret)
            || self == Self::Store && text.contains('@')
    }

    /// Returns whether a TOML integer can be such a value.
    pub(crate) fn takes_integer(self) -> bool {
        matches!(
            self,
            Self::Size | Self::Memory | Self::Count | Self::Number | Self::Term
        )
    }

    /// Returns whether a TOML boolean can be such a value.
    pub(crate) fn takes_boolean(self) -> bool {
        matches!(self, Self::Switch | Self::Term | Self::ClientAuth)
    }

    /// Returns whether a TOML string can be such a value.
    pub(crate) fn takes_string(self) -> bool {
        !matches!(self, Self::Count | Self::Number)
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
