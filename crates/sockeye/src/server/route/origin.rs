//! From which web pages a WebSocket may be opened (RFC 6455 section 10.2).

use std::time::Instant;

use http::{StatusCode, header};

use crate::{
    handshake::{Fields, Refusal, Request, RequestInfo, WebOrigin, is_same_origin},
    log_limit::LogLimit,
};

/// From which web pages a WebSocket may be opened.
///
/// Browsers send `Origin`, and no page can forge it. So the check keeps pages of other sites from using the cookies
/// of your users. Other programs can send any `Origin` or none; a request without one doesn't come from a browser and
/// is let through. The check does not replace credentials.
///
/// A page that is refused gets 403, and the server logs a warning with its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// The page comes from the host and port that the request names in `Host`. The origin `null` is refused.
    ///
    /// Over TLS the scheme counts too, as far as it decides the port: `http://example.com` is not the origin of
    /// `wss://example.com`. Without TLS a proxy in front may have ended it, so the scheme of `Origin` decides which
    /// port a `Host` without a port means. What a trusted proxy says counts instead
    /// ([`crate::Server::trusted_proxies`]).
    #[default]
    Same,
    /// Any page, also `null`. For endpoints that need no identity, or take it from anything but cookies.
    Any,
    /// Pages of these origins, such as `https://example.com`. The default port of a scheme may be written or left
    /// out. `null` is let through if it is listed.
    ///
    /// [`crate::Server::start`] fails with kind `Config` if an entry is not an origin.
    List(Vec<String>),
    /// Pages of [`Origins::Same`], and pages of these origins, written as in [`Origins::List`]. For a server that also has an
    /// address of its own behind a proxy.
    SameAnd(Vec<String>),
}

impl Origins {
    /// Returns the first listed entry that is not an origin.
    pub(crate) fn first_invalid(&self) -> Option<&str> {
        let (Self::List(list) | Self::SameAnd(list)) = self else {
            return None;
        };
        let is_meetable =
            |listed: &&String| *listed == "null" || WebOrigin::parse(listed).is_some();
        list.iter()
            .find(|listed| !is_meetable(listed))
            .map(String::as_str)
    }

    /// Returns whether the policy lets the request through.
    pub(crate) fn admit(&self, fields: &Fields, info: &RequestInfo) -> bool {
        let mut origins = fields.values(&header::ORIGIN);
        let Some(origin) = origins.next() else {
            return true;
        };
        if *self == Self::Any {
            return true;
        }
        // RFC 6454 section 7.3: a client sends at most one.
        let (Some(origin), None) = (visible(origin), origins.next()) else {
            return false;
        };
        self.admits_origin(origin, info)
    }

    /// Returns whether the policy lets pages of `origin` through.
    pub(crate) fn admits_origin(&self, origin: &str, info: &RequestInfo) -> bool {
        match self {
            Self::Any => true,
            Self::List(list) => list.iter().any(|listed| is_same_origin(listed, origin)),
            Self::Same => info.is_same_origin(origin),
            Self::SameAnd(list) => {
                info.is_same_origin(origin)
                    || list.iter().any(|listed| is_same_origin(listed, origin))
            }
        }
    }
}

/// Returns the answer to a page of another origin, and logs it. A browser doesn't say why its WebSocket failed, so
/// the log is the only place to find out.
///
/// `advice` says how such a page is let in; `{origin}` in it is the origin, in quotes.
pub(crate) fn refuse_origin(request: &Request, limit: &LogLimit, advice: &str) -> Refusal {
    if let Some(suppressed) = limit.due(Instant::now()) {
        let origin = request.fields.values(&header::ORIGIN).next();
        let origin = origin.unwrap_or_default();
        let shown = origin[..origin.len().min(SHOWN_BYTES_MAX)].escape_ascii();
        let advice = advice.replace("{origin}", &format!("\"{shown}\""));
        let path = &request.path()[..request.path().len().min(SHOWN_BYTES_MAX)];
        tracing::warn!(
            origin = %shown,
            host = request.host().unwrap_or_default(),
            path,
            suppressed,
            "a page of another origin was refused: if it is yours, {advice}; if a proxy has changed Host, name it \
             as a trusted proxy (docs/howto/origins.md)"
        );
    }
    Refusal::text(
        StatusCode::FORBIDDEN,
        "pages of this origin may not connect here\n",
    )
}

/// How a program lets pages in, unless its route says how its operators do.
pub(crate) const ORIGIN_ADVICE: &str = "allow it with Route::origins";

/// Bytes of a value from the peer that a log line shows: more than any host has.
const SHOWN_BYTES_MAX: usize = 300;

