//! What a proxy says before the first byte of the peer.

use std::{io, net::SocketAddr};

use sockeye_proto::handshake::ProxyHead;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_rustls::TlsAcceptor;

/// How connections begin that are accepted at one address.
#[derive(Clone)]
pub(crate) struct Ways {
    pub(crate) preface: Preface,
    pub(crate) tls: Option<TlsAcceptor>,
}

/// What comes before the first byte of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preface {
    Nothing,
    /// The head of the PROXY protocol.
    ProxyHead,
}

/// Reads the head of the PROXY protocol and not one byte more: what follows is the peer's, maybe TLS.
/// Returns for whom the proxy speaks, if it says.
///
/// # Errors
///
/// The connection begins with something else, or ends.
pub(crate) async fn read_proxy_head(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<SocketAddr>> {
    let mut head = Vec::new();
    loop {
        let parsed = ProxyHead::parse(&head);
        match parsed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            ProxyHead::Whole { source, .. } => return Ok(source),
            ProxyHead::More(more) => {
                // Bounded by `ProxyHead::BYTES_MAX`.
                let read = head.len();
                head.resize(read + more, 0);
                stream.read_exact(&mut head[read..]).await?;
            }
        }
    }
}
