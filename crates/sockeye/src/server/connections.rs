//! How many connections there are, and how many there may be.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// A count with a limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: AtomicUsize,
    /// Told whenever `open` becomes 0.
    emptied: Notify,
}

impl Connections {
    /// One more, unless there are `max`.
    pub(crate) fn admit(&self, max: usize) -> Option<Permit> {
        self.0
            .open
            .try_update(Ordering::AcqRel, Ordering::Acquire, |open| {
                (open < max).then(|| open + 1)
            })
            .ok()
            .map(|_| Permit(Arc::clone(&self.0)))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.open.load(Ordering::Acquire)
    }

    /// Waits until there are none.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

/// One connection is counted while its permit lives. Whoever shares it puts it into an `Arc`, so that
/// those who don't pay for none.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Inner>);

impl Drop for Permit {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_is_counted_until_its_permit_is_gone() {
        let connections = Connections::default();
        let first = connections.admit(2).unwrap();
        let second = connections.admit(2).unwrap();
        assert!(connections.admit(2).is_none());
        assert_eq!(connections.count(), 2);
        drop(second);
        assert_eq!(connections.count(), 1);
        assert!(connections.admit(2).is_some());
        drop(first);
        assert_eq!(connections.count(), 0);
    }
}
