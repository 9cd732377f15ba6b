//! One HTTP/1.1 request and its response, from a server or from a proxy.

use std::{fmt, io, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sockeye_proto::handshake::{HeadError, Header, ResponseHead};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use crate::{
    Limits,
    connection::Stream,
    error::{Error, ErrorKind, Rejection},
};

/// One request and its response. Call [`send`](Self::send), then [`read_head`](Self::read_head), then the rest.
///
/// ```text
///   send ──> read_head ──┬──> head, status, headers ──> into_leftover (101, or 2xx to CONNECT)
///             ^      │   └──> read_rejection ──> Rejection            (any other status)
///             └──────┘ interim responses
/// ```
pub(crate) struct Exchange<'a, S> {
    stream: &'a mut S,
    limits: &'a Limits,
    /// What was read, without interim responses.
    buffer: Vec<u8>,
    /// 0 until the head is complete. Then `buffer[..head_bytes]` parses as a head.
    head_bytes: usize,
}

impl<'a, S: Stream> Exchange<'a, S> {
    pub(crate) fn new(stream: &'a mut S, limits: &'a Limits) -> Self {
        Self {
            stream,
            limits,
            buffer: Vec::new(),
            head_bytes: 0,
        }
    }

    /// Sends the request.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<(), ExchangeError> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Reads until the head of the final response is complete.
    ///
    /// # Cancel safety
    ///
    /// Keeps what was read. May be called again.
    pub(crate) async fn read_head(&mut self) -> Result<(), ExchangeError> {
        let mut interim_responses = 0;
        loop {
            if is_tls(&self.buffer) {
                return Err(ExchangeError::Tls);
            }
            ResponseHead::unfold(&mut self.buffer);
            match ResponseHead::parse(&self.buffer, self.limits)? {
                Some((head, bytes)) if is_interim(head.status) => {
                    interim_responses += 1;
                    if interim_responses > INTERIM_RESPONSES_MAX {
                        return Err(ExchangeError::TooManyInterim);
                    }
                    self.buffer.drain(..bytes);
                }
                Some((_, bytes)) => {
                    self.head_bytes = bytes;
                    return Ok(());
                }
                None => {
                    if self.read_more().await? == 0 {
                        return Err(ExchangeError::Ended);
                    }
                }
            }
        }
    }

    /// Returns the head; `None` before [`read_head`](Self::read_head).
    pub(crate) fn head(&self) -> Option<ResponseHead<'_>> {
        let head = ResponseHead::parse(&self.buffer[..self.head_bytes], self.limits);
        head.ok().flatten().map(|(head, _)| head)
    }

    pub(crate) fn status(&self) -> StatusCode {
        let status = self.head().map(|head| head.status);
        status
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        self.head()
            .map_or_else(HeaderMap::new, |head| header_map(&head.headers))
    }

    /// Returns status, header fields and body. Reads the body for at most [`REJECTION_BODY_TIMEOUT`] and up to
    /// [`Limits::head_bytes_max`]. A part of a body still helps to find out why the server refused.
    ///
    /// # Cancel safety
    ///
    /// Keeps what was read; [`rejection`](Self::rejection) returns it.
    pub(crate) async fn read_rejection(&mut self) -> Rejection {
        let reading = async {
            let bytes_max = self.limits.head_bytes_max;
            while !self.body().1 && self.buffer.len() - self.head_bytes < bytes_max {
                match self.read_more().await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        };
        let _ = timeout(REJECTION_BODY_TIMEOUT, reading).await;
        self.rejection()
    }

    /// Returns status, header fields and what was read of the body.
    pub(crate) fn rejection(&self) -> Rejection {
        let (mut body, _) = self.body();
        body.truncate(self.limits.head_bytes_max);
        Rejection {
            status: self.status(),
            headers: self.headers(),
            body,
        }
    }

    /// Returns the bytes that came after the head.
    pub(crate) fn into_leftover(mut self) -> Vec<u8> {
        self.buffer.split_off(self.head_bytes)
    }

    /// Returns what was read of the body, and whether that is all of it (RFC 9112 section 6.3).
    fn body(&self) -> (Vec<u8>, bool) {
        let headers = self.headers();
        let rest = &self.buffer[self.head_bytes..];
        if matches!(
            self.status(),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        ) {
            return (Vec::new(), true);
        }
        let coding = headers.get(header::TRANSFER_ENCODING);
        if coding.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked")) {
            return unchunked(rest);
        }
        let length = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse::<usize>().ok());
        match length {
            Some(length) => (
                rest[..rest.len().min(length)].to_vec(),
                rest.len() >= length,
            ),
            None => (rest.to_vec(), false),
        }
    }

    async fn read_more(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ_BYTES);
        // Limited, so that the buffer can exceed its limits by one read at most.
        let mut limited = (&mut *self.stream).take(READ_BYTES as u64);
        limited.read_buf(&mut self.buffer).await
    }
}

