//! The handle that everybody holds.

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
    Batch, Change, Changes, Device, Limits, Listed, News, Page, Status, Store, Ticket,
    keeper::Keeper,
    registry::{Keeping, Place, Registry},
};
use crate::{Clock, StoreError, UnixMillis};

/// Who is here: cheap to clone, to be held by everybody who asks or tells.
///
/// All but [`Presence::open`] and [`Presence::close`] are plain calls that never wait for a store, from any
/// thread; a lock is held for a look into a map.
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
pub struct Presence(Arc<Shared>);

impl Presence {
    /// Presence without a store. Needs no runtime.
    #[must_use]
    pub fn in_memory(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared::new(limits, clock, Keeping::Nothing)))
    }

    /// Presence with a store, which a task of its own keeps up to date.
    ///
    /// # Errors
    ///
    /// The store can't be used as it is. One that isn't there for now is no error: presence starts with what
    /// this node knows, and the store is asked again and again.
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
        let keeping = match store.pace() {
            Some(_) => Keeping::Changes,
            None => Keeping::Nothing,
        };
        let shared = Arc::new(Shared::new(limits, clock, keeping));
        let opened = store.open(shared.clock.now()).await;
        if let Err(error) = &opened
            && !error.is_outage()
        {
            return Err(opened.expect_err("it is one"));
        }
        if keeping == Keeping::Changes {
            let keeper = Keeper::new(store, Arc::clone(&shared));
            let task = tokio::spawn(supervise(keeper.run(opened), Arc::clone(&shared)));
            *shared.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        }
        Ok(Self(shared))
    }

    /// A device of the client comes. `client` is 1 to 128 bytes without control characters; `device` is a
    /// label for people, cut to 64 bytes, and several devices may have the same one.
    #[must_use = "the device leaves when the ticket is dropped"]
    pub fn join(
        &self,
        client: impl Into<Arc<str>>,
        device: impl Into<Cow<'static, str>>,
    ) -> Ticket {
        let client = client.into();
        let place = self.0.join(&client, device.into());
        Ticket::new(Arc::clone(&self.0), client, place)
    }

    /// Whether at least one device of the client is here.
    #[must_use]
    pub fn is_online(&self, client: &str) -> bool {
        self.0.lock().registry.is_online(client)
    }

    /// When the client was last seen: now, if it is here; `None` if it is not known.
    #[must_use]
    pub fn last_seen(&self, client: &str) -> Option<UnixMillis> {
        match self.look(client) {
            (Some(Status::Online { .. }), now) => Some(now),
            (Some(Status::Away { last_seen }), _) => Some(last_seen),
            (None, _) => None,
        }
    }

    /// The client's devices that are here, as far as they are listed.
    #[must_use]
    pub fn devices(&self, client: &str) -> Vec<Device> {
        match self.status(client) {
            Some(Status::Online { devices, .. }) => devices,
            _ => Vec::new(),
        }
    }

    /// All that is known about the client; `None` if nothing is.
    #[must_use]
    pub fn status(&self, client: &str) -> Option<Status> {
        self.0.lock().registry.status(client)
    }

    /// All that is known about the client, and when that was so.
    #[must_use]
    pub fn look(&self, client: &str) -> (Option<Status>, UnixMillis) {
        let state = self.0.lock();
        (state.registry.status(client), self.0.clock.now())
    }

    /// Those who are here, in the order of their names' bytes: at most `limit` of them, and at most 1,000,
    /// from the first one after `after`. A page that is shorter than asked for is the last one.
    #[must_use]
    pub fn list(&self, after: Option<&str>, limit: usize) -> Vec<Listed> {
        self.0.lock().registry.list(after, limit)
    }

    /// The same part of the list, with all that belongs to it, as it is at one moment.
    #[must_use]
    pub fn page(&self, after: Option<&str>, limit: usize) -> Page {
        let state = self.0.lock();
        let clients = state.registry.list(after, limit);
        let last = clients.last().map(|listed| &listed.client);
        Page {
            has_more: last.is_some_and(|last| state.registry.has_after(last)),
            count: state.registry.count(),
            trouble: state.trouble.clone(),
            clients,
        }
    }

    /// How many clients are here.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().registry.count()
    }

    /// How many times somebody came and was not tracked ([`Ticket::is_tracked`]).
    #[must_use]
    pub fn untracked(&self) -> u64 {
        self.0.lock().registry.untracked()
    }

    /// The changes from now on. Every subscriber hears all of them, in the same order.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        let state = self.0.lock();
        Changes(state.changes.as_ref().map(broadcast::Sender::subscribe))
    }

    /// How many clients are here, and the changes from that moment on: none is missing and none is counted twice.
    #[must_use]
    pub fn follow(&self) -> (usize, Changes) {
        let state = self.0.lock();
        let changes = state.changes.as_ref().map(broadcast::Sender::subscribe);
        (state.registry.count(), Changes(changes))
    }

    /// What is wrong with the store right now, in one line; `None` if nothing is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.lock().trouble.clone()
    }

    /// Why the store is kept by nobody any more, in one line: its keeper has failed, which is a fault of this program. Who is
    /// here is still told; what changes is not kept.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.0.failure.get().cloned()
    }

    /// Ends all subscriptions, so that whoever serves them can go.
    pub fn end_changes(&self) {
        self.0.lock().changes = None;
    }

    /// Everybody on this node leaves, the store keeps that, and presence is over. Whatever joins afterwards
    /// is kept by nobody.
    ///
    /// # Cancel safety
    ///
    /// The store may then not have kept the last changes.
    pub async fn close(&self) {
        let now = self.0.clock.now();
        self.0
            .with(|registry, changes| registry.leave_all(now, changes));
        self.end_changes();
        self.0.stop.send_replace(true);
        let keeper = {
            let mut keeper = self.0.keeper.lock().unwrap_or_else(PoisonError::into_inner);
            keeper.take()
        };
        if let Some(keeper) = keeper
            && let Err(error) = keeper.await
        {
            tracing::error!(%error, "the keeper of presence has failed");
        }
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence")
            .field("count", &self.count())
            .field("trouble", &self.trouble())
            .finish_non_exhaustive()
    }
}

