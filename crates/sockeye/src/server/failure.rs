//! Panics of the server's own threads.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tokio::sync::watch;

/// Whether one of the server's own threads or tasks has panicked, and which was the first.
#[derive(Debug)]
pub(crate) struct Failure(watch::Sender<Option<Arc<str>>>);

impl Default for Failure {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Failure {
    /// Runs the work of a thread and reports its panic.
    pub(crate) fn run_thread(&self, thread: &str, work: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            self.report(&format!("the thread {thread} has panicked"));
        }
    }

    /// Logs a panic, and remembers the first one.
    pub(crate) fn report(&self, what: &str) {
        tracing::error!("{what}: a bug in the server; its connections are lost");
        self.0.send_if_modified(|failure| {
            let is_first = failure.is_none();
            failure.get_or_insert_with(|| what.into());
            is_first
        });
    }

    /// Returns the first failure, in one line.
    #[cfg(test)]
    fn what(&self) -> Option<Arc<str>> {
        self.0.borrow().clone()
    }

    /// Waits for the first failure and returns it.
    pub(crate) async fn wait(&self) -> Arc<str> {
        let mut failure = self.0.subscribe();
        loop {
            if let Some(what) = failure.borrow_and_update().clone() {
                return what;
            }
            // This can't fail, because the sender lives in `self`.
            let _ = failure.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_thread_that_panics_is_reported() {
        let failure = Failure::default();
        failure.run_thread("one", || {});
        assert_eq!(failure.what(), None);
        let (waited, ()) = tokio::join!(failure.wait(), async {
            failure.run_thread("two", || panic!("a fault"));
            failure.run_thread("three", || panic!("another one"));
        });
        assert_eq!(&*waited, "the thread two has panicked");
        assert_eq!(failure.what(), Some(waited));
    }
}
