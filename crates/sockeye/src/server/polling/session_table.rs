//! The sessions over HTTP of one path, and the ids of those that have ended.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::opener::Opener;
use crate::{handshake::ClientId, time::later};

/// The sessions over HTTP of one path. The id of a session that has ended is kept for a while, so that a late request learns how
/// it ended and doesn't open another.
///
/// ```text
///   open ──> Live ──(its connection ends)──> Tombstone ──(tombstone_time)──> forgotten
/// ```
pub(crate) struct SessionTable<S: TableSession> {
    table: Mutex<Table<S>>,
    /// Told when a check is due before all others.
    earlier: Notify,
    tombstone_time: Duration,
    sessions_max: usize,
    sessions_per_client_max: usize,
}

/// A session that requests find by its id.
pub(crate) trait TableSession: Send + Sync + 'static {
    /// What later requests learn of its end.
    type Ending: Clone + Send;

    /// The session's id. It is a secret, and no program gets it.
    fn id(&self) -> &Arc<str>;

    /// Returns who has opened it.
    fn opener(&self) -> Opener;

    /// Does what is due, and says when the session is checked again.
    fn check(&self, now: Instant) -> Check;

    /// Ends the session without its consent.
    fn break_off(&self);

    /// Returns how the session has ended; `None` if later requests needn't know, and the id is forgotten at once.
    fn ending(&self) -> Option<Self::Ending>;
}

/// What a check of a session has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Nothing is due before that.
    Next(Instant),
    /// Nothing will be due before [`SessionTable::check_at`] says so.
    Idle,
    /// The session's client is gone.
    Over,
}

struct Table<S: TableSession> {
    entries: HashMap<Arc<str>, Entry<S>>,
    /// The number of entries that are live.
    live: usize,
    /// How many of them a client has. No entry is 0.
    clients: HashMap<ClientId, usize>,
    /// When an entry is checked. Each id is there once at most, with the number that its entry has.
    checks: BTreeMap<(Instant, u64), Arc<str>>,
    next_check: u64,
    /// Whether a task runs that does the checks.
    is_kept: bool,
}

struct Entry<S: TableSession> {
    kind: EntryKind<S>,
    /// Where the id is in `checks`.
    check: Option<(Instant, u64)>,
}

enum EntryKind<S: TableSession> {
    Live(Arc<S>),
    Tombstone(Tombstone<S::Ending>),
}

/// What is left of a session.
#[derive(Clone)]
pub(crate) struct Tombstone<E> {
    pub(crate) opener: Opener,
    pub(crate) ending: E,
    until: Instant,
}

/// What an id stands for.
pub(crate) enum Found<S: TableSession> {
    Live(Arc<S>),
    Tombstone(Tombstone<S::Ending>),
    Nothing,
}

/// Why a session can't be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// There are as many sessions as there may be.
    TooMany,
    /// The client has as many as it may have.
    TooManyOfClient,
    /// Another request has opened one by this id meanwhile.
    Taken,
}

impl<S: TableSession> SessionTable<S> {
    pub(crate) fn new(
        tombstone_time: Duration,
        sessions_max: usize,
        sessions_per_client_max: usize,
    ) -> Self {
        Self {
            table: Mutex::new(Table {
                entries: HashMap::new(),
                live: 0,
                clients: HashMap::new(),
                checks: BTreeMap::new(),
                next_check: 0,
                is_kept: false,
            }),
            earlier: Notify::new(),
            tombstone_time,
            sessions_max,
            sessions_per_client_max,
        }
    }

    /// Returns what there is by `id`.
    pub(crate) fn find(&self, id: &str) -> Found<S> {
        match self.table.lock().entries.get(id).map(|entry| &entry.kind) {
            Some(EntryKind::Live(session)) => Found::Live(Arc::clone(session)),
            Some(EntryKind::Tombstone(tombstone)) => Found::Tombstone(tombstone.clone()),
            None => Found::Nothing,
        }
    }

    /// Returns whether another session may be opened.
    pub(crate) fn has_room(&self) -> bool {
        self.table.lock().live < self.sessions_max
    }

    /// Adds the session that `make` makes, which has its first receiver already.
    ///
    /// # Errors
    ///
    /// There are too many, or there is one by this id.
    pub(crate) fn open(
        self: &Arc<Self>,
        id: Arc<str>,
        opener: Opener,
        make: impl FnOnce(Arc<str>, Opener) -> S,
    ) -> Result<Arc<S>, OpenError> {
        let mut table = self.table.lock();
        if table.entries.contains_key(&id) {
            return Err(OpenError::Taken);
        }
        if table.live >= self.sessions_max {
            return Err(OpenError::TooMany);
        }
        if let Some(client) = &opener.client {
            let count = table.clients.get(client).copied().unwrap_or_default();
            if count >= self.sessions_per_client_max {
                return Err(OpenError::TooManyOfClient);
            }
            table.clients.insert(client.clone(), count + 1);
        }
        table.live += 1;
        let session = Arc::new(make(Arc::clone(&id), opener));
        let entry = Entry {
            kind: EntryKind::Live(Arc::clone(&session)),
            check: None,
        };
        table.entries.insert(id, entry);
        Ok(session)
    }

