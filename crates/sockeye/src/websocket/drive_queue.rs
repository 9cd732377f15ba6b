//! Connections that are looked after together, by one task.

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

use crate::websocket::background_driver::BackgroundDriver;

/// Connections that are looked after together, by one task. Many that are busy need it at the same time: a task
/// for each would cost more than what it does. Whoever comes before it begins joins it.
struct DriveQueue {
    runtime: Id,
    /// `None` once it has begun.
    joined: Mutex<Option<Vec<Arc<BackgroundDriver>>>>,
}

thread_local! {
    /// The round that this thread has called last. Its task alone owns it: a runtime that goes down takes it along.
    static DRIVE_QUEUE: RefCell<Weak<DriveQueue>> = const { RefCell::new(Weak::new()) };
}

/// Sees to it that `background_driver` gets its turn in a task of `runtime`, after those that are ready now.
pub(crate) fn join(background_driver: Arc<BackgroundDriver>, runtime: &Handle) {
    let id = runtime.id();
    let called = DRIVE_QUEUE.try_with(|drive_queue| drive_queue.borrow().upgrade());
    let called = called
        .ok()
        .flatten()
        .filter(|drive_queue| drive_queue.runtime == id);
    if let Some(drive_queue) = called
        && let Some(joined) = &mut *drive_queue.joined.lock()
    {
        return joined.push(background_driver);
    }
    let drive_queue = Arc::new(DriveQueue {
        runtime: id,
        joined: Mutex::new(Some(vec![background_driver])),
    });
    // A thread that is about to end may call one for nobody else.
    let _ = DRIVE_QUEUE.try_with(|called| called.replace(Arc::downgrade(&drive_queue)));
    runtime.spawn(async move {
        let joined = drive_queue.joined.lock().take();
        for background_driver in joined.into_iter().flatten() {
            // What panics is one connection's, and the others have done nothing.
            let _ = catch_unwind(AssertUnwindSafe(|| background_driver.drive_once()));
            // Others have a right to their turn, too.
            consume_budget().await;
        }
    });
}
