//! The handle of presence.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::{
    sync::{Notify, broadcast, watch},
    task::JoinHandle,
};

use super::{
    Batch, Change, Changes, Device, DeviceGuard, Limits, Listed, Page, Status, Store, StoreEvent,
    registry::{Registry, SaveMode, Tracking},
    store_task::StoreTask,
};
use crate::{Clock, StoreError, UnixMillis};

/// A handle of the presence of all clients. Cheap to clone.
///
/// All methods but [`Presence::open`] and [`Presence::close`] may be called on any thread and never wait for a store. They
/// hold a lock for one access to a map.
///
/// ```
/// use std::sync::Arc;
///
/// use sockeye_hub::{SystemClock, presence::{Limits, Presence}};
///
/// let presence = Presence::in_memory(Limits::default(), Arc::new(SystemClock));
/// let laptop = presence.join("ann", "laptop");
/// let phone = presence.join("ann", "phone");
/// drop(laptop);
/// assert!(presence.is_online("ann"));
/// drop(phone);
/// assert!(!presence.is_online("ann") && presence.last_seen("ann").is_some());
/// ```
#[derive(Clone)]
pub struct Presence(Arc<PresenceShared>);

impl Presence {
    /// Creates presence without a store. Needs no runtime.
    #[must_use]
    pub fn in_memory(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(PresenceShared::new(
            limits,
            clock,
            SaveMode::Nothing,
        )))
    }

    /// Creates presence with a store, and spawns the task that saves to it.
    ///
    /// # Errors
    ///
    /// The store can't be used ([`StoreError::is_outage`] is false). An outage is no error here: presence starts without
    /// the store, and the task retries it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready leaves nothing behind.
    pub async fn open(
        limits: Limits,
        clock: Arc<dyn Clock>,
        mut store: impl Store,
    ) -> Result<Self, StoreError> {
        let save_mode = match store.save_timing() {
            Some(_) => SaveMode::Changes,
            None => SaveMode::Nothing,
        };
        let shared = Arc::new(PresenceShared::new(limits, clock, save_mode));
        let opened = store.open(shared.clock.now()).await;
        if let Err(error) = &opened
            && !error.is_outage()
        {
            return Err(opened.expect_err("it is one"));
        }
        if save_mode == SaveMode::Changes {
            let store_task = StoreTask::new(store, Arc::clone(&shared));
            let task = tokio::spawn(supervise(store_task.run(opened), Arc::clone(&shared)));
            *shared
                .store_task
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(task);
        }
        Ok(Self(shared))
    }

    /// Adds a device of the client, until the guard is dropped. `client` is 1 to 128 bytes without control characters.
    /// `device` is a label for people, cut to 64 bytes; several devices may have the same label.
    #[must_use = "the device leaves when the guard is dropped"]
    pub fn join(
        &self,
        client: impl Into<Arc<str>>,
        device: impl Into<Cow<'static, str>>,
    ) -> DeviceGuard {
        let client = client.into();
        let tracking = self.0.join(&client, device.into());
        DeviceGuard::new(Arc::clone(&self.0), client, tracking)
    }

    /// Returns whether at least one device of the client is connected.
    #[must_use]
    pub fn is_online(&self, client: &str) -> bool {
        self.0.lock().registry.is_online(client)
    }

    /// Returns when the client was last seen: now, if it is online; `None` if it is unknown.
    #[must_use]
    pub fn last_seen(&self, client: &str) -> Option<UnixMillis> {
        match self.status_and_time(client) {
            (Some(Status::Online { .. }), now) => Some(now),
            (Some(Status::Offline { last_seen }), _) => Some(last_seen),
            (None, _) => None,
        }
    }

    /// Returns the client's listed devices ([`Limits::devices_per_client_max`]).
    #[must_use]
    pub fn devices(&self, client: &str) -> Vec<Device> {
        match self.status(client) {
            Some(Status::Online { devices, .. }) => devices,
            _ => Vec::new(),
        }
    }

    /// Returns the client's status; `None` if it is unknown.
    #[must_use]
    pub fn status(&self, client: &str) -> Option<Status> {
        self.0.lock().registry.status(client)
    }

    /// Returns the client's status and the time at which it was read.
    #[must_use]
    pub fn status_and_time(&self, client: &str) -> (Option<Status>, UnixMillis) {
        let state = self.0.lock();
        (state.registry.status(client), self.0.clock.now())
    }

    /// Returns online clients, ordered by the bytes of their names, from the first one after `after`: at most `limit`, and
    /// at most 1,000. Fewer than asked for means that no more follow.
    #[must_use]
    pub fn list(&self, after: Option<&str>, limit: usize) -> Vec<Listed> {
        self.0.lock().registry.list(after, limit)
    }

    /// Returns the part of the list that [`Presence::list`] returns, with the count and the store's error at the same moment.
    #[must_use]
    pub fn page(&self, after: Option<&str>, limit: usize) -> Page {
        let state = self.0.lock();
        let clients = state.registry.list(after, limit);
        let last = clients.last().map(|listed| &listed.client);
        Page {
            has_more: last.is_some_and(|last| state.registry.has_after(last)),
            count: state.registry.count(),
            store_error: state.store_error.clone(),
            clients,
        }
    }

    /// Returns the number of online clients.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().registry.count()
    }

    /// Returns how many devices have not been tracked so far ([`DeviceGuard::is_tracked`]).
    #[must_use]
    pub fn untracked(&self) -> u64 {
        self.0.lock().registry.untracked()
    }

    /// Subscribes to the changes from now on. All subscribers get the same changes in the same order.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        let state = self.0.lock();
        Changes(state.changes.as_ref().map(broadcast::Sender::subscribe))
    }

    /// Returns the number of online clients and subscribes to the changes from the same moment on: no change is missed or
    /// counted twice.
    #[must_use]
    pub fn subscribe_with_count(&self) -> (usize, Changes) {
        let state = self.0.lock();
        let changes = state.changes.as_ref().map(broadcast::Sender::subscribe);
        (state.registry.count(), Changes(changes))
    }

    /// Returns the store's current error in one line; `None` if the store works.
    #[must_use]
    pub fn store_error(&self) -> Option<String> {
        self.0.lock().store_error.clone()
    }

    /// Returns why nothing is saved any more, in one line: the task that saves has panicked, which is a bug. Presence still
    /// works, but changes are not saved. `None` while the task runs.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.0.failure.get().cloned()
    }

    /// Ends all subscriptions: [`Changes::next`] returns `None` after the changes that are waiting.
    pub fn end_changes(&self) {
        self.0.lock().changes = None;
    }

    /// Disconnects all devices of this node, saves that and closes the store. Devices that join afterwards are not
    /// saved.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the last changes may not be saved.
    pub async fn close(&self) {
        let now = self.0.clock.now();
        self.0
            .update(|registry, changes| registry.leave_all(now, changes));
        self.end_changes();
        self.0.stop.send_replace(true);
        let store_task = {
            let mut store_task = self
                .0
                .store_task
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            store_task.take()
        };
        if let Some(store_task) = store_task
            && let Err(error) = store_task.await
        {
            tracing::error!(%error, "the task that saves presence has panicked");
        }
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence")
            .field("count", &self.count())
            .field("trouble", &self.store_error())
            .finish_non_exhaustive()
    }
}

