//! Values that are text: names, secrets, keys and addresses of other servers.

use std::{fmt, str::FromStr};

use super::shape::Shape;

/// A short text, which can be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) String);

/// Bytes. Longer than names, claims and patterns are.
const TEXT_BYTES_MAX: usize = 1024;

impl FromStr for Text {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.len() <= TEXT_BYTES_MAX && !text.contains(char::is_control) {
            true => Ok(Self(text.to_owned())),
            false => Err(Shape::Text.refuse(text)),
        }
    }
}

/// The secret that signs tokens. Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TokenSecret(pub(crate) String);

/// Bytes. A key of HMAC needs no more than a block of its hash, 128.
const TOKEN_SECRET_BYTES_MAX: usize = 4096;

impl FromStr for TokenSecret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (1..=TOKEN_SECRET_BYTES_MAX).contains(&text.len()) {
            true => Ok(Self(text.to_owned())),
            // The text is not shown, since a mistyped secret is still nearly the secret.
            false => Err(format!(
                "not a secret; allowed: {}",
                Shape::TokenSecret.allowed()
            )),
        }
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(…)")
    }
}

/// A public key in PEM. The verifier of tokens parses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey(pub(crate) String);

/// Bytes. An RSA key of 16,384 bits has some 3 KiB.
const PUBLIC_KEY_BYTES_MAX: usize = 16 << 10;

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_pem = text.trim_start().starts_with("-----BEGIN ");
        match is_pem && text.len() <= PUBLIC_KEY_BYTES_MAX {
            true => Ok(Self(text.to_owned())),
            // A private key that was given by mistake must not come into a log.
            false => Err(format!(
                "not a public key; allowed: {}",
                Shape::PublicKey.allowed()
            )),
        }
    }
}

/// The URL of a server that is asked over HTTP.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct HttpUrl(pub(crate) url::Url);

/// Bytes. Longer than any URL that a person types.
const HTTP_URL_BYTES_MAX: usize = 2048;

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |text: &str| Err(Shape::HttpUrl.refuse(text));
        if text.starts_with("grpc://") {
            return Err(format!(
                "{text:?}: there is no GRPC; allowed: {}",
                Shape::HttpUrl.allowed()
            ));
        }
        let url = match url::Url::parse(text) {
            Ok(url) if text.len() <= HTTP_URL_BYTES_MAX => url,
            // What may hold a password is not shown.
            _ if text.contains('@') => return refuse("this text"),
            _ => return refuse(text),
        };
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        match is_http && !text.contains(['{', '}']) {
            true => Ok(Self(url)),
            false => refuse(text),
        }
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "HttpUrl({}://{host}{})", self.0.scheme(), self.0.path())
    }
}

/// The name of a header field, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldName(pub(crate) String);

impl FromStr for FieldName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match http::HeaderName::from_str(text) {
            Ok(name) => Ok(Self(name.as_str().to_owned())),
            Err(_) => Err(Shape::FieldName.refuse(text)),
        }
    }
}

/// The origin of web pages, `https://example.com`; `*` is any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebOrigin(pub(crate) String);

impl FromStr for WebOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = text
            .strip_prefix("https://")
            .or(text.strip_prefix("http://"));
        let is_origin = host
            .is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', '@']))
            && url::Url::parse(text).is_ok();
        match text == "*" || is_origin {
            true => Ok(Self(text.to_owned())),
            false => Err(Shape::Origin.refuse(text)),
        }
    }
}

/// The address of this server for browsers, without a path, as they write it in `Origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicUrl(pub(crate) String);

/// Bytes: a scheme, a name of 253 (RFC 1035 section 2.3.4), a port, and some spare. A longer address makes a QR code that no
/// camera reads.
const PUBLIC_URL_BYTES_MAX: usize = 280;

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || Shape::PublicUrl.refuse(text);
        let url = url::Url::parse(text).map_err(|_| refuse())?;
        let is_bare = matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let is_web = matches!(url.scheme(), "http" | "https");
        match is_web && is_bare && text.len() <= PUBLIC_URL_BYTES_MAX {
            true => Ok(Self(url.origin().ascii_serialization())),
            false => Err(refuse()),
        }
    }
}

