//! A connection of HTTP/1.1 on which every head is judged before hyper sees it.

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
        admit::First,
        http::http1::{
            chunks::{Chunks, Found},
            stall::{Stall, arm, poll_timer},
            turn::{Head, Stage, Turn},
        },
        http_settings::HttpSettings,
        shared::ServerShared,
    },
    time::later,
};

/// A connection of HTTP/1.1 on which every head is judged before hyper sees it, by the same rules as the
/// first one; hyper itself is more lenient. Also the one place where the reader's and the writer's time is
/// limited.
///
/// ```text
///   Head ──whole──> Pass ──> Body | Chunked ──> Head
///    │ └─websocket─> Pass ──> Opaque
///    └───bad, late─> Pass (a stand-in) ──> Closed
/// ```
pub(super) struct CheckedHeads<S> {
    stream: S,
    /// Read, and not yet passed on: `passed <= bytes.len()`. No memory while it is empty and idle.
    bytes: Vec<u8>,
    passed: usize,
    reading: Reading,
    turn: Turn,
    context: HeadContext,
    /// When the first byte of the head at hand came.
    head_began: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    writing: Stall,
    /// When something was last written: nobody is idle who reads an answer.
    written: Instant,
    lingering: Option<Lingering>,
}

/// What a head is judged with.
pub(super) struct HeadContext {
    pub(super) shared: Arc<ServerShared>,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) tls: Tls,
}

/// What comes next on a connection.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Head,
    /// So many bytes of `bytes` go to hyper, and then this.
    Pass(usize, Next),
    /// What is left of a body of known length.
    Body(u64),
    Chunked(Chunks),
    /// No HTTP any more.
    Opaque,
    /// The peer has sent its last request.
    Closed,
}

/// What comes behind bytes that are passed on as they are.
#[derive(Clone, Copy, Debug)]
enum Next {
    Body(BodyLength),
    Chunked(Chunks),
    Head,
    Opaque,
    Closed,
}

/// The time after our last byte, in which the peer can read it.
struct Lingering {
    left: usize,
    until: Pin<Box<Sleep>>,
}

impl<S: Stream> CheckedHeads<S> {
    /// `bytes` were read from `stream` already.
    pub(super) fn new(stream: S, bytes: Vec<u8>, turn: Turn, context: HeadContext) -> Self {
        let writing = Stall::new(context.http().send_timeout);
        Self {
            stream,
            bytes,
            passed: 0,
            reading: Reading::Head,
            turn,
            context,
            head_began: Some(Instant::now()),
            timer: None,
            writing,
            written: Instant::now(),
            lingering: None,
        }
    }