    /// Sees to it that the session by `id` is checked at `at`, or before.
    pub(crate) fn check_at(self: &Arc<Self>, id: &Arc<str>, at: Instant) {
        let mut table = self.table.lock();
        // An earlier check finds out what is due, and sets the next one.
        if !table.schedule(id, at) {
            return;
        }
        // Without a runtime everything ends, and nobody asks for the entries any more.
        if !table.is_kept
            && let Ok(runtime) = Handle::try_current()
        {
            table.is_kept = true;
            runtime.spawn(keep(Arc::clone(self)));
            return;
        }
        if table
            .checks
            .first_key_value()
            .is_some_and(|(_, first)| first == id)
        {
            self.earlier.notify_one();
        }
    }

    /// Does the checks that are due. Returns when the next one is; `None` if there is none, and the caller ends.
    fn check(&self, now: Instant) -> Option<Instant> {
        loop {
            let due = {
                let mut table = self.table.lock();
                let Some(first) = table.checks.first_entry() else {
                    table.is_kept = false;
                    return None;
                };
                let at = first.key().0;
                if at > now {
                    return Some(at);
                }
                let id = first.remove();
                table.take_due(&id, now)
            };
            // After the lock is released: the session's task may need it.
            let Some(session) = due else { continue };
            match session.check(now) {
                Check::Next(at) => {
                    self.table.lock().schedule(session.id(), at);
                }
                Check::Idle => {}
                Check::Over => session.break_off(),
            }
        }
    }

    /// Notes that the session's connection has ended: replaces its entry by a tombstone.
    pub(crate) fn handle_ended(self: &Arc<Self>, session: &S) {
        let ending = session.ending();
        let until = later(Instant::now(), self.tombstone_time);
        let mut table = self.table.lock();
        let tombstones = table.entries.len() - table.live;
        let Some(entry) = table.entries.get_mut(session.id()) else {
            return;
        };
        if !matches!(&entry.kind, EntryKind::Live(live) if std::ptr::eq(&**live, session)) {
            return;
        }
        let opener = session.opener();
        let client = opener.client.clone();
        let is_remembered = ending.is_some() && tombstones < self.sessions_max;
        if let Some(ending) = ending {
            entry.kind = EntryKind::Tombstone(Tombstone {
                opener,
                ending,
                until,
            });
        }
        table.live -= 1;
        table.leave(&client);
        if !is_remembered {
            table.forget(session.id());
            return;
        }
        drop(table);
        self.check_at(session.id(), until);
    }
}

impl<S: TableSession> Table<S> {
    /// Notes a check of the entry by `id`, unless an earlier one is there. Returns whether it has.
    fn schedule(&mut self, id: &Arc<str>, at: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(id) else {
            return false;
        };
        if entry.check.is_some_and(|(noted, _)| noted <= at) {
            return false;
        }
        let key = (at, self.next_check);
        self.next_check += 1;
        if let Some(noted) = entry.check.replace(key) {
            self.checks.remove(&noted);
        }
        self.checks.insert(key, Arc::clone(id));
        true
    }

    /// Returns the session by `id`, whose check was due. Forgets a tombstone that is old enough.
    fn take_due(&mut self, id: &Arc<str>, now: Instant) -> Option<Arc<S>> {
        let entry = self.entries.get_mut(id)?;
        entry.check = None;
        match &entry.kind {
            EntryKind::Live(session) => Some(Arc::clone(session)),
            EntryKind::Tombstone(tombstone) if tombstone.until > now => {
                let until = tombstone.until;
                self.schedule(id, until);
                None
            }
            EntryKind::Tombstone(_) => {
                self.entries.remove(id);
                None
            }
        }
    }

    fn forget(&mut self, id: &Arc<str>) {
        if let Some(entry) = self.entries.remove(id)
            && let Some(check) = entry.check
        {
            self.checks.remove(&check);
        }
    }

    fn leave(&mut self, client: &Option<ClientId>) {
        if let Some(client) = client
            && let Some(count) = self.clients.get_mut(client)
        {
            *count -= 1;
            if *count == 0 {
                self.clients.remove(client);
            }
        }
    }
}

/// Does the checks of `sessions` until there are none.
async fn keep<S: TableSession>(sessions: Arc<SessionTable<S>>) {
    while let Some(due) = sessions.check(Instant::now()) {
        let _ = timeout_at(due, sessions.earlier.notified()).await;
    }
}
