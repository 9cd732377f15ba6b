//! The number of connections, and its limit.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use crate::address::{AddressPermit, AddressTable, Key};

/// The number of open connections. The limit is an argument of [`Connections::admit`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections(Arc<ConnectionCount>);

#[derive(Debug, Default)]
struct ConnectionCount {
    open: AtomicUsize,
    /// Notified whenever `open` becomes 0.
    emptied: Notify,
    addresses: Option<Arc<AddressTable>>,
}

impl Connections {
    /// Creates a count of 0. Permits count for client addresses in `addresses` too.
    pub(crate) fn new(addresses: &Arc<AddressTable>) -> Self {
        Self(Arc::new(ConnectionCount {
            addresses: Some(Arc::clone(addresses)),
            ..ConnectionCount::default()
        }))
    }

    /// Counts one more connection, unless there are `max`.
    pub(crate) fn admit(&self, max: usize) -> Option<Permit> {
        self.0
            .open
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| {
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

    /// Waits until no connection is open.
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

/// A permit that counts one connection until it is dropped. Connections that share a permit put it into an `Arc`.
#[derive(Debug)]
pub(crate) struct Permit {
    connections: Arc<ConnectionCount>,
    /// The address for which the permit counts, too. An [`AddressPermit`] would double the size.
    key: Option<Key>,
}

impl Permit {
    /// Has the permit count for an address too, one of the table of its [`Connections`].
    pub(crate) fn counting_for(mut self, address: Option<AddressPermit>) -> Self {
        if let Some(address) = address {
            self.leave_address();
            self.key = Some(address.into_key());
        }
        self
    }

    /// Returns the address for which the permit counts, too.
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
