//! The cookies that a browser shows, and those that it is given.

use axum::http::{HeaderMap, HeaderValue, header};
use sockeye::RequestInfo;

/// Whether cookies may travel without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secure {
    /// The server speaks TLS: never without it.
    Always,
    No,
}

/// The cookies of this server: HttpOnly, for the same site, in every one of its paths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookies(pub(crate) Secure);

impl Cookies {
    /// The cookie of that name, as the browser shows it (RFC 6265 section 5.4).
    pub(crate) fn find<'h>(request: &'h HeaderMap, name: &str) -> Option<&'h str> {
        request
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// For the answer to this request: one that came over TLS, perhaps to a trusted proxy, is answered with
    /// cookies that never travel without it.
    pub(crate) fn answering(self, info: &RequestInfo) -> Self {
        match info.is_secure() {
            true => Self(Secure::Always),
            false => self,
        }
    }

    /// A `Set-Cookie` field that lasts a year, as long as browsers allow about.
    pub(crate) fn lasting(self, name: &str, value: &str) -> HeaderValue {
        self.field(name, value, "; Max-Age=31536000")
    }

    /// A `Set-Cookie` field that lasts until the browser is closed.
    pub(crate) fn passing(self, name: &str, value: &str) -> HeaderValue {
        self.field(name, value, "")
    }

    fn field(self, name: &str, value: &str, age: &str) -> HeaderValue {
        let secure = match self.0 {
            Secure::Always => "; Secure",
            Secure::No => "",
        };
        // Lax: a link from elsewhere leads to somebody who is known, a form from elsewhere doesn't act in their name.
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{age}{secure}");
        HeaderValue::try_from(text).expect("names and values of ours are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; b=2"));
        headers.append(header::COOKIE, HeaderValue::from_static("c=3=3"));
        assert_eq!(Cookies::find(&headers, "b"), Some("2"));
        assert_eq!(Cookies::find(&headers, "c"), Some("3=3"));
        assert_eq!(Cookies::find(&headers, "d"), None);
    }

    #[test]
    fn a_cookie_is_out_of_reach_for_scripts_and_other_sites() {
        let plain = Cookies(Secure::No).lasting("a", "1");
        assert_eq!(
            plain,
            "a=1; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000"
        );
        let secure = Cookies(Secure::Always).passing("a", "1");
        assert_eq!(secure, "a=1; Path=/; HttpOnly; SameSite=Lax; Secure");
    }
}
