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

/// Why there is no connection: one that was open has ended, or an attempt has failed.
///
/// Display says it in one line.
#[derive(Clone, Debug)]
pub struct Outage {
    closed: Option<Closed>,
    error: Option<std::sync::Arc<Error>>,
    /// Whether [`crate::reconnect::Policy::request`] made no request: the next one may be another.
    requestless: bool,
}

impl Outage {
    /// An open connection ended like this.
    #[must_use]
    pub fn lost(closed: Closed) -> Self {
        Self {
            closed: Some(closed),
            error: None,
            requestless: false,
        }
    }

    /// An attempt has failed.
    #[must_use]
    pub fn failed(error: Error) -> Self {
        Self {
            closed: None,
            error: Some(error.into()),
            requestless: false,
        }
    }

    /// [`crate::reconnect::Policy::request`] has failed, whatever the kind of its error.
    pub(super) fn without_request(error: Error) -> Self {
        Self {
            requestless: true,
            ..Self::failed(error)
        }
    }

    /// With what `recv` has told about it.
    pub(super) fn with_error(mut self, error: Option<Error>) -> Self {
        self.error = error.map(Into::into).or(self.error);
        self
    }

    /// How the open connection ended; `None` if it was an attempt that failed.
    #[must_use]
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// What went wrong; `None` after a close with 1000, 1001 or without a code.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.error.as_deref()
    }

    /// The HTTP status, if the server refused the handshake with one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.error().and_then(Error::status)
    }

    /// Whether another attempt would be answered the same: refused with 401 or 403, closed by the server
    /// with 1008, closed by us with 1000 or 1001, or we were told wrongly whom to dial or how. An error of
    /// [`crate::reconnect::Policy::request`] never is: the next request may be another. The rule unless
    /// [`crate::reconnect::Policy::give_up`] has another.
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

    /// How long the server wants us to stay away: `Retry-After` beside a refusal (RFC 9110 section 10.2.3;
    /// `now` is for the form with a date), or `retry_ms=NUMBER` in the reason of its Close frame.
    #[must_use]
    pub fn retry_hint(&self, now: SystemTime) -> Option<Duration> {
        if let Some(closed) = &self.closed {
            return (closed.by == Side::Peer)
                .then(|| hint_in_reason(&closed.reason))
                .flatten();
        }
        let refused = self.error.as_ref()?.rejection()?;
        hint_in_headers(&refused.headers, now)
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.error, &self.closed) {
            (Some(error), _) => error.fmt(f),
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

/// The number behind `retry_ms=`, wherever that begins a word.
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
    // A date that has passed means now.
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
        // Ours is no wish of the server.
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
