//! What the streams of one connection have sent ahead of their readers.

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
        streams::Streams,
        watched::{Input, LOOK_BYTES},
    },
};

/// What the streams of one connection have sent ahead of their readers. It lies in h2, where no session counts it, and is
/// read without a word to the connection's task: so it is summed up now and then.
///
/// ```text
///   Watched: bytes come ──> Input ──64 KiB, or a second later──> look ──> budget
///        └<── so many may come until the next look ──────────────┘  └──> condemned beyond the hard mark
/// ```
pub(super) struct Unread {
    streams: Streams,
    input: Arc<Input>,
    holding: Holding,
    called: Arc<Called>,
    /// When to look next. `None`: nothing is unread, and nothing has come since the last look.
    due: Option<Instant>,
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Stays,
    /// It must go, because it holds most and memory is short.
    Condemned,
}

/// Told by the budget that there is room, or that the connection must go.
#[derive(Default)]
struct Called(Notify);

impl Wake for Called {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

impl Unread {
    pub(super) fn new(budget: &MemoryBudget, streams: Streams, input: Arc<Input>) -> Self {
        Self {
            streams,
            input,
            holding: Holding::new(budget),
            called: Arc::default(),
            due: None,
        }
    }

    /// Waits until it is time for [`Unread::look`]. Cancel safe.
    pub(super) async fn is_due(&mut self) {
        loop {
            let due = self.due.unwrap_or_else(Instant::now);
            tokio::select! {
                () = self.input.came() => {
                    if self.input.bytes() >= LOOK_BYTES {
                        return;
                    }
                    self.due.get_or_insert_with(|| Instant::now() + LOOK_INTERVAL);
                }
                () = sleep_until(due), if self.due.is_some() => return,
                () = self.called.0.notified() => return,
            }
        }
    }

    /// Sums it up, and charges it.
    pub(super) fn look(&mut self) -> Verdict {
        let bytes = self.streams.unread_bytes();
        let waker = || Waker::from(Arc::clone(&self.called));
        self.holding.set(bytes, waker);
        self.due = (bytes > 0).then(|| Instant::now() + LOOK_INTERVAL);
        if self.holding.must_close() {
            tracing::warn!(bytes, "an HTTP/2 connection is ended: short of memory");
            return Verdict::Condemned;
        }
        self.input.begin_anew(match self.holding.must_wait(waker) {
            true => SCARCE_BYTES,
            false => LOOK_BYTES,
        });
        Verdict::Stays
    }
}

/// Bytes that may come between two looks beyond the soft mark, of a connection that holds much. Not 0: pings, pongs and
/// windows come the same way, so that it would be taken for dead, and what its streams have to send would wait for ever.
const SCARCE_BYTES: usize = 16 << 10;

/// From the first byte that has come since a look to the next one; and between two, as long as something is unread.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
