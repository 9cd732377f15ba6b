//! What a page may do over plain HTTP: origins, CORS, caching.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};

use crate::{handshake::Request, server::route::Origins};

/// What a request's origin may do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It is refused.
    Refused,
    /// Its page may use this path; a browser needs no field for that.
    SameOrigin,
    /// Its page may use this path from another origin, which the fields say (the protocol's CORS).
    CrossOrigin,
}

/// What may be read by a page of another origin although the request has no `Origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "not every protocol has scripts")]
pub(crate) enum Readable {
    /// Nothing: it is XHR or EventSource, for which browsers ask the server.
    No,
    /// The response: it is a script or a page in a frame. No browser asks whether that may be.
    AsScript,
}

impl Access {
    /// Decides what the page that sends `request` may do, by the origins that the route lets through.
    pub(crate) fn of(request: &Request, origins: &Origins, readable: Readable) -> Self {
        if !origins.admit(&request.fields, &request.info) || is_foreign(request, origins, readable)
        {
            return Self::Refused;
        }
        match origins {
            Origins::Same => Self::SameOrigin,
            Origins::Any | Origins::List(_) | Origins::SameAnd(_) => Self::CrossOrigin,
        }
    }

    /// Sets the fields of CORS, with which a browser lets the page read the response.
    pub(crate) fn set_fields(self, request: &Request, origins: &Origins, fields: &mut HeaderMap) {
        if self != Self::CrossOrigin {
            return;
        }
        fields.append(header::VARY, HeaderValue::from_static("Origin"));
        match request.headers().get(header::ORIGIN) {
            Some(origin) => {
                fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                fields.insert(
                    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                    HeaderValue::from_static("true"),
                );
            }
            None if *origins == Origins::Any => {
                fields.insert(
                    header::ACCESS_CONTROL_ALLOW_ORIGIN,
                    HeaderValue::from_static("*"),
                );
            }
            None => {}
        }
        let asked = request
            .headers()
            .get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        if let Some(asked) = asked.filter(|asked| !asked.is_empty()) {
            fields.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
    }
}

/// Returns whether a request that has no `Origin` comes from a page of an origin that isn't let through. Browsers send
/// `Origin` with each POST, but not with a GET of a script, a frame or an image.
fn is_foreign(request: &Request, origins: &Origins, readable: Readable) -> bool {
    let fields = request.headers();
    if *origins == Origins::Any || fields.contains_key(header::ORIGIN) {
        return false;
    }
    let text = |name: &str| fields.get(name).and_then(|value| value.to_str().ok());
    // Fetch Metadata section 2.4: `none` is a user who has typed the address.
    match (text("sec-fetch-site"), origins) {
        (Some("same-origin" | "none"), _) => return false,
        (Some(_), Origins::Same) => return true,
        _ => {}
    }
    let referrer = text("referer").and_then(origin_of);
    match referrer {
        Some(referrer) => !origins.admits_origin(referrer, &request.info),
        // Programs that are no browsers send neither. They have no need of transports for old browsers.
        None => readable == Readable::AsScript || fields.contains_key("sec-fetch-site"),
    }
}

/// Returns the origin of a URL, as it is written there.
fn origin_of(url: &str) -> Option<&str> {
    let scheme_end = url.find("://")? + 3;
    let host_end = url[scheme_end..].find(['/', '?', '#']);
    Some(host_end.map_or(url, |end| &url[..scheme_end + end]))
}

/// Sets the fields of a response that nobody may keep.
pub(crate) fn forbid_caching(fields: &mut HeaderMap) {
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(NO_STORE));
}

/// Sets the fields of a response that may be kept for a year.
pub(crate) fn allow_caching(fields: &mut HeaderMap) {
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(STORE));
    let expires = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(YEAR));
    if let Ok(expires) = HeaderValue::from_str(&expires) {
        fields.insert(header::EXPIRES, expires);
    }
}

const NO_STORE: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";

const STORE: &str = "public, max-age=31536000";

