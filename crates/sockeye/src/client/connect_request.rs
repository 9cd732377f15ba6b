//! A dial from a request of crate `http`.

use http::{HeaderName, header};

use crate::client::connect::{Connect, connect};

/// Dials the URI of a request of crate `http`, with its header fields.
///
/// For programs that have made such a request for another client. The handshake writes these parts itself and ignores
/// those of the request: the method, the version, `Host`, `Connection`, `Upgrade`, `Sec-WebSocket-Key` and the like. The
/// names in `Sec-WebSocket-Protocol` are offered as by [`Connect::subprotocols`]. Extensions are ignored.
///
/// A URI without scheme and host is an error of kind [`ErrorKind::Url`](crate::ErrorKind::Url) when the result is awaited.
///
/// # Example
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let request = http::Request::get("wss://example.com/feed")
///     .header("Authorization", "Bearer abc")
///     .body(())?;
/// let websocket = sockeye::connect_request(request).await?;
/// # Ok(()) }
/// ```
pub fn connect_request(request: http::Request<()>) -> Connect {
    let (parts, ()) = request.into_parts();
    let mut connect = connect(parts.uri.to_string());
    let offers = parts.headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let names = offers.filter_map(|value| value.to_str().ok());
    let names = names.flat_map(|value| value.split(','));
    connect.subprotocols = names.map(|name| name.trim().to_owned()).collect();
    for (name, value) in &parts.headers {
        if !is_of_handshake(name) {
            connect.headers.add(name, value);
        }
    }
    connect
}

fn is_of_handshake(name: &HeaderName) -> bool {
    let is_of_message = [
        header::HOST,
        header::CONNECTION,
        header::UPGRADE,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ]
    .contains(name);
    is_of_message || name.as_str().starts_with("sec-websocket-")
}
