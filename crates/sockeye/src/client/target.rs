//! The server that a URL names: RFC 6455 section 3 on top of the URL Standard.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;

use crate::{
    error::{Error, ErrorKind},
    url::{Host, Url},
};

/// The parts of a URL that can be dialled.
#[derive(Clone)]
pub(crate) struct Target {
    /// With scheme `ws` or `wss`, without a fragment and without userinfo, which is in `authorization`.
    url: Url,
    /// Path and query of `url`.
    request_target: String,
    pub(crate) scheme: Scheme,
    /// Without brackets and in lower case. Every notation of an IPv4 address is parsed as one.
    pub(crate) host: Host,
    /// The default of the scheme if the URL names none.
    pub(crate) port: u16,
    /// `Basic …`, from the userinfo of the URL (RFC 7617).
    pub(crate) authorization: Option<String>,
}

/// The scheme of a URL: with TLS or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Ws,
    Wss,
}

impl Target {
    /// Parses a URL with `ws:` or `wss:`, or with `http:` or `https:`, which mean the same, as in browsers.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let url = Url::parse(text).map_err(|error| {
            Error::new(ErrorKind::Url, format!("`{}` is not a URL", shown(text))).with_source(error)
        })?;
        // RFC 6455 section 3: fragment identifiers MUST NOT be used on these URIs.
        if url.fragment().is_some() {
            return Err(Error::new(
                ErrorKind::Url,
                format!(
                    "`{}` has a fragment, which a WebSocket URL can't",
                    shown(text)
                ),
            ));
        }
        Self::from_url(url)
    }

    fn from_url(mut url: Url) -> Result<Self, Error> {
        let scheme = match url.scheme() {
            "ws" | "http" => Scheme::Ws,
            "wss" | "https" => Scheme::Wss,
            other => {
                return Err(Error::new(
                    ErrorKind::Url,
                    format!("`{other}:` is not `ws:` or `wss:`"),
                ));
            }
        };
        let authorization = basic_authorization(&url);
        url.set_scheme(scheme.as_str());
        url.remove_userinfo();
        let port = url.port_or_default().unwrap_or_default();
        if port == 0 {
            return Err(Error::new(ErrorKind::Url, format!("`{url}` has port 0")));
        }
        Ok(Self {
            scheme,
            host: url.host().clone(),
            request_target: url.path_and_query(),
            port,
            authorization,
            url,
        })
    }

    /// Returns the target of a redirect. The server must not choose what the client sends: userinfo in `location` is
    /// dropped, and the client's own goes to the same origin only. A fragment is dropped too: it names a part of
    /// a document (RFC 9110 section 10.2.2).
    pub(crate) fn join(&self, location: &str) -> Result<Self, Error> {
        let mut url = self.url.join(location).map_err(|error| {
            Error::new(
                ErrorKind::Url,
                format!(
                    "{self} redirects to `{}`, which is not a URL",
                    shown(location)
                ),
            )
            .with_source(error)
        })?;
        url.remove_fragment();
        let mut target = Self::from_url(url)?;
        target.authorization = if self.same_origin(&target) {
            self.authorization.clone()
        } else {
            None
        };
        Ok(target)
    }

    /// Returns whether scheme, host and port are the same (RFC 6454 section 5).
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host == other.host && self.port == other.port
    }

    /// Returns path and query as they stand in the request line.
    pub(crate) fn request_target(&self) -> &str {
        &self.request_target
    }

    /// Returns the value of `Host`, with the port if it isn't the default (RFC 6455 section 4.1 item 4).
    pub(crate) fn host_header(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// Returns host and port, IPv6 in brackets, for CONNECT and for error messages.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.scheme == Scheme::Wss
    }
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// Shows no credentials, so that it can stand in errors and logs.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// Returns the value of `Authorization` or `Proxy-Authorization` for the userinfo of a URL.
pub(crate) fn basic_authorization(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut credentials: Vec<u8> = percent_decode_str(url.username()).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(url.password().unwrap_or_default()));
    Some(format!("Basic {}", BASE64_STANDARD.encode(credentials)))
}

