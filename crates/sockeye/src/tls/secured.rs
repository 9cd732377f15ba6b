//! The offer and the result of a client's TLS handshake.

use crate::connection::Stream;

/// Which protocols a client offers (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    Http1,
    #[cfg(feature = "http2")]
    Http1AndHttp2,
}

/// A stream through TLS.
pub(crate) struct Secured {
    pub(crate) stream: Box<dyn Stream>,
    /// Whether ALPN has chosen `h2`.
    pub(crate) is_http2: bool,
}
