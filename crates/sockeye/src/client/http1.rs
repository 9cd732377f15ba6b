//! The opening handshake over HTTP/1.1.

use http::{HeaderMap, header};
use sockeye_proto::handshake::{Agreed, ClientHandshake, HandshakeError};
use tokio::time::{Instant, timeout_at};

use crate::{
    Limits,
    client::{
        exchange::{Exchange, ExchangeError},
        phase::took_too_long,
        redirect::is_redirect,
    },
    connection::Stream,
    error::{Error, ErrorKind, Rejection},
    time::later,
};

/// The server's answer over HTTP/1.1.
pub(crate) enum Http1Answer {
    Opened {
        agreed: Agreed,
        /// The header fields of the response.
        headers: HeaderMap,
        /// The bytes that came after the response: the first frames.
        leftover: Vec<u8>,
    },
    Rejection(Rejection),
}

/// Sends `request`, which `handshake` made, and reads the response. `server` names the server in errors.
///
/// # Cancel safety
///
/// Not cancel safe: after a dropped call the stream can't be used.
pub(crate) async fn upgrade<S: Stream>(
    stream: &mut S,
    request: &[u8],
    handshake: &ClientHandshake,
    limits: &Limits,
    server: &str,
) -> Result<Http1Answer, Error> {
    let deadline = deadline(limits);
    let mut exchange = Exchange::new(stream, limits);
    let answered = async {
        exchange.send(request).await?;
        exchange.read_head().await
    };
    match timeout_at(deadline, answered).await {
        Ok(result) => {
            result
                .map_err(|error: ExchangeError| error.into_error(ErrorKind::Handshake, server))?;
        }
        Err(_) => return Err(handshake_took_too_long(limits, server)),
    }
    let Some(head) = exchange.head() else {
        return Err(Error::new(
            ErrorKind::Handshake,
            format!("{server} sent no response"),
        ));
    };
    match handshake.verify(&head) {
        Ok(agreed) => {
            drop(head);
            Ok(Http1Answer::Opened {
                agreed,
                headers: exchange.headers(),
                leftover: exchange.into_leftover(),
            })
        }
        Err(HandshakeError::Status(_)) => {
            drop(head);
            let rejection = exchange.rejection();
            // The body of a redirect isn't used.
            if is_redirect(rejection.status) && rejection.headers.contains_key(header::LOCATION) {
                return Ok(Http1Answer::Rejection(rejection));
            }
            let complete = timeout_at(deadline, exchange.read_rejection()).await;
            Ok(Http1Answer::Rejection(
                complete.unwrap_or_else(|_| exchange.rejection()),
            ))
        }
        Err(error) => Err(bad_answer(error, server)),
    }
}

/// Makes the error for a response that accepts the WebSocket and breaks the rules.
pub(crate) fn bad_answer(error: HandshakeError, server: &str) -> Error {
    Error::new(
        ErrorKind::Handshake,
        format!("{server} broke the opening handshake"),
    )
    .with_source(error)
}

pub(crate) fn handshake_took_too_long(limits: &Limits, server: &str) -> Error {
    took_too_long(
        limits.handshake_timeout,
        format!("the opening handshake with {server}"),
    )
}

/// Returns the time by which the handshake must be complete.
pub(crate) fn deadline(limits: &Limits) -> Instant {
    later(Instant::now(), limits.handshake_timeout)
}
