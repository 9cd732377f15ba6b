//! Charges what the streams of one connection have sent ahead of their readers.

use std::{
    sync::Arc,
    task::{Wake, Waker},
};

use tokio::{
    sync::Notify,
    time::{Duration, Instant, sleep_until},
};

use crate::{
    memory::{Holding, MemoryBudget},
    server::http::http2::{
        peer_activity::{INPUT_THRESHOLD_BYTES, InputLimit},
        streams::OpenStreams,
    },
};

/// Charges what the streams of one connection have sent ahead of their readers. These bytes lie in h2, where no
/// session counts them, and the readers don't notify the connection's task, so it counts them now and then.
///
/// ```text
///   ActivityStream: bytes come ──> InputLimit ──64 KiB, or a second later──> count ──> budget
///        └<── so many may come until the next count ─────────────────────┘     └──> close beyond the hard mark
/// ```
pub(super) struct UnreadBytes {
    streams: OpenStreams,
    input: Arc<InputLimit>,
    holding: Holding,
    budget_waker: Arc<BudgetWaker>,
    /// When to count next. `None` if nothing is unread and nothing has come since the last count.
    due: Option<Instant>,
}

/// What the connection has to do after a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnreadCheck {
    /// Continue.
    Continue,
    /// Close, because it holds most and memory is short.
    MustClose,
}

/// Notified by the budget that there is room, or that the connection must close.
#[derive(Default)]
struct BudgetWaker(Notify);

impl Wake for BudgetWaker {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

impl UnreadBytes {
    pub(super) fn new(budget: &MemoryBudget, streams: OpenStreams, input: Arc<InputLimit>) -> Self {
        Self {
            streams,
            input,
            holding: Holding::new(budget),
            budget_waker: Arc::default(),
            due: None,
        }
    }

    /// Waits until [`UnreadBytes::count`] is due. This is cancel safe.
    pub(super) async fn is_due(&mut self) {
        loop {
            let due = self.due.unwrap_or_else(Instant::now);
            tokio::select! {
                () = self.input.wait() => {
                    if self.input.bytes() >= INPUT_THRESHOLD_BYTES {
                        return;
                    }
                    self.due.get_or_insert_with(|| Instant::now() + COUNT_INTERVAL);
                }
                () = sleep_until(due), if self.due.is_some() => return,
                () = self.budget_waker.0.notified() => return,
            }
        }
    }

    /// Counts the unread bytes and charges them to the budget.
    pub(super) fn count(&mut self) -> UnreadCheck {
        let bytes = self.streams.unread_bytes();
        let waker = || Waker::from(Arc::clone(&self.budget_waker));
        self.holding.set(bytes, waker);
        self.due = (bytes > 0).then(|| Instant::now() + COUNT_INTERVAL);
        if self.holding.must_close() {
            tracing::warn!(bytes, "an HTTP/2 connection is closed: memory is short");
            return UnreadCheck::MustClose;
        }
        self.input.reset(match self.holding.must_wait(waker) {
            true => INPUT_SCARCE_BYTES,
            false => INPUT_THRESHOLD_BYTES,
        });
        UnreadCheck::Continue
    }
}

/// Bytes that may come between two counts beyond the soft mark, on a connection that holds much. Not 0: pings, pongs
/// and window updates come the same way. Without them the connection would seem dead, and what its streams have to
/// send would wait for ever.
const INPUT_SCARCE_BYTES: usize = 16 << 10;

/// Time from the first byte after a count to the next count, and between two counts as long as something is unread.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
