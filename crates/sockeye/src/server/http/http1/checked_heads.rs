//! An HTTP/1.1 stream on which every head is checked before hyper reads it.

use std::{
    future::Future as _,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use sockeye_proto::handshake::BodyLength;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Duration, Instant, Sleep},
};

use crate::{
    connection::Stream,
    handshake::{Refusal, Tls},
    server::{
        admit::RequestKind,
        http::http1::{
            chunks::{ChunkScan, Chunks},
            request_cycle::{CheckedHead, CycleStage, RequestCycle},
            write_timeout::{WriteTimeout, arm, poll_timer},
        },
        http_settings::HttpSettings,
        shared::ServerShared,
    },
    time::later,
};

/// An HTTP/1.1 stream on which every head is checked before hyper reads it, by the same rules as the first one; hyper
/// itself is more lenient. All time limits of reading and writing are here, too.
///
/// ```text
///   Head ──whole──> Pass ──> Body | Chunked ──> Head
///    │ └─websocket─> Pass ──> Opaque
///    └───bad, late─> Pass (a substitute head) ──> Closed
/// ```
pub(super) struct CheckedHeads<S> {
    stream: S,
    /// Bytes that were read: `passed <= bytes.len()`. No memory while it is empty and idle.
    bytes: Vec<u8>,
    passed: usize,
    read_state: HttpReadState,
    request_cycle: RequestCycle,
    context: HeadContext,
    /// When the first byte of the current head came.
    head_began: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    writing: WriteTimeout,
    /// When something was last written: a peer that reads an answer isn't idle.
    written: Instant,
    lingering: Option<Lingering>,
}

/// What the check of a head needs to know.
pub(super) struct HeadContext {
    pub(super) shared: Arc<ServerShared>,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) tls: Tls,
}

/// What the reader does next.
#[derive(Clone, Copy, Debug)]
enum HttpReadState {
    CheckedHead,
    /// Passes this many of `bytes` to hyper, and goes on with `Next`.
    Pass(usize, Next),
    /// Passes on the rest of a body of known length, in bytes.
    Body(u64),
    Chunked(Chunks),
    /// Passes everything on: the bytes are no longer HTTP.
    Opaque,
    /// Passes nothing on: the peer has sent its last request.
    Closed,
}

/// What follows bytes that are passed on unchanged.
#[derive(Clone, Copy, Debug)]
enum Next {
    Body(BodyLength),
    Chunked(Chunks),
    CheckedHead,
    Opaque,
    Closed,
}

/// The time after our last byte in which the peer can read it.
struct Lingering {
    left: usize,
    until: Pin<Box<Sleep>>,
}

impl<S: Stream> CheckedHeads<S> {
    /// Wraps `stream`, from which `bytes` were read before.
    pub(super) fn new(
        stream: S,
        bytes: Vec<u8>,
        request_cycle: RequestCycle,
        context: HeadContext,
    ) -> Self {
        let writing = WriteTimeout::new(context.http().send_timeout);
        Self {
            stream,
            bytes,
            passed: 0,
            read_state: HttpReadState::CheckedHead,
            request_cycle,
            context,
            head_began: Some(Instant::now()),
            timer: None,
            writing,
            written: Instant::now(),
            lingering: None,
        }
    }

