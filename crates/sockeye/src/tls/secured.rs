//! What a TLS handshake of a client asks for and yields.

use crate::connection::Stream;

/// Which protocols to offer (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    Http1,
    #[cfg(feature = "http2")]
    Http1AndHttp2,
}

/// A stream with TLS.
pub(crate) struct Secured {
    pub(crate) stream: Box<dyn Stream>,
    /// Whether ALPN agreed to `h2`.
    pub(crate) is_http2: bool,
}