    /// Works until bytes were passed on, or the end was.
    fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.reading {
                Reading::Head => match ready!(self.poll_head(cx))? {
                    Some(reading) => self.reading = reading,
                    None => return Poll::Ready(Ok(())),
                },
                Reading::Pass(left, next) => {
                    let taken = self.pass_bytes(buffer, left);
                    self.reading = match left - taken {
                        0 => next.into(),
                        left => Reading::Pass(left, next),
                    };
                    return Poll::Ready(Ok(()));
                }
                Reading::Body(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX);
                    let taken = ready!(self.poll_through(cx, buffer, here))?;
                    let left = left - taken as u64;
                    self.reading = Next::Body(BodyLength::Bytes(left)).into();
                    return Poll::Ready(Ok(()));
                }
                Reading::Chunked(chunks) => match ready!(self.poll_chunks(cx, chunks))? {
                    Some(reading) => self.reading = reading,
                    None => return Poll::Ready(Ok(())),
                },
                Reading::Opaque => {
                    return self.poll_through(cx, buffer, usize::MAX).map_ok(|_| ());
                }
                // hyper closes after the answer to it.
                Reading::Closed => return Poll::Pending,
            }
        }
    }

    /// What follows from the next head; none if the connection ends without one.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Reading>>> {
        loop {
            let stage = self.turn.stage(cx);
            match stage {
                Stage::HeadAhead => return Poll::Pending,
                Stage::Opaque => return Poll::Ready(Ok(Some(Reading::Opaque))),
                Stage::Answering | Stage::Idle(_) => {}
            }
            // While an answer is under way nobody is late.
            let idle_since = match stage {
                Stage::Idle(since) if !self.writing.is_waiting() => Some(since.max(self.written)),
                _ => None,
            };
            self.forget_passed();
            if !self.bytes.is_empty() {
                let began = *self.head_began.get_or_insert_with(Instant::now);
                if let Some(reading) = self.judge() {
                    return Poll::Ready(Ok(Some(reading)));
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

    /// What `bytes` begin with, if that can be told yet.
    fn judge(&mut self) -> Option<Reading> {
        let HeadContext {
            shared,
            peer_addr,
            tls,
        } = &self.context;
        let first = First::judge_http1(&self.bytes, &shared.settings.limits, *peer_addr, *tls)?;
        self.head_began = None;
        let (head, head_bytes, next) = match first {
            First::Http1(head_bytes, body) => (Head::Plain, head_bytes, Next::Body(body)),
            First::WebSocket(incoming, head_bytes) => {
                (Head::WebSocket(incoming), head_bytes, Next::Opaque)
            }
            First::OutboxError(refusal) => return Some(self.refuse(refusal)),
            First::Http2 => return None,
        };
        self.turn.put(head);
        Some(Reading::Pass(head_bytes, next))
    }

    /// The head is bad, or late. hyper gets another one in its place, to have something to answer.
    fn refuse(&mut self, refusal: Refusal) -> Reading {
        self.turn.put(Head::OutboxError(refusal));
        self.bytes = STAND_IN.to_vec();
        self.passed = 0;
        Reading::Pass(STAND_IN.len(), Next::Closed)
    }

    /// The next piece of a chunked body; none if the connection ends within it.
    fn poll_chunks(
        &mut self,
        cx: &mut Context<'_>,
        mut chunks: Chunks,
    ) -> Poll<io::Result<Option<Reading>>> {
        self.forget_passed();
        if self.bytes.is_empty() && ready!(self.poll_fill(cx))? == 0 {
            return Poll::Ready(Ok(None));
        }
        Poll::Ready(match chunks.scan(&self.bytes) {
            Found::More => Ok(Some(Reading::Pass(self.bytes.len(), Next::Chunked(chunks)))),
            Found::End(bytes) => Ok(Some(Reading::Pass(bytes, Next::Head))),
            Found::Broken => {
                self.reading = Reading::Closed;
                let text = "a chunk of a body is malformed";
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
        })
    }

    /// Passes up to `most` bytes on, those that were read already first. How many.
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

    /// Reads more into `bytes`. How much; 0 at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = [0; READ_BYTES];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        self.bytes.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }

    /// RFC 9112 section 9.6: a socket that is closed with bytes unread resets the connection, and the answer
    /// is lost. So the rest of what the peer sends is read, within bounds.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.reading, Reading::Head | Reading::Opaque) {
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
        matches!(self.reading, Reading::Opaque)
    }
}

impl HeadContext {
    fn http(&self) -> &HttpSettings {
        &self.shared.http
    }
}

impl From<Next> for Reading {
    fn from(next: Next) -> Self {
        match next {
            Next::Body(BodyLength::Bytes(0)) | Next::Head => Self::Head,
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
            .watched(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .watched(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().watched(cx, S::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(this.watched(cx, S::poll_shutdown))?;
        }
        this.poll_linger(cx).map(Ok)
    }
}

impl<S: Stream> CheckedHeads<S> {
    /// Writes, with an eye on the time; a WebSocket has limits of its own.
    fn watched<T>(
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
            false => self.writing.watch(polled, cx),
        }
    }
}

/// What hyper answers when it isn't to see what came.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";

/// Bytes. Most heads fit one read; cookies and tokens make some longer.
const READ_BYTES: usize = 4096;

/// Bytes of a refused request that are read and thrown away.
const LINGER_BYTES_MAX: usize = 64 << 10;

/// How long a refused peer has to read its answer and close.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);