/// What the names of metrics begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetricPrefix(pub(crate) String);

/// Bytes. The names themselves are longer.
const METRIC_PREFIX_BYTES_MAX: usize = 64;

impl FromStr for MetricPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !text.is_empty()
            && !text.starts_with(|first: char| first.is_ascii_digit());
        match is_name && text.len() <= METRIC_PREFIX_BYTES_MAX {
            true => Ok(Self(text.to_owned())),
            false => Err(Shape::MetricPrefix.refuse(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        let secret: TokenSecret = "s3cret with spaces".parse().unwrap();
        assert!(!format!("{secret:?}").contains("s3cret"));
        let long = "s3cret".repeat(1000);
        let error = long.parse::<TokenSecret>().unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
        assert!("".parse::<TokenSecret>().is_err());
    }

    #[test]
    fn public_keys_are_pem_and_their_text_is_not_repeated() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n";
        assert_eq!(pem.parse(), Ok(PublicKey(pem.to_owned())));
        let error = "d2hhdCBhIHNlY3JldA==".parse::<PublicKey>().unwrap_err();
        assert!(!error.contains("d2hhdCBhIHNlY3JldA"), "{error}");
    }

    #[test]
    fn a_public_address_is_an_origin_as_browsers_write_it() {
        for (text, origin) in [
            ("https://example.com", "https://example.com"),
            ("https://Example.com:443/", "https://example.com"),
            ("http://192.168.0.7:8080", "http://192.168.0.7:8080"),
            ("http://[::1]:80", "http://[::1]"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse(), Ok(PublicUrl(origin.to_owned())), "{text}");
        }
        for bad in [
            "",
            "*",
            "example.com",
            "wss://example.com",
            "https://example.com/app",
            "https://example.com/?a",
            "https://example.com/#a",
            "https://ann@example.com",
            &format!("https://{}.example", "a".repeat(300)),
        ] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_are_of_http() {
        for good in [
            "http://localhost:3000/hooks",
            "https://user:pass@app.example/a?b=c",
        ] {
            let url: HttpUrl = good.parse().unwrap();
            assert!(!format!("{url:?}").contains("pass"), "{url:?}");
        }
        for bad in [
            "",
            "app.example",
            "/hooks",
            "unix:/run/app.sock",
            "ftp://a",
            "https://a/{{tenant}}",
        ] {
            assert!(bad.parse::<HttpUrl>().is_err(), "{bad}");
        }
        let grpc = "grpc://localhost:12000".parse::<HttpUrl>().unwrap_err();
        assert!(grpc.contains("there is no GRPC"), "{grpc}");
    }

    #[test]
    fn names_of_fields_are_lower_case() {
        assert_eq!("X-Trace".parse(), Ok(FieldName("x-trace".to_owned())));
        assert!("X Trace".parse::<FieldName>().is_err());
    }

    #[test]
    fn prefixes_are_names_of_metrics() {
        for good in ["sockeye", "centrifugo", "_a1"] {
            assert_eq!(good.parse(), Ok(MetricPrefix(good.to_owned())));
        }
        for bad in ["", "1a", "a-b", "a b", "é", "a:b", &"a".repeat(65)] {
            assert!(bad.parse::<MetricPrefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_have_a_scheme_and_a_host_and_no_more() {
        for good in [
            "*",
            "https://example.com",
            "http://localhost:3000",
            "http://[::1]:80",
        ] {
            assert!(good.parse::<WebOrigin>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "https://example.com/",
            "https://example.com/app",
            "https://*.example.com",
            "ws://example.com",
        ] {
            assert!(bad.parse::<WebOrigin>().is_err(), "{bad}");
        }
    }
}
