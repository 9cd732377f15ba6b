//! The cookie of load balancers.

use http::{HeaderMap, HeaderValue, header};

use super::settings::SessionCookie;
use crate::handshake::{Request, RequestInfo};

/// Sets the cookie `JSESSIONID`, if the settings say so.
pub(super) fn set_cookie(cookie: SessionCookie, request: &Request, fields: &mut HeaderMap) {
    if cookie == SessionCookie::Absent {
        return;
    }
    let is_value = |value: &&str| {
        // RFC 6265 section 4.1.1, without what might end the value in a lenient parser.
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*+:/=@".contains(&byte);
        value.len() <= COOKIE_BYTES_MAX && value.bytes().all(is_allowed)
    };
    let sent = request.cookie("JSESSIONID");
    let value = sent.as_deref().filter(is_value).unwrap_or("dummy");
    let attributes = match request.info.is_secure() && is_cross_site(request, &request.info) {
        true => "; SameSite=None; Secure",
        false => "",
    };
    if let Ok(cookie) = HeaderValue::try_from(format!("JSESSIONID={value}; path=/{attributes}")) {
        fields.insert(header::SET_COOKIE, cookie);
    }
}

fn is_cross_site(request: &Request, info: &RequestInfo) -> bool {
    let origin = request.headers().get(header::ORIGIN);
    let origin = origin.and_then(|origin| origin.to_str().ok());
    let site = request.headers().get("sec-fetch-site");
    origin.is_some_and(|origin| !info.is_same_origin(origin))
        || site.is_some_and(|site| site == "cross-site")
}

/// Bytes. Longer than the names that load balancers give their servers.
const COOKIE_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;
    use crate::handshake::{Shown, Tls};

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

    #[test]
    fn the_cookie_has_the_value_of_the_client_if_that_is_harmless() {
        let cookie = |tls, sent: &[(&'static str, &str)]| {
            let mut fields = HeaderMap::new();
            set_cookie(SessionCookie::Sent, &request(tls, sent), &mut fields);
            fields["set-cookie"].to_str().unwrap().to_owned()
        };
        assert_eq!(cookie(Tls::No, &[]), "JSESSIONID=dummy; path=/");
        for (sent, expected) in [
            ("JSESSIONID=abcdef", "abcdef"),
            ("a=b; JSESSIONID=x.server1", "x.server1"),
            ("JSESSIONID=a b", "dummy"),
            ("JSESSIONID=a\"b", "dummy"),
            ("JSESSIONID=a,b", "dummy"),
        ] {
            let expected = format!("JSESSIONID={expected}; path=/");
            assert_eq!(cookie(Tls::No, &[("cookie", sent)]), expected, "{sent}");
        }
        // sockjs-node#298: browsers drop it in a frame of another site otherwise.
        let foreign = [("origin", "https://b.example")];
        let expected = "JSESSIONID=dummy; path=/; SameSite=None; Secure";
        assert_eq!(cookie(Tls::Yes, &foreign), expected);
        assert_eq!(cookie(Tls::No, &foreign), "JSESSIONID=dummy; path=/");
        let same = [("origin", "https://a.example")];
        assert_eq!(cookie(Tls::Yes, &same), "JSESSIONID=dummy; path=/");
        let mut fields = HeaderMap::new();
        set_cookie(SessionCookie::Absent, &request(Tls::No, &[]), &mut fields);
        assert!(fields.is_empty());
    }
}
