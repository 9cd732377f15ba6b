//! Connections that one task drives one after the other.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::{
    runtime::{Handle, Id},
    task::coop::consume_budget,
};

/// What the queue drives.
pub(crate) trait DriveOnce: Send + Sync {
    /// Reads, answers and flushes once.
    fn drive_once(self: Arc<Self>);
}

/// Connections that one task drives one after the other. Many that are busy need driving at the same time, and a task
/// for each would cost more than the driving. The queue grows until its task begins; it holds a connection once, so
/// the number of connections bounds it.
struct DriveQueue {
    runtime: Id,
    /// `None` once the task has begun.
    drivers: Mutex<Option<Vec<Arc<dyn DriveOnce>>>>,
}

thread_local! {
    /// The queue that this thread has made last. Only the queue's task owns it, so that it goes with its runtime.
    static DRIVE_QUEUE: RefCell<Weak<DriveQueue>> = const { RefCell::new(Weak::new()) };
}

/// Adds `driver` to the queue of this thread. A task of `runtime` drives it after the tasks that are ready now.
pub(crate) fn push(driver: Arc<dyn DriveOnce>, runtime: &Handle) {
    let id = runtime.id();
    let current = DRIVE_QUEUE.try_with(|queue| queue.borrow().upgrade());
    let current = current.ok().flatten().filter(|queue| queue.runtime == id);
    if let Some(queue) = current
        && let Some(drivers) = &mut *queue.drivers.lock()
    {
        return drivers.push(driver);
    }
    let queue = Arc::new(DriveQueue {
        runtime: id,
        drivers: Mutex::new(Some(vec![driver])),
    });
    // Fails on a thread that is ending. The queue then has only this driver.
    let _ = DRIVE_QUEUE.try_with(|current| current.replace(Arc::downgrade(&queue)));
    runtime.spawn(async move {
        let drivers = queue.drivers.lock().take();
        for driver in drivers.into_iter().flatten() {
            // A panic belongs to one connection and must not keep the others from their turn.
            let _ = catch_unwind(AssertUnwindSafe(|| driver.drive_once()));
            // Lets other tasks run when this one has used up its share.
            consume_budget().await;
        }
    });
}
