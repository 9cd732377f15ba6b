//! Redirects: whether to follow one, and what to keep to oneself then.

use http::{StatusCode, header};

use crate::{
    client::target::Target,
    error::{Error, ErrorKind, Rejection},
};

/// Where an answer other than 101 leads.
///
/// # Errors
/// [`ErrorKind::Refused`] with the answer if it leads nowhere, or where we don't go.
pub(crate) fn next_target(
    target: &Target,
    refused: Rejection,
    redirects_left: u32,
) -> Result<Target, Error> {
    let status = refused.status;
    let stay =
        |why: String| Err(Error::new(ErrorKind::Refused, why).with_rejection(refused.clone()));
    if !is_redirect(status) {
        return stay(format!("{target} answered {status}"));
    }
    let location = refused.headers.get(header::LOCATION);
    let Some(location) = location.and_then(|value| str::from_utf8(value.as_bytes()).ok()) else {
        return stay(format!(
            "{target} answered {status} without saying where to"
        ));
    };
    let next = match target.join(location) {
        Ok(next) => next,
        // The server's mistake: `Url` is for what our caller says wrong.
        Err(error) => {
            let message = format!("{target} redirects to what can't be followed");
            let stays = Error::new(ErrorKind::Refused, message).with_source(error);
            return Err(stays.with_rejection(refused));
        }
    };
    if redirects_left == 0 {
        return stay(format!(
            "{target} redirects to {next}, one more than `redirects_max` allows"
        ));
    }
    // Who asked for privacy gets it or an error.
    if target.is_tls() && !next.is_tls() {
        return stay(format!("{target} redirects to {next}, which has no TLS"));
    }
    Ok(next)
}

/// The error for an answer that leads nowhere.
pub(crate) fn refusal(target: &Target, refused: Rejection) -> Error {
    let message = format!("{target} answered {}", refused.status);
    Error::new(ErrorKind::Refused, message).with_rejection(refused)
}

/// RFC 9110 section 15.4; all of them repeat a GET as a GET.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Whether a header field of the program's may go to an origin that it wasn't meant for. Any other may be a secret,
/// whatever its name is.
pub(crate) fn is_for_any_origin(name: &str) -> bool {
    ["User-Agent", "Accept-Language", "Origin"]
        .iter()
        .any(|harmless| harmless.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn next(from: &str, status: u16, location: &str, left: u32) -> Result<String, Error> {
        let mut headers = HeaderMap::new();
        if !location.is_empty() {
            headers.insert(header::LOCATION, location.parse().unwrap());
        }
        let refused = Rejection {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: b"body".to_vec(),
        };
        next_target(&Target::parse(from).unwrap(), refused, left).map(|target| target.to_string())
    }

    #[test]
    fn five_statuses_are_redirects() {
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(next("ws://a/b/c", status, "d", 1).unwrap(), "ws://a/b/d");
        }
        for status in [200, 300, 304, 305, 306, 401, 404, 500] {
            let error = next("ws://a/", status, "/b", 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert_eq!(error.status().unwrap(), status);
            assert_eq!(error.rejection().unwrap().body, b"body");
        }
    }

    #[test]
    fn http_becomes_ws_and_tls_is_gained_but_never_lost() {
        assert_eq!(next("ws://a/", 302, "http://b/", 1).unwrap(), "ws://b/");
        assert_eq!(next("ws://a/", 302, "https://a/", 1).unwrap(), "wss://a/");
        assert_eq!(next("wss://a/", 302, "https://b/", 1).unwrap(), "wss://b/");
        for location in ["http://a/", "ws://a/"] {
            let error = next("wss://a/", 302, location, 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.to_string().contains("no TLS"), "{error}");
        }
    }

    #[test]
    fn bound_missing_location_and_bad_location_are_errors_with_the_answer() {
        for (location, left, kind) in [
            ("/b", 0, ErrorKind::Refused),
            ("", 1, ErrorKind::Refused),
            ("ftp://a/", 1, ErrorKind::Refused),
            ("http://", 1, ErrorKind::Refused),
        ] {
            let error = next("ws://a/", 301, location, left).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.status().unwrap(), 301);
        }
    }
}
