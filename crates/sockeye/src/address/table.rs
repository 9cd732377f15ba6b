//! What is known of each client address.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use indexmap::{IndexMap, map::Entry as MapEntry};
use parking_lot::Mutex;

use crate::address::{
    key::Key,
    rate::{Rate, RetryAfter},
};

/// What is known of each client address: how many connections it holds, and how often it has done something.
///
/// An address of which there is nothing to know is forgotten, some with each newcomer, so that no call looks
/// at all of them. If there is no room for a newcomer it isn't counted, and nothing is refused to it: who has
/// that many addresses isn't stopped by a limit for each, and whoever else comes must not be.
#[derive(Debug)]
pub(crate) struct AddressTable {
    /// So that threads that accept at the same time seldom wait for each other.
    shards: [Mutex<Shard>; SHARDS],
    /// Entries of a shard.
    shard_max: usize,
    hasher: RandomState,
    origin: Instant,
}

#[derive(Debug, Default)]
struct Shard {
    entries: IndexMap<Key, AddressEntry>,
    /// The entry that is looked at next, whether it can be forgotten.
    cursor: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct AddressEntry {
    connections: u32,
    /// When the whole burst is there again.
    full_at: Duration,
}

/// One connection is counted for its address while its permit lives.
#[derive(Debug)]
pub(crate) struct AddressPermit {
    /// None when somebody else sees to it that the connection is counted off.
    table: Option<Arc<AddressTable>>,
    key: Key,
}

impl AddressTable {
    /// Room for some `addresses_max` addresses.
    pub(crate) fn new(addresses_max: usize) -> Self {
        Self {
            shards: Default::default(),
            shard_max: addresses_max.div_ceil(SHARDS),
            hasher: RandomState::new(),
            origin: Instant::now(),
        }
    }

