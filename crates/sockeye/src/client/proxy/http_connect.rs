//! A tunnel through an HTTP proxy (RFC 9110 section 9.3.6).

use crate::{
    Limits,
    client::{
        exchange::{Exchange, ExchangeError},
        proxy::server::ProxyServer,
    },
    connection::Stream,
    error::{Error, ErrorKind},
};

/// Asks the proxy at the other end of `stream` to connect it to `authority`.
///
/// # Errors
///
/// [`ErrorKind::Proxy`] if the proxy doesn't answer with a 2xx. The error has the response if the proxy speaks HTTP.
///
/// # Cancel safety
///
/// Not cancel safe: after a dropped call the stream can't be used.
pub(crate) async fn tunnel<S: Stream>(
    stream: &mut S,
    proxy: &ProxyServer,
    authority: &str,
    limits: &Limits,
) -> Result<(), Error> {
    let name = format!("proxy {proxy}");
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(value) = &proxy.authorization {
        request.push_str("Proxy-Authorization: ");
        request.push_str(value);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let mut exchange = Exchange::new(stream, limits);
    let failed = |error: ExchangeError| error.into_error(ErrorKind::Proxy, &name);
    exchange.send(request.as_bytes()).await.map_err(failed)?;
    exchange.read_head().await.map_err(failed)?;
    let status = exchange.status();
    if !status.is_success() {
        let rejection = exchange.read_rejection().await;
        return Err(Error::new(
            ErrorKind::Proxy,
            format!("{name} answered {status} to CONNECT {authority}"),
        )
        .with_rejection(rejection));
    }
    // A 2xx to CONNECT has no body, whatever its fields say. Bytes after it would be the server's, and the client sends
    // first both in TLS and in HTTP.
    if !exchange.into_leftover().is_empty() {
        return Err(Error::new(
            ErrorKind::Proxy,
            format!("{name} sent bytes after its answer to CONNECT"),
        ));
    }
    Ok(())
}
