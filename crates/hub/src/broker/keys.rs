//! The idempotency keys of one channel.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::usage::{LimitReached, Usage};
use crate::StreamPosition;

/// The idempotency keys that a channel has seen, and what became of their publications.
#[derive(Default)]
pub(crate) struct Keys {
    by_key: HashMap<Arc<str>, Seen>,
    /// Every key, by when it expires. The number tells apart those of one time.
    by_time: BTreeMap<(Duration, u64), Arc<str>>,
    /// How many keys there have been.
    count: u64,
}

struct Seen {
    position: Option<StreamPosition>,
    /// Its place in `by_time`.
    place: (Duration, u64),
}

impl Keys {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Returns the keys, those that expire first before others, with the positions of their publications and until when
    /// they are remembered.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Option<StreamPosition>, Duration)> {
        self.by_time.iter().filter_map(|((until, _), key)| {
            let seen = self.by_key.get(key)?;
            Some((&**key, &seen.position, *until))
        })
    }

    /// Returns how many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Returns when a key expires next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let ((until, _), _) = self.by_time.first_key_value()?;
        Some(*until)
    }

    /// Forgets the keys whose time is over, up to [`EXPIRED_MAX`].
    pub(crate) fn expire(&mut self, now: Duration, usage: &Usage) {
        for _ in 0..EXPIRED_MAX {
            if self.deadline().is_none_or(|until| until > now) {
                return;
            }
            self.forget_first(usage);
        }
    }

    /// Returns the position of the publication that came with `key`, if the key is remembered. The position is `None` if
    /// that publication was not for the history.
    pub(crate) fn seen(&self, key: &str, now: Duration) -> Option<&Option<StreamPosition>> {
        let seen = self.by_key.get(key)?;
        (seen.place.0 > now).then_some(&seen.position)
    }

    /// Makes room for one more key: forgets those that would expire first until `count_max` and `usage` allow `key`, and
    /// adds it to the usage. [`Keys::remember`] comes next.
    pub(crate) fn reserve(
        &mut self,
        key: &str,
        count_max: usize,
        usage: &Usage,
    ) -> Result<(), LimitReached> {
        while self.by_key.len() >= count_max.max(1) {
            usage.count_dropped();
            self.forget_first(usage);
        }
        loop {
            let table = if self.is_empty() { TABLE_BYTES } else { 0 };
            match usage.try_add(cost(key) + table) {
                Err(reached) if self.is_empty() => return Err(reached),
                Err(_) => {
                    usage.count_dropped();
                    self.forget_first(usage);
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Remembers a key that is reserved.
    pub(crate) fn remember(
        &mut self,
        key: Arc<str>,
        position: Option<StreamPosition>,
        until: Duration,
        usage: &Usage,
    ) {
        self.count += 1;
        let place = (until, self.count);
        self.by_time.insert(place, key.clone());
        let cost = cost(&key);
        if let Some(expired) = self.by_key.insert(key, Seen { position, place }) {
            self.by_time.remove(&expired.place);
            usage.subtract(cost);
        }
    }

    /// Forgets all keys.
    pub(crate) fn clear(&mut self, usage: &Usage) {
        while !self.is_empty() {
            self.forget_first(usage);
        }
    }

    /// Forgets the key that expires first. There is one.
    fn forget_first(&mut self, usage: &Usage) {
        let Some((_, key)) = self.by_time.pop_first() else {
            return;
        };
        self.by_key.remove(&key);
        usage.subtract(cost(&key));
        if self.is_empty() {
            // Gives the memory back.
            self.by_key = HashMap::new();
            usage.subtract(TABLE_BYTES);
        }
    }
}

/// Keys. A call forgets so many that have expired, so that one call after a long time isn't a long one. More than one, so
/// that a channel never holds more expired keys than others.
const EXPIRED_MAX: usize = 64;

/// Bytes. What remembering the key takes, about.
fn cost(key: &str) -> usize {
    KEY_BYTES + key.len()
}

/// Bytes. What remembering the key takes if it is the channel's only one.
pub(crate) fn cost_of_first(key: &str) -> usize {
    TABLE_BYTES + cost(key)
}

/// Bytes. The first key's allocations: the smallest hash table, and a node of the tree, which has 11 places.
const TABLE_BYTES: usize =
    size_of::<Keys>() + 4 * (16 + size_of::<Seen>()) + 11 * (16 + 16) + 4 * 16;

/// Bytes. The text's counts, and its places in a hash table and in a tree, both of which are half full at worst.
const KEY_BYTES: usize = 32 + 2 * (16 + size_of::<Seen>()) + 2 * (16 + 16);
