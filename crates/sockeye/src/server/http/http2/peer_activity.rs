//! A stream that remembers when its peer was last active.

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

/// When the peer was last active: it sent something, or it made room for more of our bytes after there was none.
#[derive(Clone, Debug)]
pub(super) struct PeerActivity {
    began: Instant,
    /// Nanoseconds after `began`, because an answer may come within a microsecond.
    last: Arc<AtomicU64>,
}

/// A limit on what is read from the socket until `UnreadBytes` counts what is unread. Both are used in one task.
#[derive(Debug)]
pub(super) struct InputLimit {
    /// Bytes that have come since the last count.
    bytes: AtomicUsize,
    /// Bytes that may come until the next count. Beyond that nothing is read; the task polls the connection again
    /// after the count.
    bytes_max: AtomicUsize,
    /// Notified when the first bytes come, and when there are [`INPUT_THRESHOLD_BYTES`] or more.
    came: Notify,
}

impl InputLimit {
    pub(super) fn new() -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            bytes_max: AtomicUsize::new(INPUT_THRESHOLD_BYTES),
            came: Notify::new(),
        }
    }

    /// Waits until the first bytes have come, or [`INPUT_THRESHOLD_BYTES`].
    pub(super) async fn wait(&self) {
        self.came.notified().await;
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Starts over after a count.
    pub(super) fn reset(&self, bytes_max: usize) {
        self.bytes.store(0, Ordering::Relaxed);
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    fn has_room(&self) -> bool {
        self.bytes() < self.bytes_max.load(Ordering::Relaxed)
    }

    fn handle_bytes(&self, bytes: usize) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before == 0 || before + bytes >= INPUT_THRESHOLD_BYTES {
            self.came.notify_one();
        }
    }
}

impl PeerActivity {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            last: Arc::default(),
        }
    }

    pub(super) fn last(&self) -> Instant {
        self.began + Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }

    fn record(&self) {
        let nanos = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last.store(nanos, Ordering::Relaxed);
    }
}

/// A stream that remembers when its peer was last active, and that is read no faster than [`InputLimit`] allows.
pub(super) struct ActivityStream<S> {
    stream: S,
    activity: PeerActivity,
    input: Arc<InputLimit>,
    /// Whether the last write found no room.
    is_full: bool,
}

impl<S: Stream> ActivityStream<S> {
    pub(super) fn new(stream: S, activity: PeerActivity, input: Arc<InputLimit>) -> Self {
        Self {
            stream,
            activity,
            input,
            is_full: false,
        }
    }

    fn record_write(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let was_full = std::mem::replace(&mut self.is_full, polled.is_pending());
        if was_full && matches!(polled, Poll::Ready(Ok(_))) {
            self.activity.record();
        }
        polled
    }
}

impl<S: Stream> AsyncRead for ActivityStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.input.has_room() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let came = buffer.filled().len() - before;
        if came > 0 {
            this.activity.record();
            this.input.handle_bytes(came);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for ActivityStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.record_write(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.record_write(polled)
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

/// Bytes that may come between two counts of what is unread.
pub(super) const INPUT_THRESHOLD_BYTES: usize = 64 << 10;
