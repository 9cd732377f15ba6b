//! The opening handshake over HTTP/2: RFC 8441.

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
        exchange::REFUSED_BODY_TIMEOUT,
        hop::Hop,
        http1::{bad_answer, deadline, handshake_took_too_long},
        redirect::is_redirect,
    },
    connection::{Http2Stream, Stream},
    error::{Error, ErrorKind, Rejection},
};

/// What came of it.
pub(crate) enum Http2Answer {
    Opened {
        stream: Http2Stream<oneshot::Sender<()>>,
        agreed: Agreed,
        /// The fields sent.
        request: HeaderMap,
        /// The fields of the response.
        headers: HeaderMap,
    },
    Rejection(Rejection),
    /// The server has HTTP/2, but not for WebSocket.
    Unable,
}

/// Opens one WebSocket in a connection of HTTP/2 of its own.
///
/// Cancel safety: dropping the future closes the connection.
pub(crate) async fn upgrade(
    stream: Box<dyn Stream>,
    hop: &Hop,
    limits: &Limits,
) -> Result<Http2Answer, Error> {
    let (server, handshake) = (hop.target.authority(), &hop.handshake);
    let request = request(hop)?;
    let sent = request.headers().clone();
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
        Ok(None) => return Ok(Http2Answer::Unable),
        // RFC 9113 section 7: such a request is to be repeated over HTTP/1.1.
        Err(error) if error.reason() == Some(Reason::HTTP_1_1_REQUIRED) => {
            return Ok(Http2Answer::Unable);
        }
        Err(error) => return Err(failed(error)),
    };
    let (head, mut recv) = response.into_parts();
    let values = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    match handshake.verify_connect(head.status.as_u16(), values) {
        Ok(agreed) => Ok(Http2Answer::Opened {
            stream: driven_stream(connection, body, recv),
            agreed,
            request: sent,
            headers: head.headers,
        }),
        Err(HandshakeError::Status(_)) => {
            let mut bytes = Vec::new();
            if !(is_redirect(head.status) && head.headers.contains_key(header::LOCATION)) {
                let reading = read_body(&mut recv, &mut bytes, limits.head_bytes_max);
                // As much as comes: a body that breaks off is better than none.
                let reading = driven(&mut connection, reading);
                let _ = timeout_at(deadline, timeout(REFUSED_BODY_TIMEOUT, reading)).await;
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

/// The connection, the response, and the stream's sending half; none if the server can't carry a
/// WebSocket.
async fn open(
    stream: Box<dyn Stream>,
    request: http::Request<()>,
    limits: &Limits,
) -> Result<Option<(Driven, http::Response<RecvStream>, SendStream<Bytes>)>, h2::Error> {
    let head_bytes_max = u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX);
    let (mut send_request, mut connection): (SendRequest<Bytes>, Driven) = Builder::new()
        .enable_push(false)
        // Until the server's SETTINGS come, which tells us that they came.
        .initial_max_send_streams(0)
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_header_list_size(head_bytes_max)
        .handshake(stream)
        .await?;
    // RFC 8441 section 3: the request must not be sent before the server has announced the
    // protocol. RFC 9113 section 3.4: its SETTINGS are the first frame.
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

/// Does `work` while it moves the connection on: nobody else does before there is a WebSocket.
async fn driven<T>(
    connection: &mut Driven,
    work: impl Future<Output = Result<T, h2::Error>>,
) -> Result<T, h2::Error> {
    let mut work = pin!(work);
    poll_fn(|context| {
        let ended = Pin::new(&mut *connection).poll(context);
        // What came before the end still counts.
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

/// RFC 8441 section 4.
fn request(hop: &Hop) -> Result<http::Request<()>, Error> {
    let uri = format!("https://{}{}", hop.host, hop.target.request_target());
    let mut request = http::Request::builder()
        .method(Method::CONNECT)
        .uri(uri)
        .version(Version::HTTP_2)
        .extension(Protocol::from_static("websocket"))
        .body(())
        .map_err(bad_request)?;
    for (name, value) in &hop.http2_headers {
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

/// The stream of a connection that has no other.
fn driven_stream(
    connection: Driven,
    send: SendStream<Bytes>,
    recv: RecvStream,
) -> Http2Stream<oneshot::Sender<()>> {
    let (alive, dropped) = oneshot::channel();
    tokio::spawn(drive(connection, dropped));
    Http2Stream::new(send, recv, alive)
}

/// Moves the connection on for as long as the stream is held, and then for as long as the last
/// frames may take.
async fn drive(connection: Driven, dropped: oneshot::Receiver<()>) {
    let dropped = async {
        let _ = dropped.await;
        sleep(LINGER).await;
    };
    tokio::select! {
        result = connection => {
            if let Err(error) = result {
                tracing::debug!(%error, "HTTP/2 connection failed");
            }
        }
        () = dropped => {}
    }
}

/// Bytes. What a server may send ahead of our reading; the same for stream and connection, as one
/// is all there is in the other. Enough for 100 Mbit/s at 80 ms.
const WINDOW_BYTES: u32 = 1 << 20;

/// Stands for an end of the connection in good order, but before the answer.
const ENDED: Reason = Reason::NO_ERROR;

/// For END_STREAM or RST_STREAM to leave after the program has let go.
const LINGER: Duration = Duration::from_secs(1);
