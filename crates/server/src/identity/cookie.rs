//! The cookies of the chat and the login.

use axum::http::{HeaderMap, HeaderValue};
use sockeye::{Request, RequestInfo};

/// A cookie of this server. It is HttpOnly and valid for all paths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookie {
    /// The name without the prefix that it gets with TLS.
    pub(crate) name: &'static str,
    pub(crate) same_site: SameSite,
    pub(crate) lifetime: Lifetime,
}

/// Which requests from other sites carry the cookie (RFC 6265bis section 5.4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SameSite {
    /// None. For requests of our own pages' scripts.
    Strict,
    /// Links. For pages that are opened from other sites.
    Lax,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// A year; browsers allow little more.
    Year,
    /// Until the browser is closed.
    Session,
}

/// Reads and writes the cookies of one exchange. With TLS they are Secure and their names begin with `__Host-`: no page
/// without TLS and no neighbouring domain can set such a cookie (RFC 6265bis section 4.1.3.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookies {
    is_secure: bool,
}

impl Cookies {
    pub(crate) fn of(info: &RequestInfo) -> Self {
        Self {
            is_secure: info.is_secure(),
        }
    }

    /// Returns the cookie's value in a request (RFC 6265 section 5.4).
    pub(crate) fn find(self, request: &HeaderMap, cookie: Cookie) -> Option<&str> {
        let name = format!("{}{}", self.prefix(), cookie.name);
        Request::cookie_in(request, &name)
    }

    /// Returns a `Set-Cookie` field that sets the cookie.
    pub(crate) fn set(self, cookie: Cookie, value: &str) -> HeaderValue {
        self.field(
            cookie,
            value,
            match cookie.lifetime {
                Lifetime::Year => "; Max-Age=31536000",
                Lifetime::Session => "",
            },
        )
    }

    /// Returns a `Set-Cookie` field that removes the cookie.
    pub(crate) fn remove(self, cookie: Cookie) -> HeaderValue {
        self.field(cookie, "", "; Max-Age=0")
    }

    fn field(self, cookie: Cookie, value: &str, age: &str) -> HeaderValue {
        let site = match cookie.same_site {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
        };
        let secure = match self.is_secure {
            true => "; Secure",
            false => "",
        };
        let (prefix, name) = (self.prefix(), cookie.name);
        let text =
            format!("{prefix}{name}={value}; Path=/; HttpOnly; SameSite={site}{age}{secure}");
        HeaderValue::try_from(text).expect("names and values of ours are ASCII")
    }

    fn prefix(self) -> &'static str {
        match self.is_secure {
            true => "__Host-",
            false => "",
        }
    }
}

/// Carries the [`Person`](super::Person). Only scripts of this server's own pages send requests with it.
pub(crate) const PERSON_COOKIE: Cookie = Cookie {
    name: "chat_uuid",
    same_site: SameSite::Strict,
    lifetime: Lifetime::Year,
};

/// Says which private messages the browser has received.
pub(crate) const RECEIPT_COOKIE: Cookie = Cookie {
    name: "chat_receipt",
    ..PERSON_COOKIE
};

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    const PLAIN: Cookies = Cookies { is_secure: false };
    const SECURE: Cookies = Cookies { is_secure: true };

    fn cookie(name: &'static str) -> Cookie {
        Cookie {
            name,
            same_site: SameSite::Strict,
            lifetime: Lifetime::Year,
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; b=2"));
        headers.append(header::COOKIE, HeaderValue::from_static("c=3=3"));
        assert_eq!(PLAIN.find(&headers, cookie("b")), Some("2"));
        assert_eq!(PLAIN.find(&headers, cookie("c")), Some("3=3"));
        assert_eq!(PLAIN.find(&headers, cookie("d")), None);
    }

    #[test]
    fn a_cookie_that_could_have_been_set_without_tls_does_not_count_with_it() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; __Host-b=2"));
        assert_eq!(SECURE.find(&headers, cookie("a")), None);
        assert_eq!(SECURE.find(&headers, cookie("b")), Some("2"));
        assert_eq!(PLAIN.find(&headers, cookie("b")), None);
    }

    #[test]
    fn a_cookie_is_out_of_reach_for_scripts_and_other_sites() {
        let plain = PLAIN.set(cookie("a"), "1");
        assert_eq!(
            plain,
            "a=1; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000"
        );
        let passing = Cookie {
            same_site: SameSite::Lax,
            lifetime: Lifetime::Session,
            ..cookie("a")
        };
        let secure = SECURE.set(passing, "1");
        assert_eq!(secure, "__Host-a=1; Path=/; HttpOnly; SameSite=Lax; Secure");
        let removed = SECURE.remove(cookie("a"));
        assert_eq!(
            removed,
            "__Host-a=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0; Secure"
        );
    }
}