/// Collects the fields of a head, in their order and with all values of a name. Leaves out a field that a map can't
/// hold.
pub(crate) fn header_map(fields: &[Header<'_>]) -> HeaderMap {
    fields
        .iter()
        .filter_map(|field| {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(field.value).ok()?))
        })
        .collect()
}

/// Returns whether these bytes begin with a TLS record, an alert or a handshake (RFC 8446 section 5.1). A
/// server that expects a ClientHello answers a request with one.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 0x03, ..])
}

/// Returns whether another response follows (RFC 9110 section 15.2). After a WebSocket's request, 101 is
/// final.
fn is_interim(status: u16) -> bool {
    (100..200).contains(&status) && status != 101
}

/// Joins the chunks in `bytes`, and returns whether the last one is there (RFC 9112 section 7.1).
fn unchunked(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    let mut rest = bytes;
    loop {
        let Some(line_bytes) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return (body, false);
        };
        let size = rest[..line_bytes].split(|byte| *byte == b';').next();
        let size = size
            .and_then(|size| str::from_utf8(size).ok())
            .and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        // A malformed size: the rest of the body can't be read.
        let Some(size) = size else {
            return (body, true);
        };
        rest = &rest[line_bytes + 2..];
        body.extend_from_slice(&rest[..rest.len().min(size)]);
        if size == 0 {
            return (body, true);
        }
        match rest.get(size..).and_then(|rest| rest.get(2..)) {
            Some(next) => rest = next,
            None => return (body, false),
        }
    }
}

/// The time for the body of a rejection, from the end of its head. A body may have no end, and the head matters more.
pub(crate) const REJECTION_BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes. More than a TCP segment: a response to a handshake seldom has more than 500 bytes.
const READ_BYTES: usize = 4 << 10;

/// Responses, such as 103 (Early Hints). Servers send two at most.
const INTERIM_RESPONSES_MAX: usize = 8;

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum ExchangeError {
    /// The connection failed.
    Io(io::Error),
    /// The peer ended the connection before its response was complete.
    Ended,
    /// The response isn't HTTP/1.1, or exceeds a limit.
    Head(HeadError),
    /// More than [`INTERIM_RESPONSES_MAX`] interim responses.
    TooManyInterim,
    /// The peer answered with TLS.
    Tls,
}