/// The state that handles, guards and the store's task share.
pub(super) struct PresenceShared {
    state: Mutex<LockedState>,
    clock: Arc<dyn Clock>,
    /// Notified when the first unsaved change appears.
    unsaved: Notify,
    /// Whether presence is closed.
    stop: watch::Sender<bool>,
    store_task: Mutex<Option<JoinHandle<()>>>,
    /// Why the store's task has ended, if it has panicked.
    failure: OnceLock<String>,
}

/// Runs the store's task and reports its panic, which nobody would notice otherwise.
async fn supervise(
    store_task: impl Future<Output = ()> + Send + 'static,
    shared: Arc<PresenceShared>,
) {
    if let Err(error) = tokio::spawn(store_task).await {
        let failure = format!("presence is not saved any more: its task has panicked: {error}");
        tracing::error!("{failure}; restart the server");
        shared.set_store_error(Some(failure.clone()));
        let _ = shared.failure.set(failure);
    }
}

struct LockedState {
    registry: Registry,
    /// `None` once subscriptions have ended.
    changes: Option<broadcast::Sender<Change>>,
    store_error: Option<String>,
}

impl PresenceShared {
    fn new(limits: Limits, clock: Arc<dyn Clock>, save_mode: SaveMode) -> Self {
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

    fn join(&self, client: &Arc<str>, device: Cow<'static, str>) -> Tracking {
        let now = self.clock.now();
        self.update(|registry, changes| {
            let (tracking, change) = registry.join(now, client, device);
            changes.extend(change);
            tracking
        })
    }

    /// Runs `work` on the registry and sends its changes under the same lock, so that every subscriber gets them in the
    /// order in which they happened.
    fn update<T>(&self, work: impl FnOnce(&mut Registry, &mut Vec<Change>) -> T) -> T {
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

    fn lock(&self) -> MutexGuard<'_, LockedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use super::*;
    use crate::{
        SystemClock,
        presence::{SaveTiming, store::StoreEvent},
    };

    /// A store that panics.
    struct Broken;

    impl Store for Broken {
        async fn open(&mut self, _now: UnixMillis) -> Result<Vec<StoreEvent>, StoreError> {
            Ok(Vec::new())
        }

        async fn save(&mut self, _batch: Batch) -> Result<Vec<StoreEvent>, StoreError> {
            panic!("a bug")
        }

        async fn next_event(&mut self) -> Result<Option<StoreEvent>, StoreError> {
            pending().await
        }

        fn expire(&mut self, _now: UnixMillis) -> Option<StoreEvent> {
            None
        }

        async fn close(&mut self) {}

        fn save_timing(&self) -> Option<SaveTiming> {
            Some(SaveTiming {
                batch_delay: Duration::from_secs(1),
                interval_max: Duration::from_secs(1),
            })
        }
    }

    #[tokio::test]
    async fn a_panic_of_the_store_is_reported_and_presence_goes_on() {
        let clock = Arc::new(SystemClock);
        let presence = Presence::open(Limits::default(), clock, Broken)
            .await
            .unwrap();
        let missed = async {
            while presence.failure().is_none() {
                tokio::task::yield_now().await;
            }
        };
        // Only a failure takes so long.
        tokio::time::timeout(Duration::from_secs(60), missed)
            .await
            .unwrap();
        assert!(
            presence
                .store_error()
                .unwrap()
                .contains("its task has panicked")
        );
        let device_guard = presence.join("ann", "laptop");
        assert!(presence.is_online("ann"));
        drop(device_guard);
        presence.close().await;
    }
}