/// Returns a URL for an error message. Hides what stands before an `@`, which may be a password.
pub(crate) fn shown(text: &str) -> String {
    let Some((before, after)) = text.rsplit_once('@') else {
        return text.to_owned();
    };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://***@{after}"),
        None => format!("***@{after}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    fn error(text: &str) -> Error {
        let error = Target::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Url);
        error
    }

    #[test]
    fn default_port_is_left_out_of_host() {
        for (text, host, authority) in [
            ("ws://example.com", "example.com", "example.com:80"),
            ("ws://example.com:80/", "example.com", "example.com:80"),
            ("wss://example.com", "example.com", "example.com:443"),
            ("wss://example.com:443", "example.com", "example.com:443"),
            ("ws://example.com:443", "example.com:443", "example.com:443"),
            ("wss://example.com:80", "example.com:80", "example.com:80"),
            ("http://EXAMPLE.com", "example.com", "example.com:80"),
            (
                "https://example.com:8443",
                "example.com:8443",
                "example.com:8443",
            ),
            ("ws://[::1]:9000/", "[::1]:9000", "[::1]:9000"),
            ("ws://[::1]/", "[::1]", "[::1]:80"),
            ("ws://127.1/", "127.0.0.1", "127.0.0.1:80"),
        ] {
            assert_eq!(target(text).host_header(), host, "{text}");
            assert_eq!(target(text).authority(), authority, "{text}");
        }
    }

    #[test]
    fn request_target_is_path_and_query_and_never_empty() {
        assert_eq!(target("ws://a").request_target(), "/");
        assert_eq!(target("ws://a?x=1").request_target(), "/?x=1");
        assert_eq!(
            target("ws://a/b%20c/d?x=%41&y").request_target(),
            "/b%20c/d?x=%41&y"
        );
        assert_eq!(target("ws://a/ü").request_target(), "/%C3%BC");
        assert_eq!(target("ws://a/x\r\ny").request_target(), "/xy");
    }

    #[test]
    fn fragment_is_refused_even_if_empty() {
        assert!(error("ws://a/b#c").to_string().contains("fragment"));
        error("ws://a/b#");
    }

    #[test]
    fn other_schemes_and_missing_hosts_are_refused() {
        assert!(error("ftp://a/").to_string().contains("`ftp:`"));
        error("a:1/b");
        error("/path");
        error("");
        error("ws://");
        error("ws://a:0/");
        error("ws://a:65536/");
    }

    #[test]
    fn userinfo_becomes_basic_authorization_and_is_never_shown() {
        let target = target("wss://Aladdin:open%20sesame@example.com/x");
        let expected = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(target.authorization.as_deref(), Some(expected));
        assert_eq!(target.to_string(), "wss://example.com/x");
        assert!(!format!("{target:?}").contains("sesame"));
        assert_eq!(super::shown("ws://u:p@h/#x"), "ws://***@h/#x");
        assert!(!error("ws://u:secret@h/#x").to_string().contains("secret"));
    }

    #[test]
    fn redirect_keeps_credentials_within_the_origin_only() {
        let first = target("ws://u:p@a.example/x/y?q");
        let inside = first.join("../z").unwrap();
        assert_eq!(inside.to_string(), "ws://a.example/z");
        assert_eq!(inside.authorization, first.authorization);
        let absolute = first.join("http://other:pw@a.example:80/z#part").unwrap();
        assert_eq!(absolute.to_string(), "ws://a.example/z");
        assert_eq!(absolute.authorization, first.authorization);
        for location in ["https://a.example/", "//b.example/", "ws://a.example:81/"] {
            assert_eq!(
                first.join(location).unwrap().authorization,
                None,
                "{location}"
            );
        }
        assert_eq!(
            first.join("https://a.example/").unwrap().to_string(),
            "wss://a.example/"
        );
        assert_eq!(first.join("ftp://a/").unwrap_err().kind(), ErrorKind::Url);
    }
}
