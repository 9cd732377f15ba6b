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
}

/// What comes from the socket, between it and `Unread`. Both are in one task.
#[derive(Debug)]
pub(super) struct Input {
    /// Since somebody looked at what of it is unread.
    bytes: AtomicUsize,
    /// How many may come before somebody looks again: then nothing is read, and the task polls the connection again after
    /// that look.
    bytes_max: AtomicUsize,
    /// Told when the first of them come, and when they are [`LOOK_BYTES`] or more.
    came: Notify,
}

impl Input {
    pub(super) fn new() -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            bytes_max: AtomicUsize::new(LOOK_BYTES),
            came: Notify::new(),
        }
    }

    /// Waits until the first bytes have come, or many.
    pub(super) async fn came(&self) {
        self.came.notified().await;
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Somebody has looked: counts from 0 again.
    pub(super) fn begin_anew(&self, bytes_max: usize) {
        self.bytes.store(0, Ordering::Relaxed);
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    fn may_come(&self) -> bool {
        self.bytes() < self.bytes_max.load(Ordering::Relaxed)
    }

    fn handle_bytes(&self, bytes: usize) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before == 0 || before + bytes >= LOOK_BYTES {
            self.came.notify_one();
        }
    }
}

impl SignsOfLife {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            last: Arc::default(),
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

/// A socket that remembers when the peer last showed that it lives, and is read no faster than its input may come.
pub(super) struct Watched<S> {
    stream: S,
    signs: SignsOfLife,
    input: Arc<Input>,
    /// Whether the last write found no room.
    is_full: bool,
}

impl<S: Stream> Watched<S> {
    pub(super) fn new(stream: S, signs: SignsOfLife, input: Arc<Input>) -> Self {
        Self {
            stream,
            signs,
            input,
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
        if !this.input.may_come() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let came = buffer.filled().len() - before;
        if came > 0 {
            this.signs.note();
            this.input.handle_bytes(came);
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

/// Bytes that may come between two looks at what of them is unread.
pub(super) const LOOK_BYTES: usize = 64 << 10;