    /// Counts that an address has done it once more.
    ///
    /// # Errors
    ///
    /// It has done it too often, and this time isn't counted.
    pub(crate) fn count(&self, key: Key, rate: Rate, now: Instant) -> Result<(), RetryAfter> {
        self.with_entry(key, now, |entry, now| {
            entry.full_at = rate.count(entry.full_at, now)?;
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    /// Whether an address may do it once more, without counting it.
    pub(crate) fn check(&self, key: Key, rate: Rate, now: Instant) -> Result<(), RetryAfter> {
        let shard = self.shard(key).lock();
        match shard.entries.get(&key) {
            Some(entry) => rate.count(entry.full_at, self.at(now)).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Counts one more connection of an address, unless it has `max`. The permit is missing if the table has
    /// no room.
    pub(crate) fn enter(
        self: &Arc<Self>,
        key: Key,
        max: u32,
        now: Instant,
    ) -> Result<Option<AddressPermit>, RetryAfter> {
        let entered = self.with_entry(key, now, |entry, _| {
            if entry.connections >= max {
                return Err(RetryAfter::new(RETRY_AFTER));
            }
            entry.connections += 1;
            Ok(())
        });
        Ok(entered.transpose()?.map(|()| AddressPermit {
            table: Some(Arc::clone(self)),
            key,
        }))
    }

    /// Counts off one connection.
    pub(crate) fn leave(&self, key: Key) {
        if let Some(entry) = self.shard(key).lock().entries.get_mut(&key) {
            entry.connections = entry.connections.saturating_sub(1);
        }
    }

    /// `None` if there is no room for the address.
    fn with_entry<T>(
        &self,
        key: Key,
        now: Instant,
        change: impl FnOnce(&mut AddressEntry, Duration) -> T,
    ) -> Option<T> {
        let now = self.at(now);
        let mut shard = self.shard(key).lock();
        if !shard.entries.contains_key(&key) {
            shard.forget_some(now);
        }
        let has_room = shard.entries.len() < self.shard_max;
        match shard.entries.entry(key) {
            MapEntry::Occupied(mut entry) => Some(change(entry.get_mut(), now)),
            MapEntry::Vacant(place) if has_room => {
                Some(change(place.insert(AddressEntry::default()), now))
            }
            MapEntry::Vacant(_) => None,
        }
    }

    fn shard(&self, key: Key) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }
}

impl Shard {
    /// Looks at a few entries, whether there is anything to know of them.
    fn forget_some(&mut self, now: Duration) {
        for _ in 0..LOOKS {
            if self.cursor >= self.entries.len() {
                self.cursor = 0;
            }
            match self.entries.get_index(self.cursor) {
                Some((_, entry)) if entry.connections == 0 && entry.full_at <= now => {
                    self.entries.swap_remove_index(self.cursor);
                }
                Some(_) => self.cursor += 1,
                None => return,
            }
        }
    }
}

impl AddressPermit {
    /// Whoever takes the key calls [`AddressTable::leave`] when the connection ends.
    pub(crate) fn into_key(mut self) -> Key {
        self.table = None;
        self.key
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        if let Some(table) = &self.table {
            table.leave(self.key);
        }
    }
}

/// Far more than there are threads that accept.
const SHARDS: usize = 16;

/// Entries that a newcomer looks at: more than the one that it adds, so that the table shrinks too.
const LOOKS: usize = 8;

/// What an address is told that has too many connections: one of them may end at any time.
const RETRY_AFTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Key {
        Key::of(std::net::Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn connections_of_an_address_are_counted_until_their_permits_are_gone() {
        let table = Arc::new(AddressTable::new(1000));
        let now = Instant::now();
        let first = table.enter(key(1), 2, now).unwrap().unwrap();
        let second = table.enter(key(1), 2, now).unwrap().unwrap();
        assert_eq!(table.enter(key(1), 2, now).unwrap_err().as_secs(), 5);
        assert!(table.enter(key(2), 2, now).unwrap().is_some());
        drop(first);
        let third = table.enter(key(1), 2, now).unwrap().unwrap();
        assert!(table.enter(key(1), 2, now).is_err());
        drop((second, third));
        assert!(table.enter(key(1), 1, now).is_ok());
    }

    #[test]
    fn an_address_is_remembered_as_long_as_there_is_something_to_know() {
        let table = Arc::new(AddressTable::new(usize::MAX));
        let rate = Rate::per_second(1);
        let begin = Instant::now();
        let permit = table.enter(key(0), 1, begin).unwrap();
        for number in 1..=10_000 {
            table.count(key(number), rate, begin).unwrap();
            assert!(table.count(key(number), rate, begin).is_err());
            assert!(table.check(key(number), rate, begin).is_err());
        }
        let known = || {
            table
                .shards
                .iter()
                .map(|shard| shard.lock().entries.len())
                .sum::<usize>()
        };
        assert_eq!(known(), 10_001);
        // A second later the next ones push them out, but for the one that is connected.
        let later = begin + Duration::from_secs(2);
        for number in 20_000..25_000 {
            table.count(key(number), rate, later).unwrap();
        }
        assert!(known() < 6_000, "{}", known());
        assert!(table.enter(key(0), 1, later).is_err());
        drop(permit);
        assert!(table.enter(key(0), 1, later).is_ok());
    }

    #[test]
    fn whoever_finds_no_room_is_not_refused_and_takes_no_memory() {
        let table = Arc::new(AddressTable::new(SHARDS));
        let now = Instant::now();
        let enter = |number| table.enter(key(number), 1, now).unwrap();
        let permits: Vec<_> = (0..1000).filter_map(enter).collect();
        assert!(permits.len() <= SHARDS);
        assert!(
            (2000..3000).all(|number| table.count(key(number), Rate::per_hour(1), now).is_ok())
        );
        assert!(
            (2000..3000).all(|number| table.count(key(number), Rate::per_hour(1), now).is_ok())
        );
        let known: usize = table
            .shards
            .iter()
            .map(|shard| shard.lock().entries.len())
            .sum();
        assert!(known <= SHARDS);
    }
}
