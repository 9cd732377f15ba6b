//! The handle of presence.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    sync::{Arc, PoisonError},
};

use tokio::sync::broadcast;

use super::{
    Changes, Device, DeviceGuard, Limits, Listed, Page, Status, Store, registry::SaveMode,
    shared::PresenceShared, store_task::StoreTask,
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
        store: impl Store,
    ) -> Result<Self, StoreError> {
        Self::open_as("presence", limits, clock, store).await
    }

    /// Opens presence that the log calls `name`.
    pub(super) async fn open_as(
        name: &'static str,
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
            let store_task = StoreTask::new(name, store, Arc::clone(&shared));
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

    /// Returns what `read` makes of each online client whose name begins with `prefix`, and of its latest device.
    pub(super) fn with_prefix<T>(
        &self,
        prefix: &str,
        read: impl Fn(&str, &Device) -> Option<T>,
    ) -> Vec<T> {
        let state = self.0.lock();
        let clients = state.registry.with_prefix(prefix);
        clients
            .filter_map(|(client, device)| read(client, device))
            .collect()
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

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use super::*;
    use crate::{
        SystemClock,
        presence::{Batch, SaveTiming, StoreEvent},
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
