//! The head of the PROXY protocol, which comes before the first byte of the client.

use std::{io, net::SocketAddr};

use sockeye_proto::handshake::ProxyHead;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::tls::TlsAcceptor;

/// How the connections of one address begin.
#[derive(Clone)]
pub(crate) struct AcceptSettings {
    pub(crate) preface: Preface,
    pub(crate) tls: Option<TlsAcceptor>,
}

/// What comes before the first byte of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preface {
    Nothing,
    /// The head of the PROXY protocol, version 1 or 2.
    ProxyHead,
}

/// Reads the head of the PROXY protocol and not one byte more: what follows comes from the client and may be TLS.
/// Returns the client's address, if the proxy names one.
///
/// # Errors
///
/// The connection begins with something else, or ends within the head.
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
