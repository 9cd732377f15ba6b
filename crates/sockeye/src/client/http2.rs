//! The opening handshake over HTTP/2 (RFC 8441).

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{Builder, Connection, ResponseFuture, SendRequest},
    ext::Protocol,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use sockeye_proto::handshake::{Agreed, HandshakeError};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout, timeout_at},
};

use crate::{
    Limits,
    client::{
        exchange::REJECTION_BODY_TIMEOUT,
        http1::{bad_answer, deadline, handshake_took_too_long},
        redirect::is_redirect,
        upgrade_request::UpgradeRequest,
    },
    connection::{Http2Stream, Stream},
    error::{Error, ErrorKind, Rejection},
};

/// The server's answer over HTTP/2.
pub(crate) enum Http2Answer {
    Opened {
        stream: Http2Stream<oneshot::Sender<()>>,
        agreed: Agreed,
        /// The header fields of the request.
        request_headers: HeaderMap,
        /// The header fields of the response.
        headers: HeaderMap,
    },
    Rejection(Rejection),
    /// The server speaks HTTP/2 without RFC 8441.
    Unsupported,
}

/// Opens one WebSocket in an HTTP/2 connection of its own.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub(crate) async fn upgrade(
    stream: Box<dyn Stream>,
    upgrade_request: &UpgradeRequest,
    limits: &Limits,
) -> Result<Http2Answer, Error> {
    let server = upgrade_request.target.authority();
    let request = connect_request(upgrade_request)?;
    let request_headers = request.headers().clone();
    let deadline = deadline(limits);
    let too_long = |_| handshake_took_too_long(limits, &server);
    let failed = |error: h2::Error| {
        let is_network = error.is_io() || error.reason() == Some(ENDED);
        let kind = if is_network {
            ErrorKind::Io
        } else {
            ErrorKind::Handshake
        };
        Error::new(kind, format!("{server}: HTTP/2 failed")).with_source(error)
    };

    let opened = timeout_at(deadline, open(stream, request, limits)).await;
    let (mut connection, response, body) = match opened.map_err(too_long)? {
        Ok(Some(parts)) => parts,
        Ok(None) => return Ok(Http2Answer::Unsupported),
        // RFC 9113 section 7: the client repeats such a request over HTTP/1.1.
        Err(error) if error.reason() == Some(Reason::HTTP_1_1_REQUIRED) => {
            return Ok(Http2Answer::Unsupported);
        }
        Err(error) => return Err(failed(error)),
    };
    let (head, mut recv) = response.into_parts();
    let values = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let handshake = &upgrade_request.handshake;
    match handshake.verify_connect(head.status.as_u16(), values) {
        Ok(agreed) => Ok(Http2Answer::Opened {
            stream: driven_stream(connection, body, recv),
            agreed,
            request_headers,
            headers: head.headers,
        }),
        Err(HandshakeError::Status(_)) => {
            let mut bytes = Vec::new();
            if !(is_redirect(head.status) && head.headers.contains_key(header::LOCATION)) {
                let reading = read_body(&mut recv, &mut bytes, limits.head_bytes_max);
                // A part of a body still helps to find out why the server refused.
                let reading = driven(&mut connection, reading);
                let _ = timeout_at(deadline, timeout(REJECTION_BODY_TIMEOUT, reading)).await;
            }
            Ok(Http2Answer::Rejection(Rejection {
                status: head.status,
                headers: head.headers,
                body: bytes,
            }))
        }
        Err(error) => Err(bad_answer(error, &server)),
    }
}