/// What handles, tickets and the keeper share.
pub(super) struct Shared {
    state: Mutex<Inner>,
    clock: Arc<dyn Clock>,
    /// Told when there is something to save and was nothing before.
    unsaved: Notify,
    /// Whether presence is over.
    stop: watch::Sender<bool>,
    keeper: Mutex<Option<JoinHandle<()>>>,
    /// Why there is no keeper any more.
    failure: OnceLock<String>,
}

/// Looks after the keeper: nobody would miss it before the next start.
async fn supervise(keeper: impl Future<Output = ()> + Send + 'static, shared: Arc<Shared>) {
    if let Err(error) = tokio::spawn(keeper).await {
        let failure = format!("presence is not kept any more: its keeper has failed: {error}");
        tracing::error!("{failure}; start the server again");
        shared.set_trouble(Some(failure.clone()));
        let _ = shared.failure.set(failure);
    }
}

struct Inner {
    registry: Registry,
    /// `None` once there are no more changes.
    changes: Option<broadcast::Sender<Change>>,
    trouble: Option<String>,
}

impl Shared {
    fn new(limits: Limits, clock: Arc<dyn Clock>, keeping: Keeping) -> Self {
        let (changes, _) = broadcast::channel(limits.changes_max.max(1));
        Self {
            state: Mutex::new(Inner {
                registry: Registry::new(limits, keeping),
                changes: Some(changes),
                trouble: None,
            }),
            clock,
            unsaved: Notify::new(),
            stop: watch::Sender::new(false),
            keeper: Mutex::new(None),
            failure: OnceLock::new(),
        }
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Becomes true when presence is over.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Waits until there is something to save.
    pub(super) async fn until_unsaved(&self) {
        while !self.lock().registry.has_unsaved() {
            self.unsaved.notified().await;
        }
    }

    pub(super) fn leave(&self, client: &Arc<str>, place: Place) {
        if place != Place::Untracked {
            let now = self.clock.now();
            self.with(|registry, changes| changes.extend(registry.leave(now, client, place)));
        }
    }

    pub(super) fn handle_news(&self, news: Vec<News>) {
        for news in news {
            self.with(|registry, changes| registry.handle_news(news, changes));
        }
    }

    pub(super) fn mark_here(&self) {
        self.lock().registry.mark_here();
    }

    pub(super) fn put_back(&self, clients: Vec<Arc<str>>) {
        self.lock().registry.put_back(clients);
    }

    pub(super) fn poll_unsaved(&self, clients_max: usize) -> Batch {
        let now = self.clock.now();
        self.lock().registry.poll_unsaved(now, clients_max)
    }

    /// Returns what was wrong before.
    pub(super) fn set_trouble(&self, trouble: Option<String>) -> Option<String> {
        std::mem::replace(&mut self.lock().trouble, trouble)
    }

    fn join(&self, client: &Arc<str>, device: Cow<'static, str>) -> Place {
        let now = self.clock.now();
        self.with(|registry, changes| {
            let (place, change) = registry.join(now, client, device);
            changes.extend(change);
            place
        })
    }

    /// Does something to the registry and tells its edges before anybody else can do something, so that
    /// every subscriber hears them in the order in which they happened.
    fn with<T>(&self, work: impl FnOnce(&mut Registry, &mut Vec<Change>) -> T) -> T {
        let mut edges = Vec::new();
        let mut state = self.lock();
        let had_unsaved = state.registry.has_unsaved();
        let done = work(&mut state.registry, &mut edges);
        if let Some(changes) = &state.changes {
            for edge in edges {
                // Fails when nobody listens, which is nobody's fault.
                let _ = changes.send(edge);
            }
        }
        let is_news = !had_unsaved && state.registry.has_unsaved();
        drop(state);
        if is_news {
            self.unsaved.notify_one();
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use super::*;
    use crate::{
        SystemClock,
        presence::{Pace, store::News},
    };

    /// A store whose program has a fault.
    struct Broken;

    impl Store for Broken {
        async fn open(&mut self, _now: UnixMillis) -> Result<Vec<News>, StoreError> {
            Ok(Vec::new())
        }

        async fn save(&mut self, _batch: Batch) -> Result<Vec<News>, StoreError> {
            panic!("a fault")
        }

        async fn news(&mut self) -> Result<Option<News>, StoreError> {
            pending().await
        }

        fn lost(&mut self, _now: UnixMillis) -> Option<News> {
            None
        }

        async fn close(&mut self) {}

        fn pace(&self) -> Option<Pace> {
            Some(Pace {
                gather: Duration::from_secs(1),
                beat: Duration::from_secs(1),
            })
        }
    }

    #[tokio::test]
    async fn a_keeper_that_panics_is_missed_and_presence_goes_on() {
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
                .trouble()
                .unwrap()
                .contains("its keeper has failed")
        );
        let ticket = presence.join("ann", "laptop");
        assert!(presence.is_online("ann"));
        drop(ticket);
        presence.close().await;
    }
}
