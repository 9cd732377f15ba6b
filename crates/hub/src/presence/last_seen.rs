//! The last-seen times of offline clients.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::UnixMillis;

/// The last-seen times of offline clients, by client and by age.
#[derive(Debug, Default)]
pub(super) struct LastSeen {
    by_client: HashMap<Arc<str>, UnixMillis>,
    /// The same pairs, oldest first.
    by_age: BTreeSet<(UnixMillis, Arc<str>)>,
}

impl LastSeen {
    /// Records that the client was seen at `at`, unless a later time is recorded.
    pub(super) fn note(&mut self, client: &Arc<str>, at: UnixMillis) {
        if let Some(known) = self.by_client.get_mut(client) {
            if *known >= at {
                return;
            }
            self.by_age.remove(&(*known, Arc::clone(client)));
            *known = at;
        } else {
            self.by_client.insert(Arc::clone(client), at);
        }
        self.by_age.insert((at, Arc::clone(client)));
    }

    /// Removes the client and returns its last-seen time.
    pub(super) fn remove(&mut self, client: &Arc<str>) -> Option<UnixMillis> {
        let at = self.by_client.remove(client)?;
        self.by_age.remove(&(at, Arc::clone(client)));
        Some(at)
    }

    /// Removes the client that was seen longest ago.
    pub(super) fn forget_oldest(&mut self) -> Option<Arc<str>> {
        let (_, client) = self.by_age.pop_first()?;
        self.by_client.remove(&client);
        Some(client)
    }

    pub(super) fn at(&self, client: &str) -> Option<UnixMillis> {
        self.by_client.get(client).copied()
    }

    /// Returns the oldest recorded time.
    pub(super) fn oldest(&self) -> Option<UnixMillis> {
        self.by_age.first().map(|(at, _)| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.by_client.len()
    }
}
