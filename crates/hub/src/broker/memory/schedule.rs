//! When which channel has something that expires.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::channel::{Channel, ChannelState};
use crate::UnixMillis;

/// The channels that have something that expires, by time.
///
/// A channel has at most one entry, and none later than its deadline. When the deadline moves away, as it does with each
/// publication, the entry stays; when its time comes the sweep enters the channel anew.
#[derive(Default)]
pub(super) struct Schedule(Mutex<BTreeMap<(UnixMillis, u64), Arc<Channel>>>);

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
    }

    /// Takes the entry of `channel` out. The caller holds the lock of `state`.
    pub(super) fn remove(&self, channel: &Channel, state: &mut ChannelState) {
        if let Some(at) = state.scheduled_at.take() {
            self.lock().remove(&(at, channel.id));
        }
    }

    /// Takes out the channels whose time has come, at most `count_max`, each with the time of its entry. Of each the caller
    /// sets `scheduled_at` to `None` if it still is that time, and calls [`Schedule::update`].
    pub(super) fn take_due(
        &self,
        now: UnixMillis,
        count_max: usize,
    ) -> Vec<(UnixMillis, Arc<Channel>)> {
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
        due
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(UnixMillis, u64), Arc<Channel>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
