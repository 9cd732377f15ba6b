//! How many connections there are, and how many there may be.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use crate::address::{AddressPermit, AddressTable, Key};

/// A count with a limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections(Arc<ConnectionCount>);

#[derive(Debug, Default)]
struct ConnectionCount {
    open: AtomicUsize,
    /// Told whenever `open` becomes 0.
    emptied: Notify,
    addresses: Option<Arc<AddressTable>>,
}

impl Connections {
    /// None yet. `addresses` are those for which permits count.
    pub(crate) fn new(addresses: &Arc<AddressTable>) -> Self {
        Self(Arc::new(ConnectionCount {
            addresses: Some(Arc::clone(addresses)),
            ..ConnectionCount::default()
        }))
    }

    /// One more, unless there are `max`.
    pub(crate) fn admit(&self, max: usize) -> Option<Permit> {
        self.0
            .open
            .try_update(Ordering::AcqRel, Ordering::Acquire, |open| {
                (open < max).then(|| open + 1)
            })
            .ok()
            .map(|_| Permit {
                connections: Arc::clone(&self.0),
                key: None,
            })
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
pub(crate) struct Permit {
    connections: Arc<ConnectionCount>,
    /// The address for which it counts too. Not an [`AddressPermit`], which would double its size.
    key: Option<Key>,
}

impl Permit {
    /// Counts for an address too, one of the table that its connections know.
    pub(crate) fn counting_for(mut self, address: Option<AddressPermit>) -> Self {
        if let Some(address) = address {
            self.leave_address();
            self.key = Some(address.into_key());
        }
        self
    }

    /// The address for which it counts.
    pub(crate) fn key(&self) -> Option<Key> {
        self.key
    }

    fn leave_address(&mut self) {
        if let (Some(key), Some(addresses)) = (self.key.take(), &self.connections.addresses) {
            addresses.leave(key);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.leave_address();
        if self.connections.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.connections.emptied.notify_waiters();
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
