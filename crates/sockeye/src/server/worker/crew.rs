//! All workers of a server.

use std::{
    fmt, io,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    connection::Session,
    server::{
        drain::Farewell,
        shared::Shared,
        worker::{
            adoption::Adoption,
            entrance::Entrance,
            orders::{Order, Orders},
            readiness::{ReadinessLoop, Rest},
        },
    },
};

/// All workers of a server, as the rest of it sees them.
pub(crate) struct Crew {
    workers: Vec<Arc<Orders>>,
    /// Counts adoptions, to spread them.
    adopted: AtomicUsize,
}

impl Crew {
    /// So many workers, which rest until [`Crew::begin`].
    ///
    /// # Errors
    ///
    /// The system has no more descriptors.
    pub(crate) fn assemble(count: NonZero<usize>) -> io::Result<(Self, Vec<Rest>)> {
        let rests: Vec<Rest> = (0..count.get())
            .map(|_| Rest::new())
            .collect::<io::Result<_>>()?;
        let workers = rests.iter().map(|rest| Arc::clone(rest.orders())).collect();
        let crew = Self {
            workers,
            adopted: AtomicUsize::new(0),
        };
        Ok((crew, rests))
    }

    /// Starts a thread for each; `entrances` are dealt out among them.
    ///
    /// # Errors
    ///
    /// The system has no more threads.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub(crate) fn begin(
        rests: Vec<Rest>,
        entrances: Vec<Vec<Entrance>>,
        shared: &Arc<Shared>,
    ) -> io::Result<()> {
        let mut entrances = entrances.into_iter();
        for (number, rest) in rests.into_iter().enumerate() {
            let own = entrances.next().unwrap_or_default();
            let mut worker = ReadinessLoop::new(rest, own, Arc::clone(shared), Handle::current())?;
            let (name, shared) = (format!("sockeye-worker-{number}"), Arc::clone(shared));
            let thread = thread::Builder::new().name(name.clone());
            // Dropped after a panic too, the worker closes its connections and its mailbox.
            thread.spawn(move || shared.failure.watch_over(&name, || worker.run()))?;
        }
        Ok(())
    }

    /// Gives the connection to one of the workers.
    pub(crate) fn adopt(&self, adoption: Adoption) {
        let turn = self.adopted.fetch_add(1, Ordering::Relaxed);
        let worker = &self.workers[turn % self.workers.len()];
        worker.post(Order::Adopt(Box::new(adoption)));
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

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew")
            .field("workers", &self.workers.len())
            .finish()
    }
}
