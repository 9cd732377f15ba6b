//! The open streams of one connection.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use h2::{FlowControl, StreamId};
use tokio::sync::Notify;

/// The open streams of one connection that the server has accepted.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenStreams(Arc<StreamTable>);

#[derive(Debug, Default)]
struct StreamTable {
    /// The flow control of each stream, which knows what its reader has not read. At most `STREAMS_MAX` entries.
    open: Mutex<HashMap<StreamId, FlowControl>>,
    /// Notified whenever the last stream ends.
    emptied: Notify,
}

/// An open stream. It counts as open until this is dropped.
#[derive(Debug)]
pub(super) struct OpenStream {
    id: StreamId,
    streams: Arc<StreamTable>,
}

impl OpenStreams {
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

    /// Returns the bytes that came and were not read yet.
    pub(super) fn unread_bytes(&self) -> usize {
        self.0.lock().values().map(FlowControl::used_capacity).sum()
    }

    /// Waits until the last stream ends. The caller has to check again, because a new one may be open by then.
    pub(super) async fn emptied(&self) {
        self.0.emptied.notified().await;
    }
}

impl StreamTable {
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
        // After the lock is released: h2 has a lock of its own, and its drop of a stream may do much.
        drop(flow);
        if is_last {
            self.streams.emptied.notify_one();
        }
    }
}
