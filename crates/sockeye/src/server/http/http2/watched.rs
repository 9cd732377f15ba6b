//! A socket that remembers when the peer last showed that it lives.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{Duration, Instant},
};

use crate::connection::Stream;

/// When the peer last showed that it lives: it sent something, or it made room for more of ours after there
/// was none.
#[derive(Clone, Debug)]
pub(super) struct SignsOfLife {
    began: Instant,
    /// Nanoseconds after `began`: an answer may come within a microsecond.
    last: Arc<AtomicU64>,
    input: Arc<Input>,
}

/// How much has come since somebody looked at what of it is unread.
#[derive(Debug, Default)]
struct Input {
    bytes: AtomicUsize,
    /// Told when it is [`LOOK_BYTES`] or more.
    is_much: Notify,
}

impl SignsOfLife {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            last: Arc::default(),
            input: Arc::default(),
        }
    }

    /// Waits until so much has come that it is worth a look at what of it is unread.
    pub(super) async fn much_input(&self) {
        self.input.is_much.notified().await;
        self.input.bytes.store(0, Ordering::Relaxed);
    }

    fn note_input(&self, bytes: usize) {
        self.note();
        if self.input.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes >= LOOK_BYTES {
            self.input.is_much.notify_one();
        }
    }

    pub(super) fn last(&self) -> Instant {
        self.began + Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }

    fn note(&self) {
        let nanos = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last.store(nanos, Ordering::Relaxed);
    }
}

/// A socket that remembers when the peer last showed that it lives.
pub(super) struct Watched<S> {
    stream: S,
    signs: SignsOfLife,
    /// Whether the last write found no room.
    is_full: bool,
}

impl<S: Stream> Watched<S> {
    pub(super) fn new(stream: S, signs: SignsOfLife) -> Self {
        Self {
            stream,
            signs,
            is_full: false,
        }
    }

    fn wrote(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let was_full = std::mem::replace(&mut self.is_full, polled.is_pending());
        if was_full && matches!(polled, Poll::Ready(Ok(_))) {
            self.signs.note();
        }
        polled
    }
}

impl<S: Stream> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let came = buffer.filled().len() - before;
        if came > 0 {
            this.signs.note_input(came);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.wrote(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Bytes that may come between two looks at what is unread.
const LOOK_BYTES: usize = 64 << 10;
