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
        farewell::Farewell,
        handoff::{
            handoff::Handoff,
            orders::{Order, Orders},
        },
    },
};

/// All workers of a server, as the rest of it sees them.
pub(crate) struct Workers {
    workers: Vec<Arc<Orders>>,
    /// Counts adoptions, to spread them.
    taken_over: AtomicUsize,
}

impl Workers {
    pub(crate) fn new(workers: Vec<Arc<Orders>>) -> Self {
        Self {
            workers,
            taken_over: AtomicUsize::new(0),
        }
    }

    /// Gives the connection to one of the workers.
    pub(crate) fn take_over(&self, handoff: Handoff) {
        let turn = self.taken_over.fetch_add(1, Ordering::Relaxed);
        let worker = &self.workers[turn % self.workers.len()];
        worker.post(Order::TakeOver(Box::new(handoff)));
    }

    /// Says goodbye to whoever comes from now on; those who are here are returned.
    pub(crate) async fn begin_farewell(&self, farewell: &Farewell) -> Vec<Session> {
        let ask = |worker: &Arc<Orders>| {
            let (roll, sessions) = oneshot::channel();
            worker.post(Order::Farewell {
                farewell: Box::new(farewell.clone()),
                roll: Some(roll),
            });
            sessions
        };
        let rolls: Vec<_> = self.workers.iter().map(ask).collect();
        let mut sessions = Vec::new();
        for roll in rolls {
            // A worker that has gone has no sessions.
            sessions.extend(roll.await.unwrap_or_default());
        }
        sessions
    }

    /// Says goodbye to all, at once.
    pub(crate) fn farewell(&self, farewell: &Farewell) {
        for worker in &self.workers {
            worker.post(Order::Farewell {
                farewell: Box::new(farewell.clone()),
                roll: None,
            });
        }
    }

    /// Tells that the server's phase has changed.
    pub(crate) fn tell_phase(&self) {
        for worker in &self.workers {
            worker.post(Order::Phase);
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew")
            .field("workers", &self.workers.len())
            .finish()
    }
}
