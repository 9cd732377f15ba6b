//! When which channel has something that expires.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::channel::{Channel, ChannelState};

/// The channels that have something that expires, by time.
///
/// A channel has at most one entry, and none later than its deadline. When the deadline moves away, as it does with each
/// publication, the entry stays; when its time comes the sweep enters the channel anew.
pub(super) struct Schedule {
    entries: Mutex<Entries>,
    /// The time of the first entry, in milliseconds, `u64::MAX` if there is none: whether something is due is seen without
    /// the lock. A reader may see the time from before another thread's change, and comes later.
    first: AtomicU64,
}

/// By time, and by the channel's id.
type Entries = BTreeMap<(Duration, u64), Arc<Channel>>;

impl Schedule {
    /// Enters `channel` if it has no entry that is early enough. The caller holds the lock of `state`.
    pub(super) fn update(&self, channel: &Arc<Channel>, state: &mut ChannelState) {
        let Some(deadline) = state.deadline() else {
            return;
        };
        if state.scheduled_at.is_some_and(|at| at <= deadline) {
            return;
        }
        let mut entries = self.lock();
        if let Some(later) = state.scheduled_at.replace(deadline) {
            entries.remove(&(later, channel.id));
        }
        entries.insert((deadline, channel.id), channel.clone());
        self.note_first(&entries);
    }

    /// Takes the entry of `channel` out. The caller holds the lock of `state`.
    pub(super) fn remove(&self, channel: &Channel, state: &mut ChannelState) {
        if let Some(at) = state.scheduled_at.take() {
            let mut entries = self.lock();
            entries.remove(&(at, channel.id));
            self.note_first(&entries);
        }
    }

    /// Takes out the channels whose time has come, at most `count_max`, each with the time of its entry. Of each the caller
    /// sets `scheduled_at` to `None` if it still is that time, and calls [`Schedule::update`].
    pub(super) fn take_due(
        &self,
        now: Duration,
        count_max: usize,
    ) -> Vec<(Duration, Arc<Channel>)> {
        if self.first.load(Ordering::Relaxed) > millis(now) {
            return vec![];
        }
        let mut entries = self.lock();
        let mut due = vec![];
        while due.len() < count_max {
            match entries.first_entry() {
                Some(first) if first.key().0 <= now => {
                    let ((at, _), channel) = first.remove_entry();
                    due.push((at, channel));
                }
                _ => break,
            }
        }
        self.note_first(&entries);
        due
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn note_first(&self, entries: &Entries) {
        let first = entries.first_key_value();
        let first = first.map_or(u64::MAX, |((at, _), _)| millis(*at));
        self.first.store(first, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            first: AtomicU64::new(u64::MAX),
        }
    }
}
