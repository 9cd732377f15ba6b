//! Whether a thread that connections depend on has panicked.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::sync::watch;

/// Whether a thread that connections depend on has panicked, and which one was the first.
#[derive(Debug)]
pub(crate) struct Failure(watch::Sender<Option<Arc<str>>>);

impl Default for Failure {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Failure {
    /// Runs the work of a thread, and tells if it panics.
    pub(crate) fn watch_over(&self, thread: &str, work: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            self.report(&format!("the thread {thread} has panicked"));
        }
    }

    /// Tells what has panicked.
    pub(crate) fn report(&self, what: &str) {
        tracing::error!("{what}: a fault of the server, its connections are gone");
        self.0.send_if_modified(|failure| {
            let is_first = failure.is_none();
            failure.get_or_insert_with(|| what.into());
            is_first
        });
    }

    /// What has failed, in one line.
    #[cfg(test)]
    fn what(&self) -> Option<Arc<str>> {
        self.0.borrow().clone()
    }

    /// Waits until something has failed.
    pub(crate) async fn wait(&self) -> Arc<str> {
        let mut failure = self.0.subscribe();
        loop {
            if let Some(what) = failure.borrow_and_update().clone() {
                return what;
            }
            // The sender lives in `self`, so that this cannot fail.
            let _ = failure.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_thread_that_panics_is_told() {
        let failure = Failure::default();
        failure.watch_over("one", || {});
        assert_eq!(failure.what(), None);
        let (waited, ()) = tokio::join!(failure.wait(), async {
            failure.watch_over("two", || panic!("a fault"));
            failure.watch_over("three", || panic!("another one"));
        });
        assert_eq!(&*waited, "the thread two has panicked");
        assert_eq!(failure.what(), Some(waited));
    }
}