    /// Passes bytes on to hyper, or the end of the stream.
    fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.read_state {
                HttpReadState::CheckedHead => match ready!(self.poll_head(cx))? {
                    Some(read_state) => self.read_state = read_state,
                    None => return Poll::Ready(Ok(())),
                },
                HttpReadState::Pass(left, next) => {
                    let taken = self.pass_bytes(buffer, left);
                    self.read_state = match left - taken {
                        0 => next.into(),
                        left => HttpReadState::Pass(left, next),
                    };
                    return Poll::Ready(Ok(()));
                }
                HttpReadState::Body(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX);
                    let taken = ready!(self.poll_through(cx, buffer, here))?;
                    let left = left - taken as u64;
                    self.read_state = Next::Body(BodyLength::Bytes(left)).into();
                    return Poll::Ready(Ok(()));
                }
                HttpReadState::Chunked(chunks) => match ready!(self.poll_chunks(cx, chunks))? {
                    Some(read_state) => self.read_state = read_state,
                    None => return Poll::Ready(Ok(())),
                },
                HttpReadState::Opaque => {
                    return self.poll_through(cx, buffer, usize::MAX).map_ok(|_| ());
                }
                // hyper closes the connection after its answer.
                HttpReadState::Closed => return Poll::Pending,
            }
        }
    }

    /// Returns what the reader does after the next head. `None` if the stream ends without one.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<HttpReadState>>> {
        loop {
            let stage = self.request_cycle.stage(cx);
            match stage {
                CycleStage::HeadAhead => return Poll::Pending,
                CycleStage::Opaque => return Poll::Ready(Ok(Some(HttpReadState::Opaque))),
                CycleStage::Answering | CycleStage::Idle(_) => {}
            }
            // The timeouts of a peer don't run while an answer is in progress.
            let idle_since = match stage {
                CycleStage::Idle(since) if !self.writing.is_waiting() => {
                    Some(since.max(self.written))
                }
                _ => None,
            };
            self.forget_passed();
            if !self.bytes.is_empty() {
                let began = *self.head_began.get_or_insert_with(Instant::now);
                if let Some(read_state) = self.classify() {
                    return Poll::Ready(Ok(Some(read_state)));
                }
                let limit = self.context.shared.settings.limits.handshake_timeout;
                arm(&mut self.timer, later(began, limit));
            } else if let Some(since) = idle_since {
                let limit = self.context.http().keepalive_timeout;
                arm(&mut self.timer, later(since, limit));
            }
            match self.poll_fill(cx)? {
                Poll::Ready(0) => return Poll::Ready(Ok(None)),
                Poll::Ready(_) => continue,
                Poll::Pending => {}
            }
            if idle_since.is_some() {
                ready!(poll_timer(&mut self.timer, cx));
                return Poll::Ready(Ok(match self.bytes.is_empty() {
                    true => None,
                    false => Some(self.refuse(Refusal::too_late())),
                }));
            }
            return Poll::Pending;
        }
    }

    /// Returns what the reader does after the head at the beginning of `bytes`. `None` if the head is incomplete.
    fn classify(&mut self) -> Option<HttpReadState> {
        let HeadContext {
            shared,
            peer_addr,
            tls,
        } = &self.context;
        let first =
            RequestKind::classify_http1(&self.bytes, &shared.settings.limits, *peer_addr, *tls)?;
        self.head_began = None;
        let (head, head_bytes, next) = match first {
            RequestKind::Http1(head_bytes, body) => {
                (CheckedHead::Plain, head_bytes, Next::Body(body))
            }
            RequestKind::WebSocket(incoming, head_bytes) => {
                (CheckedHead::WebSocket(incoming), head_bytes, Next::Opaque)
            }
            RequestKind::Refused(refusal) => return Some(self.refuse(refusal)),
            #[cfg(feature = "http2")]
            RequestKind::Http2 => return None,
        };
        self.request_cycle.put_head(head);
        Some(HttpReadState::Pass(head_bytes, next))
    }

    /// Refuses a malformed or late head. hyper reads a substitute in its place, so that it has a request to answer.
    fn refuse(&mut self, refusal: Refusal) -> HttpReadState {
        self.request_cycle.put_head(CheckedHead::Refused(refusal));
        self.bytes = SUBSTITUTE_HEAD.to_vec();
        self.passed = 0;
        HttpReadState::Pass(SUBSTITUTE_HEAD.len(), Next::Closed)
    }

    /// Returns what the reader does with the next piece of a chunked body. `None` if the stream ends within it.
    fn poll_chunks(
        &mut self,
        cx: &mut Context<'_>,
        mut chunks: Chunks,
    ) -> Poll<io::Result<Option<HttpReadState>>> {
        self.forget_passed();
        if self.bytes.is_empty() && ready!(self.poll_fill(cx))? == 0 {
            return Poll::Ready(Ok(None));
        }
        Poll::Ready(match chunks.scan(&self.bytes) {
            ChunkScan::More => Ok(Some(HttpReadState::Pass(
                self.bytes.len(),
                Next::Chunked(chunks),
            ))),
            ChunkScan::End(bytes) => Ok(Some(HttpReadState::Pass(bytes, Next::CheckedHead))),
            ChunkScan::Broken => {
                self.read_state = HttpReadState::Closed;
                let text = "a chunk of a body is malformed";
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
        })
    }

    /// Passes up to `most` bytes on, first those that were read before. Returns their number.
    fn poll_through(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        if self.passed < self.bytes.len() {
            return Poll::Ready(Ok(self.pass_bytes(buffer, most)));
        }
        self.forget_passed();
        if most >= buffer.remaining() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
            return Poll::Ready(Ok(buffer.filled().len() - before));
        }
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let taken = part.filled().len();
        buffer.advance(taken);
        Poll::Ready(Ok(taken))
    }

    fn pass_bytes(&mut self, buffer: &mut ReadBuf<'_>, most: usize) -> usize {
        let rest = &self.bytes[self.passed..];
        let taken = rest.len().min(most).min(buffer.remaining());
        buffer.put_slice(&rest[..taken]);
        self.passed += taken;
        taken
    }

    fn forget_passed(&mut self) {
        if self.passed < self.bytes.len() {
            self.bytes.drain(..self.passed);
        } else {
            self.bytes = Vec::new();
        }
        self.passed = 0;
    }

    /// Reads more into `bytes`. Returns the number of bytes; 0 at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = [0; READ_BYTES];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        self.bytes.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }

    /// Reads the rest of what the peer sends, within limits. RFC 9112 section 9.6: closing a socket with unread bytes
    /// resets the connection, and the peer loses the answer.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(
            self.read_state,
            HttpReadState::CheckedHead | HttpReadState::Opaque
        ) {
            return Poll::Ready(());
        }
        let lingering = self.lingering.get_or_insert_with(|| Lingering {
            left: LINGER_BYTES_MAX,
            until: Box::pin(tokio::time::sleep(LINGER_TIME_MAX)),
        });
        let mut rest = [0; 1024];
        while lingering.until.as_mut().poll(cx).is_pending() {
            let mut rest = ReadBuf::new(&mut rest);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut rest)) {
                Ok(()) if !rest.filled().is_empty() => {
                    lingering.left = lingering.left.saturating_sub(rest.filled().len());
                }
                _ => return Poll::Ready(()),
            }
            if lingering.left == 0 {
                return Poll::Ready(());
            }
        }
        Poll::Ready(())
    }

    fn is_opaque(&self) -> bool {
        matches!(self.read_state, HttpReadState::Opaque)
    }
}