/// Seconds.
pub(crate) const YEAR: u64 = 31_536_000;

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;
    use crate::handshake::{RequestInfo, Shown, Tls};

    fn request(tls: Tls, fields: &[(&'static str, &str)]) -> Request {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        Request {
            fields: headers.into(),
            info: RequestInfo::shown(Shown {
                peer_addr: None,
                tls,
                host: Some("a.example"),
            }),
            ..Request::default()
        }
    }

    fn list() -> Origins {
        Origins::List(vec!["https://b.example".to_owned()])
    }

    #[test]
    fn a_page_of_another_origin_is_refused_also_where_browsers_send_no_origin() {
        use Access::{CrossOrigin, Refused, SameOrigin};
        use Readable::{AsScript, No};
        let (same, list, any) = (Origins::Same, list(), Origins::Any);
        for (fields, origins, readable, expected) in [
            (&[][..], &same, No, SameOrigin),
            (&[("origin", "http://a.example")], &same, No, SameOrigin),
            (&[("origin", "http://b.example")], &same, No, Refused),
            (&[("origin", "null")], &same, No, Refused),
            (&[("origin", "null")], &any, No, CrossOrigin),
            (&[("origin", "https://b.example")], &list, No, CrossOrigin),
            (&[("origin", "https://c.example")], &list, No, Refused),
            (&[("sec-fetch-site", "cross-site")], &same, No, Refused),
            (&[("sec-fetch-site", "same-site")], &same, No, Refused),
            (
                &[("sec-fetch-site", "same-origin")],
                &same,
                AsScript,
                SameOrigin,
            ),
            (
                &[("sec-fetch-site", "cross-site")],
                &any,
                AsScript,
                CrossOrigin,
            ),
            // A script or a frame of an old browser, which sends no `Sec-Fetch-Site`.
            (&[], &same, AsScript, Refused),
            (&[], &list, AsScript, Refused),
            (&[], &any, AsScript, CrossOrigin),
            (
                &[("referer", "http://a.example/page?q")],
                &same,
                AsScript,
                SameOrigin,
            ),
            (
                &[("referer", "http://a.example.evil/")],
                &same,
                AsScript,
                Refused,
            ),
            (&[("referer", "http://b.example/")], &same, No, Refused),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("referer", "https://b.example/"),
                ],
                &list,
                AsScript,
                CrossOrigin,
            ),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("referer", "https://c.example/"),
                ],
                &list,
                AsScript,
                Refused,
            ),
            (&[("sec-fetch-site", "cross-site")], &list, No, Refused),
        ] {
            let access = Access::of(&request(Tls::No, fields), origins, readable);
            assert_eq!(access, expected, "{fields:?} {origins:?} {readable:?}");
        }
    }

    #[test]
    fn the_fields_of_cors_are_sent_to_the_origins_that_are_let_through_and_to_no_other() {
        let fields = |origins: &Origins, sent: &[(&'static str, &str)]| {
            let request = request(Tls::No, sent);
            let mut fields = HeaderMap::new();
            Access::of(&request, origins, Readable::No).set_fields(&request, origins, &mut fields);
            let text = |name: &str| {
                fields
                    .get(name)
                    .map(|value| value.to_str().unwrap().to_owned())
            };
            (
                text("access-control-allow-origin"),
                text("access-control-allow-credentials"),
                text("access-control-allow-headers"),
            )
        };
        let some = |text: &str| Some(text.to_owned());
        let from = |origin: &'static str| [("origin", origin)];
        assert_eq!(
            fields(&Origins::Same, &from("http://a.example")),
            (None, None, None)
        );
        assert_eq!(
            fields(&Origins::Same, &from("http://b.example")),
            (None, None, None)
        );
        let echoed = (some("null"), some("true"), None);
        assert_eq!(fields(&Origins::Any, &from("null")), echoed);
        assert_eq!(fields(&Origins::Any, &[]), (some("*"), None, None));
        let echoed = (some("https://b.example"), some("true"), None);
        assert_eq!(fields(&list(), &from("https://b.example")), echoed);
        assert_eq!(fields(&list(), &[]), (None, None, None));
        let asked = [
            ("origin", "test"),
            ("access-control-request-headers", "a, b"),
        ];
        assert_eq!(
            fields(&Origins::Any, &asked),
            (some("test"), some("true"), some("a, b"))
        );
        let asked = [("origin", "test"), ("access-control-request-headers", "")];
        assert_eq!(
            fields(&Origins::Any, &asked),
            (some("test"), some("true"), None)
        );
    }
}
