//! The state kept for each client address.

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

/// The state kept for each client address: how many connections it holds, and how often it has done
/// something.
///
/// Each new address looks at a few entries and drops those with no state left, so that no call looks at all
/// of them. If there is no room for a new address, it isn't counted and nothing is refused to it: a limit for
/// each address doesn't stop an attacker with that many, and must not stop anybody else.
#[derive(Debug)]
pub(crate) struct AddressTable {
    /// Several locks, so that threads that accept at the same time seldom wait for each other.
    shards: [Mutex<Shard>; SHARDS],
    /// The most entries that a shard holds.
    shard_max: usize,
    hasher: RandomState,
    origin: Instant,
}

#[derive(Debug, Default)]
struct Shard {
    entries: IndexMap<Key, AddressEntry>,
    /// The index of the entry that is checked next.
    cursor: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct AddressEntry {
    connections: u32,
    /// When the whole burst is available again.
    full_at: Duration,
}

/// A permit that counts one connection for its address while it lives.
#[derive(Debug)]
pub(crate) struct AddressPermit {
    /// `None` once the owner of the key calls [`AddressTable::leave`] itself.
    table: Option<Arc<AddressTable>>,
    key: Key,
}

impl AddressTable {
    /// Creates a table for about `addresses_max` addresses.
    pub(crate) fn new(addresses_max: usize) -> Self {
        Self {
            shards: Default::default(),
            shard_max: addresses_max.div_ceil(SHARDS),
            hasher: RandomState::new(),
            origin: Instant::now(),
        }
    }

    /// Counts one more action of an address.
    ///
    /// # Errors
    ///
    /// The address has acted too often. This attempt isn't counted.
    pub(crate) fn count(&self, key: Key, rate: Rate, now: Instant) -> Result<(), RetryAfter> {
        self.with_entry(key, now, |entry, now| {
            entry.full_at = rate.count(entry.full_at, now)?;
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    /// Checks whether an address may act once more, without counting it.
    pub(crate) fn check(&self, key: Key, rate: Rate, now: Instant) -> Result<(), RetryAfter> {
        let shard = self.shard(key).lock();
        match shard.entries.get(&key) {
            Some(entry) => rate.count(entry.full_at, self.at(now)).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Counts one more connection of an address, unless it has `max`. Returns no permit if the table has no
    /// room.
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

    /// Counts one connection less.
    pub(crate) fn leave(&self, key: Key) {
        if let Some(entry) = self.shard(key).lock().entries.get_mut(&key) {
            entry.connections = entry.connections.saturating_sub(1);
        }
    }

    /// Changes the entry of an address. Returns `None` if there is no room for it.
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
    /// Checks a few entries and drops those with no state left.
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
    /// Returns the key. The caller calls [`AddressTable::leave`] when the connection ends.
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

/// Far more than threads that accept.
const SHARDS: usize = 16;

/// Entries that a new address checks: more than the one it adds, so that the table shrinks too.
const LOOKS: usize = 8;

/// The wait that an address with too many connections is told: one of them may end at any time.
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
        // Later addresses push them out, but for the one that is connected.
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
