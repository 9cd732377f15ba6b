//! How somebody who holds much gives it up when memory is short.

use std::{
    sync::{Arc, Weak},
    task::{Wake, Waker},
};

use tokio::runtime::Handle;

/// What can give up what it holds.
pub(crate) trait Relieve: Send + Sync + 'static {
    /// Gives up what is held, if [`sockeye::MemoryHolder::must_end`] says so.
    fn relieve(&self);
}

/// Calls [`Relieve::relieve`] when it is woken, in a task of its own: the thread that wakes it may hold the lock of another holder.
struct Relief<T> {
    holder: Weak<T>,
    runtime: Option<Handle>,
}

/// Returns the waker for [`sockeye::MemoryBudget::holder`].
pub(crate) fn waker<T: Relieve>(holder: &Weak<T>) -> Waker {
    let relief = Relief {
        holder: Weak::clone(holder),
        runtime: Handle::try_current().ok(),
    };
    Arc::new(relief).into()
}

impl<T: Relieve> Wake for Relief<T> {
    fn wake(self: Arc<Self>) {
        if let Some(runtime) = &self.runtime {
            let holder = Weak::clone(&self.holder);
            runtime.spawn(async move { holder.upgrade().inspect(|holder| holder.relieve()) });
        }
    }
}
