//! When those who are away were last seen.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::UnixMillis;

/// Last-seen times, by client and by age.
#[derive(Debug, Default)]
pub(super) struct Seen {
    by_client: HashMap<Arc<str>, UnixMillis>,
    /// The same pairs, oldest first.
    by_age: BTreeSet<(UnixMillis, Arc<str>)>,
}

impl Seen {
    /// Notes that the client was seen at `at`, unless it was seen later already.
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

    /// Forgets the client.
    pub(super) fn remove(&mut self, client: &Arc<str>) -> Option<UnixMillis> {
        let at = self.by_client.remove(client)?;
        self.by_age.remove(&(at, Arc::clone(client)));
        Some(at)
    }

    /// Forgets the one who was seen longest ago.
    pub(super) fn forget_oldest(&mut self) -> Option<Arc<str>> {
        let (_, client) = self.by_age.pop_first()?;
        self.by_client.remove(&client);
        Some(client)
    }

    pub(super) fn at(&self, client: &str) -> Option<UnixMillis> {
        self.by_client.get(client).copied()
    }

    /// The oldest time kept.
    pub(super) fn oldest(&self) -> Option<UnixMillis> {
        self.by_age.first().map(|(at, _)| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.by_client.len()
    }
}
