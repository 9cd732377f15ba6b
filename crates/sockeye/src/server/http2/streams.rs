//! How many streams of a connection are open.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// How many streams of a connection are open, as far as we have to do with them.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: AtomicUsize,
    /// Told whenever `open` becomes 0.
    emptied: Notify,
}

/// One stream is open while this lives.
#[derive(Debug)]
pub(super) struct OpenStream(Arc<Inner>);

impl Streams {
    pub(super) fn open(&self) -> OpenStream {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        OpenStream(Arc::clone(&self.0))
    }

    pub(super) fn are_open(&self) -> bool {
        self.0.open.load(Ordering::Acquire) > 0
    }

    /// Waits until the last of them ends. To be looked at again: another may be open by then.
    pub(super) async fn emptied(&self) {
        self.0.emptied.notified().await;
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.emptied.notify_one();
        }
    }
}
