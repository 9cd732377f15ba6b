//! How workers start.

use std::{io, num::NonZero, sync::Arc, thread};

use tokio::runtime::Handle;

use crate::server::{
    handoff::Workers,
    shared::ServerShared,
    worker::{
        acceptor::Acceptor,
        readiness::{IdleWorker, ReadinessLoop},
    },
};

/// Creates `count` workers, which receive notes and orders but run only after [`begin`].
///
/// # Errors
///
/// The process has no descriptors left.
pub(crate) fn prepare(count: NonZero<usize>) -> io::Result<(Workers, Vec<IdleWorker>)> {
    let idle_workers: Vec<IdleWorker> = (0..count.get())
        .map(|_| IdleWorker::new())
        .collect::<io::Result<_>>()?;
    let orders = idle_workers.iter().map(|idle| Arc::clone(idle.orders()));
    Ok((Workers::new(orders.collect()), idle_workers))
}

/// Starts a thread for each worker and gives it its acceptors.
///
/// # Errors
///
/// The system can't start another thread.
///
/// # Panics
///
/// Panics outside a tokio runtime.
pub(crate) fn begin(
    idle_workers: Vec<IdleWorker>,
    acceptors: Vec<Vec<Acceptor>>,
    shared: &Arc<ServerShared>,
) -> io::Result<()> {
    let mut acceptors = acceptors.into_iter();
    for (number, idle) in idle_workers.into_iter().enumerate() {
        let own = acceptors.next().unwrap_or_default();
        let mut worker = ReadinessLoop::new(idle, own, Arc::clone(shared), Handle::current())?;
        let (name, shared) = (format!("sockeye-worker-{number}"), Arc::clone(shared));
        let thread = thread::Builder::new().name(name.clone());
        // The worker is dropped after a panic too, and its drop closes its connections and its mailbox.
        thread.spawn(move || shared.failure.run_thread(&name, || worker.run()))?;
    }
    Ok(())
}
