//! The state behind the handle of presence.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::{
    sync::{Notify, broadcast, watch},
    task::JoinHandle,
};

use super::{
    Batch, Change, Limits, StoreEvent,
    registry::{Registry, SaveMode, Tracking},
};
use crate::{Clock, UnixMillis};

/// The state that handles, guards and the store's task share.
pub(super) struct PresenceShared {
    pub(super) state: Mutex<LockedState>,
    pub(super) clock: Arc<dyn Clock>,
    /// Notified when the first unsaved change appears.
    unsaved: Notify,
    /// Whether presence is closed.
    pub(super) stop: watch::Sender<bool>,
    pub(super) store_task: Mutex<Option<JoinHandle<()>>>,
    /// Why the store's task has ended, if it has panicked.
    pub(super) failure: OnceLock<String>,
}

/// The part of the state behind the lock.
pub(super) struct LockedState {
    pub(super) registry: Registry,
    /// `None` once subscriptions have ended.
    pub(super) changes: Option<broadcast::Sender<Change>>,
    pub(super) store_error: Option<String>,
}

impl PresenceShared {
    pub(super) fn new(limits: Limits, clock: Arc<dyn Clock>, save_mode: SaveMode) -> Self {
        let (changes, _) = broadcast::channel(limits.changes_max.max(1));
        Self {
            state: Mutex::new(LockedState {
                registry: Registry::new(limits, save_mode),
                changes: Some(changes),
                store_error: None,
            }),
            clock,
            unsaved: Notify::new(),
            stop: watch::Sender::new(false),
            store_task: Mutex::new(None),
            failure: OnceLock::new(),
        }
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Returns a receiver that becomes true when presence is closed.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Waits until there is an unsaved change.
    pub(super) async fn until_unsaved(&self) {
        while !self.lock().registry.has_unsaved() {
            self.unsaved.notified().await;
        }
    }

    pub(super) fn leave(&self, client: &Arc<str>, tracking: Tracking) {
        if tracking != Tracking::Untracked {
            let now = self.clock.now();
            self.update(|registry, changes| changes.extend(registry.leave(now, client, tracking)));
        }
    }

    pub(super) fn handle_events(&self, events: Vec<StoreEvent>) {
        for event in events {
            self.update(|registry, changes| registry.handle_event(event, changes));
        }
    }

    pub(super) fn mark_local_unsaved(&self) {
        self.lock().registry.mark_local_unsaved();
    }

    pub(super) fn return_unsaved(&self, clients: Vec<Arc<str>>) {
        self.lock().registry.return_unsaved(clients);
    }

    pub(super) fn poll_unsaved(&self, clients_max: usize) -> Batch {
        let now = self.clock.now();
        self.lock().registry.poll_unsaved(now, clients_max)
    }

    /// Sets the store's error and returns the previous one.
    pub(super) fn set_store_error(&self, store_error: Option<String>) -> Option<String> {
        std::mem::replace(&mut self.lock().store_error, store_error)
    }

    pub(super) fn join(&self, client: &Arc<str>, device: Cow<'static, str>) -> Tracking {
        let now = self.clock.now();
        self.update(|registry, changes| {
            let (tracking, change) = registry.join(now, client, device);
            changes.extend(change);
            tracking
        })
    }

    /// Runs `work` on the registry and sends its changes under the same lock, so that every subscriber gets them in the
    /// order in which they happened.
    pub(super) fn update<T>(&self, work: impl FnOnce(&mut Registry, &mut Vec<Change>) -> T) -> T {
        let mut caused = Vec::new();
        let mut state = self.lock();
        let had_unsaved = state.registry.has_unsaved();
        let done = work(&mut state.registry, &mut caused);
        if let Some(changes) = &state.changes {
            for change in caused {
                // Fails when there is no subscriber, which is no error.
                let _ = changes.send(change);
            }
        }
        let is_first_unsaved = !had_unsaved && state.registry.has_unsaved();
        drop(state);
        if is_first_unsaved {
            self.unsaved.notify_one();
        }
        done
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, LockedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
