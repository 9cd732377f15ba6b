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

use crate::websocket::attendant::Attendant;

/// Connections that are looked after together, by one task. Many that are busy need it at the same time: a task
/// for each would cost more than what it does. Whoever comes before it begins joins it.
struct Round {
    runtime: Id,
    /// `None` once it has begun.
    joined: Mutex<Option<Vec<Arc<Attendant>>>>,
}

thread_local! {
    /// The round that this thread has called last. Its task alone owns it: a runtime that goes down takes it along.
    static ROUND: RefCell<Weak<Round>> = const { RefCell::new(Weak::new()) };
}

/// Sees to it that `attendant` gets its turn in a task of `runtime`, after those that are ready now.
pub(crate) fn join(attendant: Arc<Attendant>, runtime: &Handle) {
    let id = runtime.id();
    let called = ROUND.try_with(|round| round.borrow().upgrade());
    let called = called.ok().flatten().filter(|round| round.runtime == id);
    if let Some(round) = called
        && let Some(joined) = &mut *round.joined.lock()
    {
        return joined.push(attendant);
    }
    let round = Arc::new(Round {
        runtime: id,
        joined: Mutex::new(Some(vec![attendant])),
    });
    // A thread that is about to end may call one for nobody else.
    let _ = ROUND.try_with(|called| called.replace(Arc::downgrade(&round)));
    runtime.spawn(async move {
        let joined = round.joined.lock().take();
        for attendant in joined.into_iter().flatten() {
            // What panics is one connection's, and the others have done nothing.
            let _ = catch_unwind(AssertUnwindSafe(|| attendant.look_after()));
            // Others have a right to their turn, too.
            consume_budget().await;
        }
    });
}
