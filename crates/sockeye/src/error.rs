//! The error type of this crate.

use std::{borrow::Cow, error::Error as StdError, fmt, io, sync::Arc};

use http::{HeaderMap, StatusCode};
use sockeye_proto::{Printable, ProtocolError};

use crate::{
    closed::{Closed, EndCause},
    handshake::Request,
};

/// An error: a stable [`ErrorKind`], one line for people, and the cause.
///
/// `Display` writes the error's own line. The causes follow by [`source`](StdError::source), so a program that prints the whole
/// chain, such as one with `anyhow`, prints nothing twice. [`Error::report`] writes the line and all causes.
///
/// A close with 1000, 1001 or without a code is not an error. An error is one pointer wide, so that a
/// `Result` stays small.
pub struct Error(Box<ErrorParts>);

struct ErrorParts {
    kind: ErrorKind,
    message: Cow<'static, str>,
    rejection: Option<Rejection>,
    request: Option<Arc<Request>>,
    closed: Option<Closed>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The answer of a server that refused the handshake with a status other than 101.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The HTTP status.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// The start of its body, bounded by [`crate::Limits::head_bytes_max`].
    pub body: Vec<u8>,
}

/// The class of an [`Error`]. Stable: match on this, not on the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The connection failed: reset, broken pipe, unreachable, ended without a Close frame.
    Io,
    /// TLS: certificate, version, handshake.
    Tls,
    /// The address can't be understood.
    Url,
    /// The name didn't resolve.
    Resolve,
    /// A proxy refused or broke its protocol.
    Proxy,
    /// The peer's answer to the opening handshake is not a WebSocket's.
    Handshake,
    /// The server refused with an HTTP status: see [`Error::rejection`].
    Refused,
    /// The peer broke RFC 6455 or RFC 7692 on the open connection.
    Protocol,
    /// A limit of this end was reached.
    Limit,
    /// A phase took longer than its limit.
    Timeout,
    /// The peer gave no sign of life in time: see [`crate::Settings::heartbeat`].
    Heartbeat,
    /// The connection is closing or closed, and nothing more can be sent. From [`crate::WebSocket::recv`]:
    /// the connection was closed for a reason that the program should know. See [`Error::closed`].
    Closed,
    /// A value doesn't become JSON, or a message isn't the JSON that the program asked for. The connection stays open.
    InvalidData,
    /// The program called or configured this library wrongly.
    Config,
}

impl Error {
    /// Creates an error of this kind with one line for people.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(ErrorParts {
            kind,
            message: message.into(),
            rejection: None,
            request: None,
            closed: None,
            source: None,
        }))
    }

    /// Adds a cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_rejection(mut self, rejection: Rejection) -> Self {
        self.0.rejection = Some(rejection);
        self
    }

    /// Adds the request that failed, unless there is one.
    pub(crate) fn with_request(mut self, request: Request) -> Self {
        self.0.request.get_or_insert_with(|| Arc::new(request));
        self
    }

    /// Creates the error of a send after the end. `closed` tells how the connection ended, if it has.
    pub(crate) fn not_open(closed: Option<Closed>) -> Self {
        match closed {
            Some(closed) => Self::ended(closed),
            None => Self::new(ErrorKind::Closed, "the connection is closing"),
        }
    }

    /// Creates the error of a connection that ended like this.
    pub(crate) fn ended(closed: Closed) -> Self {
        Self::new(ErrorKind::Closed, closed.to_string()).with_closed(closed)
    }

    pub(crate) fn with_closed(mut self, closed: Closed) -> Self {
        self.0.closed = Some(closed);
        self
    }

    /// Returns the error with all its causes, to be printed or logged in one line:
    /// `the TLS handshake with example.com:443 failed: invalid peer certificate: Expired`. A cause is left out if the text
    /// before it says the same already.
    ///
    /// ```
    /// use sockeye::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Config, "the settings can't be read").with_source("no such file");
    /// assert_eq!(error.to_string(), "the settings can't be read");
    /// assert_eq!(error.report().to_string(), "the settings can't be read: no such file");
    /// ```
    pub fn report(&self) -> impl fmt::Display {
        report(self)
    }

    /// Returns the class of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns how the connection ended, if it was open and this error is its end: which end closed it, with
    /// which code and reason. Every error of [`crate::WebSocket::recv`] has it.
    #[must_use]
    pub fn closed(&self) -> Option<&Closed> {
        self.0.closed.as_ref()
    }

    /// Returns the server's answer, if it refused the handshake.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        self.0.rejection.as_ref()
    }

    /// Returns the request that the client sent, if it got that far and the opening handshake failed.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        self.0.request.as_deref()
    }

    /// Returns the HTTP status, if the server refused the handshake.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.rejection().map(|rejection| rejection.status)
    }
}

/// Returns an error with all its causes, in one line of printable text.
pub(crate) fn report(error: &(dyn StdError + 'static)) -> Printable<String> {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Many errors of other crates show their causes themselves.
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    Printable(text)
}

/// Writes one line, without the causes: see [`Error::report`]. Text of the peer appears as [`Printable`] shows it.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Printable(&self.0.message))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind);
        debug.field("message", &self.0.message);
        if let Some(rejection) = &self.0.rejection {
            debug.field("rejection", rejection);
        }
        if let Some(closed) = &self.0.closed {
            debug.field("closed", closed);
        }
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::new(ErrorKind::Io, "connection failed").with_source(error)
    }
}

impl From<EndCause> for Error {
    fn from(end_cause: EndCause) -> Self {
        let (kind, message) = match end_cause {
            EndCause::Silent => (
                ErrorKind::Heartbeat,
                "the peer was pinged and gave no sign of life",
            ),
            EndCause::Stalled => (
                ErrorKind::Timeout,
                "the peer read none of the bytes that wait for it",
            ),
            EndCause::Idle => (ErrorKind::Timeout, "the peer sent no message"),
            EndCause::Expired => (ErrorKind::Timeout, "the connection's lifetime is over"),
            EndCause::Unfinished => (ErrorKind::Timeout, "the peer sent a message too slowly"),
            EndCause::Shed => (
                ErrorKind::Limit,
                "memory is short, and the connection was among those that held most",
            ),
        };
        Self::new(kind, message)
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        let kind = match error {
            ProtocolError::FrameTooBig
            | ProtocolError::MessageTooBig
            | ProtocolError::TooManyFragments => ErrorKind::Limit,
            _ => ErrorKind::Protocol,
        };
        Self::new(kind, error.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(message: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::new(ErrorKind::Io, message).with_source(source)
    }

    #[test]
    fn the_own_line_leaves_the_causes_out_and_the_report_has_each_once() {
        let error = failed("cannot dial", failed("no route", "the cable\n\u{1b}[2J"));
        assert_eq!(error.to_string(), "cannot dial");
        let report = error.report().to_string();
        assert_eq!(report, r"cannot dial: no route: the cable\n\u{1b}[2J");
        // A cause that shows its own cause, as many do.
        let error = failed("cannot dial", io::Error::other(failed("no route", "rain")));
        assert_eq!(error.report().to_string(), "cannot dial: no route: rain");
        let error = failed("cannot dial: no route", "no route");
        assert_eq!(error.report().to_string(), "cannot dial: no route");
    }
}