/// Returns `value` as text, if all its characters are visible.
fn visible(value: &[u8]) -> Option<&str> {
    let is_visible = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    let text = str::from_utf8(value).ok()?;
    value.iter().all(is_visible).then_some(text)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::handshake::{Shown, Tls};

    fn info(host: &str, tls: Tls) -> RequestInfo {
        RequestInfo::shown(Shown {
            peer_addr: None,
            tls,
            host: Some(host),
        })
    }

    fn fields(origins: &[&str]) -> Fields {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(header::ORIGIN, origin.parse().unwrap());
        }
        headers.into()
    }

    #[test]
    fn same_origin_compares_host_and_port() {
        use Tls::{No, Yes};
        for (host, origin, tls, admitted) in [
            ("a.example", "http://a.example", No, true),
            ("a.example", "http://A.EXAMPLE", No, true),
            ("a.example:80", "http://a.example", No, true),
            ("a.example", "http://a.example:80", No, true),
            ("a.example", "https://a.example", No, true),
            ("a.example:443", "https://a.example", No, true),
            ("a.example:8080", "http://a.example:8080", No, true),
            ("[::1]:8080", "http://[::1]:8080", No, true),
            ("a.example", "https://a.example", Yes, true),
            ("a.example:8443", "https://a.example:8443", Yes, true),
            ("a.example", "http://a.example", Yes, false),
            ("a.example:8080", "http://a.example", No, false),
            ("a.example", "http://a.example:8080", No, false),
            ("a.example", "http://b.example", No, false),
            ("a.example", "http://sub.a.example", No, false),
            ("a.example", "http://a.example.evil", No, false),
            ("a.example", "http://a.example@evil", No, false),
            ("a.example", "http://evil/a.example", No, false),
            ("a.example", "null", No, false),
            ("a.example", "", No, false),
            ("a.example", "a.example", No, false),
            ("a.example", "chrome-extension://a.example", No, false),
            ("[::1]", "http://[::2]", No, false),
        ] {
            assert_eq!(
                Origins::Same.admit(&fields(&[origin]), &info(host, tls)),
                admitted,
                "{host} {origin} {tls:?}"
            );
        }
    }

    #[test]
    fn request_without_origin_is_no_browsers() {
        for origins in [Origins::Same, Origins::Any, Origins::List(vec![])] {
            assert!(origins.admit(&fields(&[]), &info("a", Tls::No)));
        }
    }

    #[test]
    fn two_origins_are_none() {
        let (fields, info) = (fields(&["http://a", "http://a"]), info("a", Tls::No));
        assert!(!Origins::Same.admit(&fields, &info));
        assert!(!Origins::List(vec!["http://a".into()]).admit(&fields, &info));
        assert!(Origins::Any.admit(&fields, &info));
    }

    #[test]
    fn entry_that_is_no_origin_is_found() {
        let list = |entry: &str| Origins::List(vec!["null".into(), entry.into()]);
        for entry in ["https://a.example", "http://a:1", "http://[::1]", "app://x"] {
            assert_eq!(list(entry).first_invalid(), None, "{entry}");
        }
        for entry in [
            "a.example",
            "https://a.example/",
            "https://",
            "*",
            "https://u@a",
            "",
        ] {
            assert_eq!(list(entry).first_invalid(), Some(entry));
        }
        assert_eq!(Origins::Same.first_invalid(), None);
    }

    #[test]
    fn pages_of_the_same_origin_and_of_those_listed_beside_it_are_let_through() {
        let origins = Origins::SameAnd(vec!["https://a.example".into()]);
        for (origin, admitted) in [
            ("https://a.example", true),
            ("http://x:8080", true),
            ("http://a.example", false),
            ("http://x", false),
            ("null", false),
        ] {
            let admits = origins.admit(&fields(&[origin]), &info("x:8080", Tls::No));
            assert_eq!(admits, admitted, "{origin}");
        }
        let wrong = Origins::SameAnd(vec!["a.example".into()]);
        assert_eq!(wrong.first_invalid(), Some("a.example"));
    }

    #[test]
    fn list_compares_whole_origins() {
        let origins = Origins::List(vec!["https://a.example".into(), "null".into()]);
        for (origin, admitted) in [
            ("https://a.example", true),
            ("https://A.example:443", true),
            ("null", true),
            ("http://a.example", false),
            ("https://a.example:8443", false),
            ("https://b.example", false),
        ] {
            assert_eq!(
                origins.admit(&fields(&[origin]), &info("x", Tls::Yes)),
                admitted,
                "{origin}"
            );
        }
    }
}
