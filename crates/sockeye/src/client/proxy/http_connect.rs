//! A tunnel through an HTTP proxy: RFC 9110 section 9.3.6.

use crate::{
    Limits,
    client::{
        exchange::{Exchange, ExchangeError},
        proxy::server::ProxyServer,
    },
    connection::Stream,
    error::{Error, ErrorKind},
};

/// Asks the proxy at the other end of `stream` to lead it on to `authority`.
///
/// # Errors
/// [`ErrorKind::Proxy`] with the proxy's answer if that isn't a 2xx, without if it isn't HTTP.
///
/// Cancel safety: the stream is of no use after a cancelled call.
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
        let refused = exchange.read_refused().await;
        return Err(Error::new(
            ErrorKind::Proxy,
            format!("{name} answered {status} to CONNECT {authority}"),
        )
        .with_rejection(refused));
    }
    // A 2xx has no body, whatever its fields say. What follows comes from the server, and that
    // speaks after us, in TLS and in HTTP.
    if !exchange.into_leftover().is_empty() {
        return Err(Error::new(
            ErrorKind::Proxy,
            format!("{name} sent something behind its answer to CONNECT"),
        ));
    }
    Ok(())
}
