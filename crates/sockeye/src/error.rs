//! What can go wrong, said once.

use std::{borrow::Cow, error::Error as StdError, fmt, io, sync::Arc};

use http::{HeaderMap, StatusCode};
use sockeye_proto::{Printable, ProtocolError};

use crate::{
    closed::{Closed, EndCause},
    handshake::Request,
};

/// What went wrong: a stable [`ErrorKind`], one line for people, and the cause.
///
/// A close with 1000, 1001 or without a code is not an error. One pointer wide, so that the good path doesn't pay for it.
pub struct Error(Box<ErrorParts>);

struct ErrorParts {
    kind: ErrorKind,
    message: Cow<'static, str>,
    rejection: Option<Rejection>,
    request: Option<Arc<Request>>,
    closed: Option<Closed>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What a server answered instead of 101.
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
    /// The transport failed: reset, broken pipe, unreachable, ended without a Close frame.
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
    /// A limit of ours was reached.
    Limit,
    /// A phase took longer than its limit.
    Timeout,
    /// The peer gave no sign of life in time: see [`crate::Settings::heartbeat`].
    Heartbeat,
    /// The connection is closing or closed: nothing more can be sent; or, from
    /// [`crate::WebSocket::recv`], it was closed for a reason that the program should know. See
    /// [`Error::closed`].
    Closed,
    /// A value doesn't become JSON, or a message isn't the JSON that the program asked for. The connection stays open.
    InvalidData,
    /// We were called or configured wrongly.
    Config,
}

impl Error {
    /// An error of this kind with one line for people.
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

    /// The same with a cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_rejection(mut self, rejection: Rejection) -> Self {
        self.0.rejection = Some(rejection);
        self
    }

    /// Remembers what was asked for, unless that is known already.
    pub(crate) fn with_request(mut self, request: Request) -> Self {
        self.0.request.get_or_insert_with(|| Arc::new(request));
        self
    }

    /// Nothing more can be sent. `closed` is how the connection ended, if it has.
    pub(crate) fn not_open(closed: Option<Closed>) -> Self {
        match closed {
            Some(closed) => Self::ended(closed),
            None => Self::new(ErrorKind::Closed, "the connection is closing"),
        }
    }

    /// The connection ended like this.
    pub(crate) fn ended(closed: Closed) -> Self {
        Self::new(ErrorKind::Closed, closed.to_string()).with_closed(closed)
    }

    pub(crate) fn with_closed(mut self, closed: Closed) -> Self {
        self.0.closed = Some(closed);
        self
    }

    /// The class of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// How the connection ended, if it was open and this error is its end: who closed it, with which code
    /// and reason. Every error of [`crate::WebSocket::recv`] has it.
    #[must_use]
    pub fn closed(&self) -> Option<&Closed> {
        self.0.closed.as_ref()
    }

    /// The server's answer, if it refused the handshake.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        self.0.rejection.as_ref()
    }

    /// The request that the client sent, if it came as far as that and the opening handshake failed.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        self.0.request.as_deref()
    }

    /// The HTTP status, if the server refused the handshake.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.rejection().map(|rejection| rejection.status)
    }
}

/// One line. What the peer said in it is as [`Printable`] shows it.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Printable(&self.0.message))?;
        match &self.0.source {
            Some(source) => write!(f, ": {}", Printable(source)),
            None => Ok(()),
        }
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
                "the peer took nothing of what waits for it",
            ),
            EndCause::Idle => (ErrorKind::Timeout, "the peer sent no message"),
            EndCause::Expired => (ErrorKind::Timeout, "the connection's lifetime is over"),
            EndCause::Unfinished => (
                ErrorKind::Timeout,
                "a message of the peer's came too slowly",
            ),
            EndCause::Shed => (
                ErrorKind::Limit,
                "memory is short, and the connection held most of it",
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
