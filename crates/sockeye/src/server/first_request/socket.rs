//! A TCP or Unix connection up to its first request: the head of a proxy, and TLS.

#[cfg(feature = "rustls")]
use http::StatusCode;
use tokio::time::timeout_at;

#[cfg(all(feature = "rustls", feature = "http2"))]
use crate::server::http::http2;
use crate::{
    connection::AsyncSocket,
    handshake::Tls,
    server::{
        admit::Accepted,
        first_request::{
            first_request::{deadline, read_and_serve, until_drain},
            preface::{self, AcceptSettings, Preface},
        },
    },
};
#[cfg(feature = "rustls")]
use crate::{
    handshake::{PeerCertificates, Refusal},
    server::first_request::first_request::send_refusal,
    tls::TlsAcceptor,
};

/// Serves a TCP or Unix connection. Returns when a WebSocket has begun or the connection has ended.
pub(crate) async fn handle_socket(
    mut stream: AsyncSocket,
    accept_settings: AcceptSettings,
    mut accepted: Accepted,
) {
    let deadline = deadline(&accepted);
    if accept_settings.preface == Preface::ProxyHead {
        let read = timeout_at(deadline, preface::read_proxy_head(&mut stream));
        let proxy_addr = accepted.peer_addr;
        match until_drain(&accepted.shared, read).await {
            // The client that the proxy names is the peer. A proxy that connects for itself names none.
            Some(Ok(Ok(source))) => {
                accepted.peer_addr = source.or(proxy_addr);
                accepted.capacity = match accepted.capacity.counting_for(&accepted.shared, source) {
                    Some(capacity) => capacity,
                    None => return,
                };
            }
            Some(Ok(Err(error))) => {
                return tracing::debug!(proxy_addr = proxy_addr.map(display), %error, "no PROXY head");
            }
            Some(Err(_)) => {
                return tracing::debug!(
                    proxy_addr = proxy_addr.map(display),
                    "a PROXY head took too long"
                );
            }
            None => return,
        }
    }
    let Some(tls) = accept_settings.tls else {
        return read_and_serve(stream, Tls::No, deadline, accepted).await;
    };
    #[cfg(feature = "rustls")]
    Box::pin(handle_tls(stream, tls, deadline, accepted)).await;
    #[cfg(not(feature = "rustls"))]
    match tls {}
}

/// Performs the TLS handshake, and serves what comes within TLS.
#[cfg(feature = "rustls")]
async fn handle_tls(
    stream: AsyncSocket,
    tls: TlsAcceptor,
    deadline: tokio::time::Instant,
    mut accepted: Accepted,
) {
    let peer_addr = accepted.peer_addr;
    let spoken = timeout_at(deadline, speaks_plain_http(&stream));
    match until_drain(&accepted.shared, spoken).await {
        Some(Ok(Ok(false))) => {}
        Some(Ok(Ok(true))) => return send_refusal(stream, &plain_http_on_tls()).await,
        Some(Ok(Err(error))) => {
            return tracing::debug!(peer_addr = peer_addr.map(display), %error, "no TLS");
        }
        Some(Err(_)) => {
            return tracing::debug!(peer_addr = peer_addr.map(display), "TLS took too long");
        }
        None => return,
    }
    match until_drain(&accepted.shared, timeout_at(deadline, tls.accept(stream))).await {
        Some(Ok(Ok(stream))) => {
            let tls = stream.get_ref().1;
            accepted.peer_certificates = tls.peer_certificates().map(PeerCertificates::new);
            let is_http2 = tls.alpn_protocol() == Some(b"h2");
            match is_http2 {
                #[cfg(feature = "http2")]
                true => http2::serve(stream, Tls::Yes, deadline, accepted).await,
                _ => read_and_serve(stream, Tls::Yes, deadline, accepted).await,
            }
        }
        Some(Ok(Err(error))) => {
            tracing::debug!(peer_addr = peer_addr.map(display), %error, "no TLS");
        }
        Some(Err(_)) => tracing::debug!(peer_addr = peer_addr.map(display), "TLS took too long"),
        None => {}
    }
}

/// Returns whether the peer sends plain HTTP where TLS is expected. A TLS handshake begins with the byte 22 (RFC 8446
/// section 5.1), a request with a letter of its method.
#[cfg(feature = "rustls")]
async fn speaks_plain_http(stream: &AsyncSocket) -> std::io::Result<bool> {
    let mut first = [0];
    let read = stream.peek(&mut first).await?;
    Ok(read > 0 && first[0].is_ascii_alphabetic())
}

#[cfg(feature = "rustls")]
fn plain_http_on_tls() -> Refusal {
    let text = "this port speaks TLS: use https:// or wss://\n";
    Refusal::text(StatusCode::BAD_REQUEST, text)
}