/// Sends the request, and returns the connection, the response and the sending half of the stream. Returns `None` if
/// the server doesn't support WebSocket over HTTP/2.
async fn open(
    stream: Box<dyn Stream>,
    request: http::Request<()>,
    limits: &Limits,
) -> Result<Option<(Driven, http::Response<RecvStream>, SendStream<Bytes>)>, h2::Error> {
    let head_bytes_max = u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX);
    let (mut send_request, mut connection): (SendRequest<Bytes>, Driven) = Builder::new()
        .enable_push(false)
        // The limit stays 0 until the server's SETTINGS come. That is how the loop below sees that they came.
        .initial_max_send_streams(0)
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_header_list_size(head_bytes_max)
        .handshake(stream)
        .await?;
    // RFC 8441 section 3: the client must not send the request before the server's SETTINGS allow it. RFC 9113
    // section 3.4: they are the server's first frame.
    let settings = poll_fn(|_| {
        if send_request.current_max_send_streams() > 0 {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    });
    driven(&mut connection, settings).await?;
    if !send_request.is_extended_connect_protocol_enabled() {
        return Ok(None);
    }
    let (response, body): (ResponseFuture, _) = send_request.send_request(request, false)?;
    let response = driven(&mut connection, response).await?;
    Ok(Some((connection, response, body)))
}

type Driven = Connection<Box<dyn Stream>, Bytes>;

/// Waits for `work` and drives the connection meanwhile. Before there is a WebSocket no task drives it.
async fn driven<T>(
    connection: &mut Driven,
    work: impl Future<Output = Result<T, h2::Error>>,
) -> Result<T, h2::Error> {
    let mut work = pin!(work);
    poll_fn(|context| {
        let ended = Pin::new(&mut *connection).poll(context);
        // `work` may have what it needs from before the end.
        if let Poll::Ready(result) = work.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        match ready!(ended) {
            Ok(()) => Poll::Ready(Err(ENDED.into())),
            Err(error) => Poll::Ready(Err(error)),
        }
    })
    .await
}

/// Makes the extended CONNECT (RFC 8441 section 4).
fn connect_request(upgrade_request: &UpgradeRequest) -> Result<http::Request<()>, Error> {
    let target = upgrade_request.target.request_target();
    let uri = format!("https://{}{target}", upgrade_request.host);
    let mut request = http::Request::builder()
        .method(Method::CONNECT)
        .uri(uri)
        .version(Version::HTTP_2)
        .extension(Protocol::from_static("websocket"))
        .body(())
        .map_err(bad_request)?;
    for (name, value) in &upgrade_request.http2_headers {
        let name: HeaderName = name.parse().map_err(bad_request)?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(bad_request)?;
        request.headers_mut().append(name, value);
    }
    Ok(request)
}

fn bad_request(error: impl Into<http::Error>) -> Error {
    Error::new(ErrorKind::Config, "the request can't be written").with_source(error.into())
}

async fn read_body(
    recv: &mut RecvStream,
    bytes: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), h2::Error> {
    while let Some(data) = recv.data().await {
        let data = data?;
        recv.flow_control().release_capacity(data.len())?;
        let room = bytes_max - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if bytes.len() == bytes_max {
            break;
        }
    }
    Ok(())
}

/// Returns the stream of a connection that has no other stream, and spawns the task that drives the connection.
fn driven_stream(
    connection: Driven,
    send: SendStream<Bytes>,
    recv: RecvStream,
) -> Http2Stream<oneshot::Sender<()>> {
    let (alive, dropped) = oneshot::channel();
    tokio::spawn(drive(connection, dropped));
    Http2Stream::new(send, recv, alive)
}

/// Drives the connection until the stream is dropped, and then for [`LINGER`].
async fn drive(connection: Driven, dropped: oneshot::Receiver<()>) {
    let dropped = async {
        let _ = dropped.await;
        sleep(LINGER).await;
    };
    tokio::select! {
        result = connection => {
            if let Err(error) = result {
                tracing::debug!(%error, "the HTTP/2 connection failed");
            }
        }
        () = dropped => {}
    }
}

/// Bytes. What a server may send before the program reads; the same for the stream and the connection, which has one
/// stream. Enough for 100 Mbit/s at 80 ms.
const WINDOW_BYTES: u32 = 1 << 20;

/// Stands for a connection that the server ended without an error and before its response.
const ENDED: Reason = Reason::NO_ERROR;

/// The time in which END_STREAM or RST_STREAM can leave after the program has dropped the stream.
const LINGER: Duration = Duration::from_secs(1);
