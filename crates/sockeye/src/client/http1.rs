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

/// What the server answered.
pub(crate) enum Answer {
    Opened {
        agreed: Agreed,
        /// Of the response.
        headers: HeaderMap,
        /// What came behind the response: frames already.
        leftover: Vec<u8>,
    },
    Rejection(Rejection),
}

/// Sends `request`, which `handshake` made, and reads the answer. `server` names the server, for errors.
///
/// Cancel safety: the stream is of no use after a cancelled call.
pub(crate) async fn upgrade<S: Stream>(
    stream: &mut S,
    request: &[u8],
    handshake: &ClientHandshake,
    limits: &Limits,
    server: &str,
) -> Result<Answer, Error> {
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
            format!("{server}: no response"),
        ));
    };
    match handshake.verify(&head) {
        Ok(agreed) => {
            drop(head);
            Ok(Answer::Opened {
                agreed,
                headers: exchange.headers(),
                leftover: exchange.into_leftover(),
            })
        }
        Err(HandshakeError::Status(_)) => {
            drop(head);
            let refused = exchange.refused();
            // Nobody reads the body of a redirect.
            if is_redirect(refused.status) && refused.headers.contains_key(header::LOCATION) {
                return Ok(Answer::Rejection(refused));
            }
            let complete = timeout_at(deadline, exchange.read_refused()).await;
            Ok(Answer::Rejection(
                complete.unwrap_or_else(|_| exchange.refused()),
            ))
        }
        Err(error) => Err(bad_answer(error, server)),
    }
}

/// The answer to the handshake says yes, but not as it must.
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

/// When the handshake must be through.
pub(crate) fn deadline(limits: &Limits) -> Instant {
    later(Instant::now(), limits.handshake_timeout)
}
