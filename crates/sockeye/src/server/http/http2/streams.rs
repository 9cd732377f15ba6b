//! The streams of a connection that are open.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use h2::{FlowControl, StreamId};
use tokio::sync::Notify;

/// The streams of a connection that are open, as far as we have to do with them.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// What each of them has sent ahead of its reader. As many as the connection may have streams.
    open: Mutex<HashMap<StreamId, FlowControl>>,
    /// Told whenever the last one ends.
    emptied: Notify,
}

/// One stream is open while this lives.
#[derive(Debug)]
pub(super) struct OpenStream {
    id: StreamId,
    streams: Arc<Inner>,
}

impl Streams {
    /// Adds the stream of a request.
    pub(super) fn open(&self, received: &mut h2::RecvStream) -> OpenStream {
        let id = received.stream_id();
        self.0.lock().insert(id, received.flow_control().clone());
        OpenStream {
            id,
            streams: Arc::clone(&self.0),
        }
    }

    pub(super) fn are_open(&self) -> bool {
        !self.0.lock().is_empty()
    }

    /// Bytes that came and that nobody has read yet.
    pub(super) fn unread_bytes(&self) -> usize {
        self.0.lock().values().map(FlowControl::used_capacity).sum()
    }

    /// Waits until the last of them ends. To be looked at again: another may be open by then.
    pub(super) async fn emptied(&self) {
        self.0.emptied.notified().await;
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, FlowControl>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let (flow, is_last) = {
            let mut open = self.streams.lock();
            let flow = open.remove(&self.id);
            (flow, open.is_empty())
        };
        // Not under the lock: h2 has one of its own, and may do much when a stream is forgotten.
        drop(flow);
        if is_last {
            self.streams.emptied.notify_one();
        }
    }
}
