//! All workers of a server.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::oneshot;

use crate::{
    connection::Session,
    server::{
        closing_notice::ClosingNotice,
        handoff::{
            handoff::Handoff,
            orders::{Order, Orders},
        },
    },
};

/// All workers of a server, seen from tokio.
pub(crate) struct Workers {
    workers: Vec<Arc<Orders>>,
    /// Counts assigned connections, to spread them evenly.
    assigned: AtomicUsize,
}

impl Workers {
    pub(crate) fn new(workers: Vec<Arc<Orders>>) -> Self {
        Self {
            workers,
            assigned: AtomicUsize::new(0),
        }
    }

    /// Assigns the connection to one of the workers, in turn.
    pub(crate) fn assign(&self, handoff: Handoff) {
        let turn = self.assigned.fetch_add(1, Ordering::Relaxed);
        let worker = &self.workers[turn % self.workers.len()];
        worker.post(Order::Serve(Box::new(handoff)));
    }

    /// Closes every session that opens from now on with this notice, and returns the sessions that are open.
    pub(crate) async fn begin_closing(&self, closing_notice: &ClosingNotice) -> Vec<Session> {
        let ask = |worker: &Arc<Orders>| {
            let (open_sessions, sessions) = oneshot::channel();
            worker.post(Order::Close {
                closing_notice: Box::new(closing_notice.clone()),
                open_sessions: Some(open_sessions),
            });
            sessions
        };
        let answers: Vec<_> = self.workers.iter().map(ask).collect();
        let mut sessions = Vec::new();
        for open_sessions in answers {
            // A worker that has ended has no sessions.
            sessions.extend(open_sessions.await.unwrap_or_default());
        }
        sessions
    }

    /// Closes all sessions with this notice, at once.
    pub(crate) fn close_all(&self, closing_notice: &ClosingNotice) {
        for worker in &self.workers {
            worker.post(Order::Close {
                closing_notice: Box::new(closing_notice.clone()),
                open_sessions: None,
            });
        }
    }

    /// Tells all workers that the server's phase has changed.
    pub(crate) fn notify_phase(&self) {
        for worker in &self.workers {
            worker.post(Order::Phase);
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers")
            .field("workers", &self.workers.len())
            .finish()
    }
}
