//! The entries of one map. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use super::{
    change::{Change, MapCondition, MapSuppression},
    limits::PAGE_BYTES_MAX,
};
use crate::{Epoch, Publication, StreamPosition};

/// The entries of one map, and the position up to which they are.
///
/// [`MapEntries::suppression`] says whether a change may happen; [`MapEntries::set`] and [`MapEntries::remove`] carry out
/// what has got its offset.
#[derive(Default)]
pub(super) struct MapEntries {
    by_key: BTreeMap<Arc<str>, Entry>,
    /// The entries that expire, by when.
    deadlines: BTreeSet<(Duration, Arc<str>)>,
    /// The offset of the last change, and the epoch of the stream. The offset is 0 where there is none.
    pub(super) position: StreamPosition,
}

/// An entry.
pub(super) struct Entry {
    /// What set it.
    pub(super) publication: Arc<Publication>,
    /// `None`: it stays. As `deadlines` has it.
    pub(super) expires_at: Option<Duration>,
    pub(super) version: u64,
    pub(super) version_epoch: Epoch,
    /// How many subscriptions hold it: as long as there are any it doesn't expire.
    pub(super) holders: u32,
}

/// A part of the entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Page {
    /// In the order of their keys.
    pub(crate) entries: Vec<Arc<Publication>>,
    /// The last key of the page, if others follow.
    pub(crate) next: Option<Arc<str>>,
}

impl MapEntries {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.by_key.get(key)
    }

    pub(super) fn entry_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.by_key.get_mut(key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_key.keys()
    }

    /// Returns why a change can't happen, if it can't.
    pub(super) fn suppression(&self, change: &Change) -> Option<MapSuppression> {
        let entry = self.get(&change.key);
        if change.data.is_none() {
            return entry.is_none().then_some(MapSuppression::KeyNotFound);
        }
        if let Some(entry) = entry
            && change.version > 0
            && (change.version_epoch.is_empty() || change.version_epoch == entry.version_epoch)
            && change.version <= entry.version
        {
            return Some(MapSuppression::Version);
        }
        match (change.condition, entry) {
            (MapCondition::IfNew, Some(_)) => Some(MapSuppression::KeyExists),
            (MapCondition::IfExists, None) => Some(MapSuppression::KeyNotFound),
            _ => None,
        }
    }

    /// Sets an entry. It keeps the holders of the entry before, and its version if it has none itself.
    pub(super) fn set(&mut self, key: &Arc<str>, mut entry: Entry) {
        if let Some(before) = self.take(key) {
            if entry.version == 0 {
                entry.version = before.version;
                entry.version_epoch = before.version_epoch;
            }
            entry.holders = before.holders;
            if entry.holders > 0 {
                entry.expires_at = None;
            }
        }
        if let Some(expires_at) = entry.expires_at {
            self.deadlines.insert((expires_at, Arc::clone(key)));
        }
        self.by_key.insert(Arc::clone(key), entry);
    }

    /// Removes an entry. Returns it.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        let (key, entry) = self.by_key.remove_entry(key)?;
        if let Some(expires_at) = entry.expires_at {
            self.deadlines.remove(&(expires_at, key));
        }
        Some(entry)
    }

    /// Moves the time at which an entry expires.
    pub(super) fn set_expiry(&mut self, key: &str, expires_at: Option<Duration>) {
        let Some((key, entry)) = self.by_key.get_key_value(key) else {
            return;
        };
        let key = Arc::clone(key);
        if let Some(before) = entry.expires_at {
            self.deadlines.remove(&(before, Arc::clone(&key)));
        }
        if let Some(expires_at) = expires_at {
            self.deadlines.insert((expires_at, Arc::clone(&key)));
        }
        if let Some(entry) = self.by_key.get_mut(&key) {
            entry.expires_at = expires_at;
        }
    }

    /// Returns when an entry expires next.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(expires_at, _)| *expires_at)
    }

    /// Returns the key of an entry whose time is over.
    pub(super) fn expired(&self, now: Duration) -> Option<Arc<str>> {
        let (expires_at, key) = self.deadlines.first()?;
        (*expires_at <= now).then(|| Arc::clone(key))
    }

    /// Makes the position that of another stream. The entries were set in one that is gone: no offset of the new one is
    /// theirs.
    pub(super) fn set_epoch(&mut self, epoch: &Epoch) {
        for entry in self.by_key.values_mut() {
            let publication = Publication {
                offset: 0,
                ..Publication::clone(&entry.publication)
            };
            entry.publication = Arc::new(publication);
        }
        self.position = StreamPosition {
            offset: 0,
            epoch: epoch.clone(),
        };
    }

    /// Returns at most `count_max` entries behind the key `after`.
    pub(super) fn page(&self, after: Option<&str>, count_max: usize) -> Page {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = self.by_key.range::<str, _>((begin, Bound::Unbounded));
        let mut page = Page::default();
        let (mut bytes, mut last) = (0, None);
        while page.entries.len() < count_max && (bytes < PAGE_BYTES_MAX) {
            let Some((key, entry)) = behind.next() else {
                return page;
            };
            bytes += cost(key, &entry.publication);
            page.entries.push(Arc::clone(&entry.publication));
            last = Some(key);
        }
        page.next = behind.next().and(last.cloned());
        page
    }
}

/// Bytes. What an entry takes, about.
pub(super) fn cost(key: &str, publication: &Publication) -> usize {
    let tags = publication.tags.iter();
    let tags: usize = tags
        .map(|(name, value)| TAG_BYTES + name.len() + value.len())
        .sum();
    let info = publication.info.as_ref().map_or(0, |info| {
        info.user.len() + info.client.len() + info.conn_info.len() + info.chan_info.len()
    });
    ENTRY_BYTES + key.len() + publication.data.len() + tags + info
}

/// Bytes. The publication and its change, the entry's places in two trees that are half full, and the counts of the `Arc`s.
const ENTRY_BYTES: usize = size_of::<Publication>()
    + size_of::<crate::MapChange>()
    + 2 * (size_of::<Entry>() + 16)
    + 2 * 32
    + 5 * 16;

/// Bytes. Two boxes, and the allocations behind them.
const TAG_BYTES: usize = 2 * 16 + 2 * 16;
