//! What the code below hyper and the code above it share about the current request.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    handshake::{Incoming, Refusal},
    server::http::ServiceBody,
};

/// What the head of a request asks for.
#[derive(Debug)]
pub(super) enum CheckedHead {
    Plain,
    WebSocket(Box<Incoming>),
    /// The answer is this refusal, and the connection closes after it.
    Refused(Refusal),
}

/// What the code below hyper and the code above it share about the current request. Below hyper each head is checked,
/// above it the request is answered. All clones belong to one connection.
#[derive(Clone)]
pub(super) struct RequestCycle(Arc<Mutex<CycleState>>);

struct CycleState {
    /// The head that hyper has received and the service has not.
    head: Option<CheckedHead>,
    /// Whether a request is being answered.
    is_answering: bool,
    /// When the last response ended, or when the connection began.
    idle_since: Instant,
    /// Whether the bytes are no longer HTTP.
    is_opaque: bool,
    /// Wakes the reader of the connection, if it waits for a change of this state.
    reader: Option<Waker>,
}

/// The state of a connection, for its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CycleStage {
    /// hyper has received a head that the service has not: the next head must wait.
    HeadAhead,
    Answering,
    Idle(Instant),
    Opaque,
}

impl RequestCycle {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(CycleState {
            head: None,
            is_answering: false,
            idle_since: Instant::now(),
            is_opaque: false,
            reader: None,
        })))
    }

    /// Returns the state of the connection, and wakes the reader when it changes.
    pub(super) fn stage(&self, cx: &Context<'_>) -> CycleStage {
        let mut state = self.0.lock();
        state.reader = Some(cx.waker().clone());
        match (&state.head, state.is_opaque, state.is_answering) {
            (Some(_), ..) => CycleStage::HeadAhead,
            (None, true, _) => CycleStage::Opaque,
            (None, false, true) => CycleStage::Answering,
            (None, false, false) => CycleStage::Idle(state.idle_since),
        }
    }

    /// Records the head that hyper receives next.
    pub(super) fn put_head(&self, head: CheckedHead) {
        self.0.lock().head = Some(head);
    }

    /// Returns the head of the request that hyper wants answered. `None` if hyper has found a head where we have
    /// found none.
    pub(super) fn take_head(&self) -> Option<CheckedHead> {
        self.change(|state| {
            state.is_answering = true;
            state.head.take()
        })
    }

    /// Declares that the bytes of the connection are no longer HTTP.
    pub(super) fn become_opaque(&self) {
        self.change(|state| state.is_opaque = true);
    }

    fn end(&self) {
        self.change(|state| {
            state.is_answering = false;
            state.idle_since = Instant::now();
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut CycleState) -> T) -> T {
        let (changed, reader) = {
            let mut state = self.0.lock();
            (change(&mut state), state.reader.take())
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        changed
    }
}

/// The body of a response. Its drop ends the cycle of the request.
pub(super) struct ResponseBody {
    body: ServiceBody,
    request_cycle: RequestCycle,
}

impl ResponseBody {
    pub(super) fn new(body: ServiceBody, request_cycle: RequestCycle) -> Self {
        Self {
            body,
            request_cycle,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = <ServiceBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.request_cycle.end();
    }
}
