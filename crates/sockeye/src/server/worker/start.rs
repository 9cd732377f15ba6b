//! Workers before they work, and how they begin.

use std::{io, num::NonZero, sync::Arc, thread};

use tokio::runtime::Handle;

use crate::server::{
    handoff::Crew,
    shared::Shared,
    worker::{
        entrance::Entrance,
        readiness::{ReadinessLoop, Rest},
    },
};

/// So many workers, which rest until [`begin`].
///
/// # Errors
///
/// The system has no more descriptors.
pub(crate) fn assemble(count: NonZero<usize>) -> io::Result<(Crew, Vec<Rest>)> {
    let rests: Vec<Rest> = (0..count.get())
        .map(|_| Rest::new())
        .collect::<io::Result<_>>()?;
    let orders = rests.iter().map(|rest| Arc::clone(rest.orders()));
    Ok((Crew::new(orders.collect()), rests))
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