impl HeadContext {
    fn http(&self) -> &HttpSettings {
        &self.shared.http
    }
}

impl From<Next> for HttpReadState {
    fn from(next: Next) -> Self {
        match next {
            Next::Body(BodyLength::Bytes(0)) | Next::CheckedHead => Self::CheckedHead,
            Next::Body(BodyLength::Bytes(bytes)) => Self::Body(bytes),
            Next::Body(BodyLength::Chunked) => Self::Chunked(Chunks::default()),
            Next::Chunked(chunks) => Self::Chunked(chunks),
            Next::Opaque => Self::Opaque,
            Next::Closed => Self::Closed,
        }
    }
}

impl<S: Stream> AsyncRead for CheckedHeads<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_pass(cx, buffer)
    }
}

impl<S: Stream> AsyncWrite for CheckedHeads<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .limit_write(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .limit_write(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().limit_write(cx, S::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(this.limit_write(cx, S::poll_shutdown))?;
        }
        this.poll_linger(cx).map(Ok)
    }
}

impl<S: Stream> CheckedHeads<S> {
    /// Writes, and limits how long a write may be pending. A WebSocket has limits of its own.
    fn limit_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let polled = write(Pin::new(&mut self.stream), cx);
        if polled.is_ready() {
            self.written = Instant::now();
        }
        match self.is_opaque() {
            true => polled,
            false => self.writing.limit(polled, cx),
        }
    }
}

/// The request that hyper reads in place of a refused one.
const SUBSTITUTE_HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";

/// Bytes. Most heads fit one read; cookies and tokens make some longer.
const READ_BYTES: usize = 4096;

/// Bytes of a refused request that are read and discarded.
const LINGER_BYTES_MAX: usize = 64 << 10;

/// How long the peer has to read a refusal and close.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);
