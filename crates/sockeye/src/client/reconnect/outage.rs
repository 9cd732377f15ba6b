//! Why there is no connection.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode, header};

use crate::{
    CloseCode,
    closed::{Closed, Side},
    error::{Error, ErrorKind},
};

/// Why there is no connection: an open one has ended, or an attempt has failed.
///
/// `Display` writes one line, with all causes of the error.
#[derive(Clone, Debug)]
pub struct Outage {
    closed: Option<Closed>,
    error: Option<std::sync::Arc<Error>>,
    /// Whether [`crate::reconnect::Policy::request`] returned an error in place of a request. It may return a request
    /// the next time.
    requestless: bool,
}

impl Outage {
    /// Makes an outage of the end of an open connection.
    #[must_use]
    pub fn lost(closed: Closed) -> Self {
        Self {
            closed: Some(closed),
            error: None,
            requestless: false,
        }
    }

    /// Makes an outage of the error of an attempt.
    #[must_use]
    pub fn failed(error: Error) -> Self {
        Self {
            closed: None,
            error: Some(error.into()),
            requestless: false,
        }
    }

    /// Makes an outage of the error of [`crate::reconnect::Policy::request`], of any kind.
    pub(super) fn without_request(error: Error) -> Self {
        Self {
            requestless: true,
            ..Self::failed(error)
        }
    }

    /// Adds the error that `recv` returned.
    pub(super) fn with_error(mut self, error: Option<Error>) -> Self {
        self.error = error.map(Into::into).or(self.error);
        self
    }

    /// Returns how the open connection ended; `None` if an attempt has failed.
    #[must_use]
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// Returns what went wrong; `None` after a close with 1000, 1001 or without a code.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.error.as_deref()
    }

    /// Returns the HTTP status, if the server refused the handshake with one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.error().and_then(Error::status)
    }

    /// Returns whether another attempt would end in the same way:
    ///
    /// - the server refused with 401 or 403;
    /// - the server closed with 1008, or the program closed with 1000 or 1001;
    /// - the URL or an option is wrong ([`crate::ErrorKind::Url`], [`crate::ErrorKind::Config`]). An error of
    ///   [`crate::reconnect::Policy::request`] doesn't count: the next request may be a different one.
    ///
    /// By default the client gives up then: see [`crate::reconnect::Policy::give_up`].
    #[must_use]
    pub fn is_final(&self) -> bool {
        let refused = matches!(
            self.status(),
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        );
        let closed = self.closed.as_ref().is_some_and(|closed| {
            matches!(
                (closed.by, closed.code),
                (Side::Peer, CloseCode::POLICY_VIOLATION)
                    | (Side::Us, CloseCode::NORMAL | CloseCode::GOING_AWAY)
            )
        });
        let misused = self.closed.is_none()
            && !self.requestless
            && self
                .error
                .as_ref()
                .is_some_and(|error| matches!(error.kind(), ErrorKind::Url | ErrorKind::Config));
        refused || closed || misused
    }

    /// Returns how long the server asks the client to wait: `Retry-After` in its response (RFC 9110 section 10.2.3;
    /// `now` is for the form with a date), or `retry_ms=NUMBER` in the reason of its Close frame.
    #[must_use]
    pub fn retry_hint(&self, now: SystemTime) -> Option<Duration> {
        if let Some(closed) = &self.closed {
            return (closed.by == Side::Peer)
                .then(|| hint_in_reason(&closed.reason))
                .flatten();
        }
        let rejection = self.error.as_ref()?.rejection()?;
        hint_in_headers(&rejection.headers, now)
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.error, &self.closed) {
            (Some(error), _) => error.report().fmt(f),
            (None, Some(closed)) => closed.fmt(f),
            (None, None) => f.write_str("no connection"),
        }
    }
}

impl From<Closed> for Outage {
    fn from(closed: Closed) -> Self {
        Self::lost(closed)
    }
}

impl From<Error> for Outage {
    fn from(error: Error) -> Self {
        Self::failed(error)
    }
}

/// Returns the number after the first word that begins with `retry_ms=`.
fn hint_in_reason(reason: &str) -> Option<Duration> {
    let mut words = reason.split(|letter: char| letter.is_whitespace() || ",;()".contains(letter));
    let number = words.find_map(|word| word.strip_prefix("retry_ms="))?;
    number.parse().ok().map(Duration::from_millis)
}

fn hint_in_headers(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    // A date in the past means now.
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Rejection;

    fn closed(by: Side, code: u16, reason: &str) -> Outage {
        Outage::lost(Closed {
            code: CloseCode::new(code),
            reason: reason.to_owned(),
            by,
            sent: None,
            received: None,
        })
    }

    fn refused(status: u16, retry_after: Option<&str>) -> Outage {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        }
        let refused = Rejection {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Vec::new(),
        };
        Outage::failed(Error::new(ErrorKind::Refused, "refused").with_rejection(refused))
    }

    #[test]
    fn only_answers_that_would_stay_the_same_are_final() {
        for outage in [
            refused(401, None),
            refused(403, None),
            closed(Side::Peer, 1008, ""),
            closed(Side::Us, 1000, ""),
            Outage::failed(Error::new(ErrorKind::Url, "bad")),
        ] {
            assert!(outage.is_final(), "{outage}");
        }
        for outage in [
            refused(404, None),
            refused(429, None),
            refused(503, None),
            closed(Side::Peer, 1000, ""),
            closed(Side::Peer, 1001, ""),
            closed(Side::Peer, 1012, ""),
            closed(Side::Us, 1002, ""),
            closed(Side::Network, 1006, ""),
            Outage::failed(Error::new(ErrorKind::Io, "reset")),
        ] {
            assert!(!outage.is_final(), "{outage}");
        }
    }

    #[test]
    fn a_close_reason_may_hold_a_hint() {
        for (reason, hint) in [
            ("retry_ms=1500", Some(1500)),
            ("restart retry_ms=0", Some(0)),
            ("restart; retry_ms=20, thanks", Some(20)),
            ("retry_ms=", None),
            ("retry_ms=-1", None),
            ("retry_ms=1.5", None),
            ("xretry_ms=5", None),
            ("retry_ms=99999999999999999999", None),
            ("", None),
        ] {
            let outage = closed(Side::Peer, 1012, reason);
            let hint = hint.map(Duration::from_millis);
            assert_eq!(outage.retry_hint(SystemTime::UNIX_EPOCH), hint, "{reason}");
        }
        // A hint in the client's own reason doesn't count.
        let ours = closed(Side::Us, 1012, "retry_ms=1500");
        assert_eq!(ours.retry_hint(SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, hint) in [
            (Some("120"), Some(120)),
            (Some("0"), Some(0)),
            (Some("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10)),
            (Some("Sun, 06 Nov 1994 08:49:27 GMT"), Some(0)),
            (Some("soon"), None),
            (None, None),
        ] {
            for status in [429, 503] {
                let hint = hint.map(Duration::from_secs);
                assert_eq!(refused(status, value).retry_hint(now), hint, "{value:?}");
            }
        }
    }
}
