//! Which channels are delivered to this node.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

/// The channels that are subscribed, each with the lock under which it is delivered.
///
/// Locks are taken in this order: channel, part. The lock of a channel is held while it is delivered, and no other lock is.
pub(super) struct Subscriptions {
    parts: Box<[Part]>,
    hasher: RandomState,
    /// Channels in all parts.
    count: AtomicUsize,
}

/// Channels with their locks.
type Part = Mutex<HashMap<Arc<str>, Arc<Mutex<Subscribed>>>>;

/// Whether a channel is still in its part: one that was removed has a successor perhaps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subscribed {
    Yes,
    Removed,
}

impl Subscriptions {
    pub(super) fn new() -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            count: AtomicUsize::new(0),
        }
    }

    /// Adds a channel. Returns whether the limit allows it.
    pub(super) fn add(&self, channel: &Arc<str>, channels_max: usize) -> bool {
        let mut part = self.part(channel).lock();
        if part.contains_key(channel) {
            return true;
        }
        if self.count.load(Ordering::Relaxed) >= channels_max {
            return false;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Mutex::new(Subscribed::Yes));
        part.insert(channel.clone(), entry);
        true
    }

    /// Removes a channel, after a delivery that has begun.
    pub(super) fn remove(&self, channel: &Arc<str>) {
        let Some(entry) = self.find(channel) else {
            return;
        };
        let mut state = entry.lock();
        if *state == Subscribed::Yes {
            *state = Subscribed::Removed;
            self.part(channel).lock().remove(channel);
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Calls `deliver` if the channel is subscribed, under its lock.
    pub(super) fn deliver(&self, channel: &Arc<str>, deliver: impl FnOnce()) {
        while let Some(entry) = self.find(channel) {
            let state = entry.lock();
            if *state == Subscribed::Yes {
                return deliver();
            }
        }
    }

    fn find(&self, channel: &Arc<str>) -> Option<Arc<Mutex<Subscribed>>> {
        self.part(channel).lock().get(channel).cloned()
    }

    fn part(&self, channel: &str) -> &Part {
        let hash = self.hasher.hash_one(channel);
        &self.parts[(hash % PARTS as u64) as usize]
    }
}

/// Parts. Many more than a machine's cores, so that two threads rarely want the same.
const PARTS: usize = 256;
