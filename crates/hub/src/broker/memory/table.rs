//! All channels, by name.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    channel::{Channel, ChannelState},
    schedule::Schedule,
};
use crate::broker::usage::{LimitReached, Usage};

/// The channels by name, in parts with a lock each; and when which of them has something that expires.
pub(super) struct Table {
    parts: Box<[Part]>,
    /// Tells which part a name belongs to.
    hasher: RandomState,
    schedule: Schedule,
    /// Channels in all parts.
    channels: Usage,
    /// Bytes. What the channels take, without publications and keys.
    bytes: Usage,
    /// How many channels there have been.
    made: AtomicU64,
}

type Part = Mutex<HashMap<Arc<str>, Arc<Channel>>>;

impl Table {
    pub(super) fn new(channels_max: usize) -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            schedule: Schedule::default(),
            channels: Usage::new(channels_max),
            bytes: Usage::new(usize::MAX),
            made: AtomicU64::new(0),
        }
    }

    /// Calls `operate` with the channel locked, which is created if the table doesn't have it.
    pub(super) fn with<R>(
        &self,
        name: &Arc<str>,
        operate: impl FnOnce(&mut ChannelState) -> R,
    ) -> Result<R, LimitReached> {
        loop {
            let channel = self.find_or_create(name)?;
            let mut state = channel.lock();
            if !state.is_removed {
                let result = operate(&mut state);
                self.settle(&channel, state);
                return Ok(result);
            }
        }
    }

    /// Calls `operate` with the channel locked, if the table has it.
    pub(super) fn with_existing<R>(
        &self,
        name: &Arc<str>,
        operate: impl FnOnce(&mut ChannelState) -> R,
    ) -> Option<R> {
        loop {
            let channel = lock(self.part(name)).get(name).cloned()?;
            let mut state = channel.lock();
            if !state.is_removed {
                let result = operate(&mut state);
                self.settle(&channel, state);
                return Some(result);
            }
        }
    }

    /// Calls `operate` with up to `count_max` channels in which something has expired, each locked.
    pub(super) fn with_expired(
        &self,
        now: Duration,
        count_max: usize,
        mut operate: impl FnMut(&str, &mut ChannelState),
    ) {
        for (at, channel) in self.schedule.take_due(now, count_max) {
            let mut state = channel.lock();
            // Another thread may have entered the channel anew meanwhile.
            state.scheduled_at.take_if(|scheduled| *scheduled == at);
            if !state.is_removed {
                operate(&channel.name, &mut state);
                self.settle(&channel, state);
            }
        }
    }

    /// Returns whether the limit allows one more channel.
    pub(super) fn has_room(&self) -> bool {
        self.channels.has_room(1)
    }

    /// Returns the entries of the schedule: at most one for each channel.
    #[cfg(test)]
    pub(super) fn scheduled(&self) -> usize {
        self.schedule.len()
    }

    pub(super) fn channels(&self) -> usize {
        self.channels.used()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.used()
    }

    /// Unlocks the channel after an operation, and removes it if nothing is kept about it any more.
    fn settle(&self, channel: &Arc<Channel>, mut state: MutexGuard<'_, ChannelState>) {
        if !state.is_idle() {
            self.schedule.update(channel, &mut state);
            return;
        }
        // The part is locked before the channel.
        drop(state);
        let mut part = lock(self.part(&channel.name));
        // If another thread has the lock, it comes here after its operation.
        let Some(mut state) = channel.try_lock() else {
            return;
        };
        if state.is_removed || !state.is_idle() {
            return;
        }
        state.is_removed = true;
        self.schedule.remove(channel, &mut state);
        part.remove(&channel.name);
        self.channels.subtract(1);
        self.bytes.subtract(channel.cost());
    }

    fn find_or_create(&self, name: &Arc<str>) -> Result<Arc<Channel>, LimitReached> {
        let mut part = lock(self.part(name));
        if let Some(channel) = part.get(name) {
            return Ok(channel.clone());
        }
        self.channels.try_add(1)?;
        let id = self.made.fetch_add(1, Ordering::Relaxed);
        let channel = Arc::new(Channel::new(name.clone(), id));
        // Its limit is that of `channels`.
        _ = self.bytes.try_add(channel.cost());
        part.insert(name.clone(), channel.clone());
        Ok(channel)
    }

    fn part(&self, name: &Arc<str>) -> &Part {
        let hash = self.hasher.hash_one(name);
        &self.parts[(hash % PARTS as u64) as usize]
    }
}

fn lock(part: &Part) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Channel>>> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parts of the table. Many more than a machine's cores, so that two threads rarely want the same; an empty one is small.
const PARTS: usize = 256;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn an_operation_that_waits_for_a_channel_that_is_removed_gets_its_successor() {
        (0..200).for_each(|_| remove_while_another_waits());
    }

    fn remove_while_another_waits() {
        let table = Table::new(10);
        let name: Arc<str> = "a".into();
        let subscribe = || table.with(&name, |state| state.is_subscribed = true);
        subscribe().unwrap();
        thread::scope(|scope| {
            table.with_existing(&name, |state| {
                scope.spawn(|| subscribe().unwrap());
                // The table holds the channel, this thread does, and the other when it has found it.
                while Arc::strong_count(&lock(table.part(&name))[&name]) < 3 {
                    thread::yield_now();
                }
                state.is_subscribed = false;
            });
        });
        let is_subscribed = table.with_existing(&name, |state| state.is_subscribed);
        assert_eq!(is_subscribed, Some(true));
        assert_eq!(table.channels(), 1);
    }

    #[test]
    fn a_channel_about_which_nothing_is_kept_is_removed() {
        let table = Table::new(1);
        table.with(&"a".into(), |_| ()).unwrap();
        assert_eq!((table.channels(), table.bytes()), (0, 0));
        table.with(&"b".into(), |_| ()).unwrap();
    }
}
