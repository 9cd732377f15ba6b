//! Redirects: whether to follow one, and which header fields another origin may see.

use http::{StatusCode, header};

use crate::{
    client::target::Target,
    error::{Error, ErrorKind, Rejection},
};

/// Returns the target of a redirect.
///
/// # Errors
///
/// [`ErrorKind::Refused`] with the response if it isn't a redirect, or one that the client doesn't follow.
pub(crate) fn next_target(
    target: &Target,
    rejection: Rejection,
    redirects_left: u32,
) -> Result<Target, Error> {
    let status = rejection.status;
    let refuse =
        |why: String| Err(Error::new(ErrorKind::Refused, why).with_rejection(rejection.clone()));
    if !is_redirect(status) {
        return refuse(format!("{target} answered {status}"));
    }
    let location = rejection.headers.get(header::LOCATION);
    let Some(location) = location.and_then(|value| str::from_utf8(value.as_bytes()).ok()) else {
        return refuse(format!("{target} answered {status} without a `Location`"));
    };
    let next = match target.join(location) {
        Ok(next) => next,
        // Not `ErrorKind::Url`, which is for a mistake of the caller: this one is the server's.
        Err(error) => {
            let message = format!("{target} redirects to a URL that can't be dialled");
            let refused = Error::new(ErrorKind::Refused, message).with_source(error);
            return Err(refused.with_rejection(rejection));
        }
    };
    if redirects_left == 0 {
        return refuse(format!(
            "{target} redirects to {next}, one more redirect than `redirects_max` allows"
        ));
    }
    // A program that asked for TLS gets TLS or an error.
    if target.is_tls() && !next.is_tls() {
        return refuse(format!("{target} redirects to {next}, which has no TLS"));
    }
    Ok(next)
}

/// Makes the error for a response that opens no WebSocket.
pub(crate) fn refusal(target: &Target, rejection: Rejection) -> Error {
    let message = format!("{target} answered {}", rejection.status);
    Error::new(ErrorKind::Refused, message).with_rejection(rejection)
}

/// Returns whether a GET is repeated at the `Location` (RFC 9110 section 15.4).
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Returns whether a header field of the program may go to another origin than that of its URL. Any other
/// field may be a secret, whatever its name is.
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