impl ExchangeError {
    /// Makes an error that names `peer`. `kind` is that of a malformed response.
    pub(crate) fn into_error(self, kind: ErrorKind, peer: &str) -> Error {
        let kind = match &self {
            Self::Io(_) | Self::Ended => ErrorKind::Io,
            Self::Head(
                HeadError::TargetTooLong | HeadError::TooLarge | HeadError::TooManyHeaders,
            )
            | Self::TooManyInterim => ErrorKind::Limit,
            Self::Head(_) | Self::Tls => kind,
        };
        match self {
            Self::Io(error) => {
                Error::new(kind, format!("{peer}: reading the response failed")).with_source(error)
            }
            other => Error::new(kind, format!("{peer}: {other}")),
        }
    }
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<HeadError> for ExchangeError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Ended => f.write_str("the connection ended before the response"),
            Self::Head(HeadError::TargetTooLong) => f.write_str("the response head is too large"),
            Self::Head(error) => write!(f, "the response can't be read: {error}"),
            Self::TooManyInterim => f.write_str("too many interim responses"),
            Self::Tls => {
                f.write_str("the server speaks TLS on this port: use `wss:` (`https:` for a proxy)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    async fn stream_with(bytes: &[u8]) -> DuplexStream {
        let (ours, mut theirs) = duplex(1 << 20);
        theirs.write_all(bytes).await.unwrap();
        ours
    }

    async fn rejection(bytes: &[u8]) -> Rejection {
        let mut stream = stream_with(bytes).await;
        let limits = Limits::default();
        let mut reader = Exchange::new(&mut stream, &limits);
        reader.read_head().await.unwrap();
        reader.read_rejection().await
    }

    async fn assert_head_is_over_the_limit(reader: &mut Exchange<'_, DuplexStream>) {
        let error = reader.read_head().await.unwrap_err();
        let error = error.into_error(ErrorKind::Handshake, "peer");
        assert_eq!(error.kind(), ErrorKind::Limit);
    }

    #[tokio::test]
    async fn interim_responses_are_skipped_and_counted() {
        let early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
        let last = b"HTTP/1.1 101 Switching\r\nA: b\r\n\r\n\x81\x00";
        let mut stream = stream_with(&[&early[..], &early[..], &last[..]].concat()).await;
        let limits = Limits::default();
        let mut reader = Exchange::new(&mut stream, &limits);
        reader.read_head().await.unwrap();
        assert_eq!(reader.status(), 101);
        assert_eq!(reader.headers()["a"], "b");
        assert_eq!(reader.into_leftover(), b"\x81\x00");

        let mut stream = stream_with(&early.repeat(9)).await;
        let mut reader = Exchange::new(&mut stream, &limits);
        assert_head_is_over_the_limit(&mut reader).await;
    }

    #[tokio::test]
    async fn folded_field_is_read_as_one_line_and_frames_behind_it_stay() {
        let head = b"HTTP/1.1 101 S\r\nA: b\r\n c\r\n\td\r\nE:\r\n f\r\n\r\n\x81\x03\r\n ";
        // Wherever the bytes are split, also between a line's end and the space behind it.
        for split in 1..head.len() {
            let (ours, mut theirs) = duplex(1 << 10);
            let (mut stream, limits) = (ours, Limits::default());
            let mut reader = Exchange::new(&mut stream, &limits);
            theirs.write_all(&head[..split]).await.unwrap();
            let peer = async {
                tokio::task::yield_now().await;
                theirs.write_all(&head[split..]).await.unwrap();
                drop(theirs);
            };
            let (read, ()) = tokio::join!(reader.read_head(), peer);
            read.unwrap();
            assert_eq!(reader.headers()["a"], "b   c  \td", "split at {split}");
            assert_eq!(reader.headers()["e"], "f", "split at {split}");
        }
        let mut stream = stream_with(head).await;
        let limits = Limits::default();
        let mut reader = Exchange::new(&mut stream, &limits);
        reader.read_head().await.unwrap();
        assert_eq!(reader.into_leftover(), b"\x81\x03\r\n ");

        let mut stream = stream_with(b"HTTP/1.1 101 S\r\n A: b\r\n\r\n").await;
        let mut reader = Exchange::new(&mut stream, &limits);
        reader.read_head().await.unwrap_err();
    }

    #[tokio::test]
    async fn body_ends_where_its_framing_says() {
        let length = b"HTTP/1.1 401 No\r\nContent-Length: 3\r\n\r\nabcdef";
        assert_eq!(rejection(length).await.body, b"abc");
        let chunked = b"HTTP/1.1 401 No\r\nTransfer-Encoding: Chunked\r\n\r\n\
            3;x=y\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\nmore";
        assert_eq!(rejection(chunked).await.body, b"abc0123456789");
        let broken = b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n";
        assert_eq!(rejection(broken).await.body, b"abc");
        let until_end = b"HTTP/1.0 403 No\r\n\r\nsorry";
        assert_eq!(rejection(until_end).await.body, b"sorry");
        let huge = b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffe\r\nabc";
        assert_eq!(rejection(huge).await.body, b"abc");
    }

    #[tokio::test]
    async fn endless_head_and_endless_body_are_cut_off() {
        let limits = Limits::default();
        let head = [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'x'; 1 << 17]].concat();
        let mut stream = stream_with(&head).await;
        let mut reader = Exchange::new(&mut stream, &limits);
        assert_head_is_over_the_limit(&mut reader).await;
        assert!(reader.buffer.len() <= limits.head_bytes_max + READ_BYTES);

        let body = [b"HTTP/1.1 500 No\r\n\r\n".to_vec(), vec![b'x'; 1 << 17]].concat();
        assert_eq!(rejection(&body).await.body.len(), limits.head_bytes_max);
    }

    #[tokio::test]
    async fn what_is_not_http_is_the_peers_fault_and_an_early_end_the_networks() {
        let limits = Limits::default();
        for (bytes, kind) in [
            (&b"SSH-2.0-x\r\n"[..], ErrorKind::Handshake),
            (
                b"HTTP/1.1 101 S\r\nbad name: x\r\n\r\n",
                ErrorKind::Handshake,
            ),
            (b"", ErrorKind::Io),
            (b"HTTP/1.1 101 S\r\nA:", ErrorKind::Io),
        ] {
            let mut stream = stream_with(bytes).await;
            let mut reader = Exchange::new(&mut stream, &limits);
            let error = reader
                .read_head()
                .await
                .unwrap_err()
                .into_error(ErrorKind::Handshake, "peer");
            assert_eq!(error.kind(), kind, "{error}");
        }
    }
}
