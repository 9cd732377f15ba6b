//! What the two sides of hyper tell each other about the request at hand.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::handshake::{Incoming, Refusal};

/// What one head of a request is.
#[derive(Debug)]
pub(super) enum Head {
    Plain,
    WebSocket(Box<Incoming>),
    /// Answered so; the connection ends then.
    OutboxError(Refusal),
}

/// What the two sides of hyper tell each other about the request at hand: below it each head is judged,
/// above it the request is answered. Clones speak of the same connection.
#[derive(Clone)]
pub(super) struct Turn(Arc<Mutex<State>>);

struct State {
    /// Of a head that hyper has got and the service not yet.
    head: Option<Head>,
    /// Whether a request is being answered.
    is_answering: bool,
    /// When the last answer ended, or the connection began.
    idle_since: Instant,
    /// Whether what comes is no HTTP any more.
    is_opaque: bool,
    /// Who reads from the connection, if it waits for one of these.
    reader: Option<Waker>,
}

/// What the reader of a connection needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A head is with hyper: the next one must wait.
    HeadAhead,
    Answering,
    Idle(Instant),
    Opaque,
}

impl Turn {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            head: None,
            is_answering: false,
            idle_since: Instant::now(),
            is_opaque: false,
            reader: None,
        })))
    }

    /// Where the connection is; the reader is woken when that changes.
    pub(super) fn stage(&self, cx: &Context<'_>) -> Stage {
        let mut state = self.0.lock();
        state.reader = Some(cx.waker().clone());
        match (&state.head, state.is_opaque, state.is_answering) {
            (Some(_), ..) => Stage::HeadAhead,
            (None, true, _) => Stage::Opaque,
            (None, false, true) => Stage::Answering,
            (None, false, false) => Stage::Idle(state.idle_since),
        }
    }

    /// A head goes to hyper.
    pub(super) fn put(&self, head: Head) {
        self.0.lock().head = Some(head);
    }

    /// The head of the request that hyper asks to answer. None if hyper has seen a head where we haven't.
    pub(super) fn begin(&self) -> Option<Head> {
        self.change(|state| {
            state.is_answering = true;
            state.head.take()
        })
    }

    /// From now on the bytes of the connection are no HTTP.
    pub(super) fn become_opaque(&self) {
        self.change(|state| state.is_opaque = true);
    }

    fn end(&self) {
        self.change(|state| {
            state.is_answering = false;
            state.idle_since = Instant::now();
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
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

/// The body of an answer. Its end is the end of the turn.
pub(super) struct Answer {
    body: axum::body::Body,
    turn: Turn,
}

impl Answer {
    pub(super) fn new(body: axum::body::Body, turn: Turn) -> Self {
        Self { body, turn }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.turn.end();
    }
}
