//! The sessions over HTTP of one path, and the ids of those that have ended.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until},
};

use super::{
    form::close_frame,
    relay::RelayClose,
    session::{Opener, SessionOwner, SockJsSession},
};
use crate::{handshake::ClientId, time::later};

/// The sessions over HTTP of one path. The id of a session that has ended is kept for a while, so that a late request learns how
/// it ended and doesn't open another.
///
/// ```text
///   open ──> Live ──(its connection ends)──> Tombstone ──(disconnect_delay)──> forgotten
/// ```
pub(super) struct Sessions {
    table: Mutex<Table>,
    disconnect_delay: Duration,
    sessions_max: usize,
    sessions_per_client_max: usize,
}

#[derive(Default)]
struct Table {
    entries: HashMap<Arc<str>, Entry>,
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

struct Entry {
    kind: EntryKind,
    /// Whether `checks` has the id.
    is_watched: bool,
}

enum EntryKind {
    Live(Arc<SockJsSession>),
    Tombstone(Tombstone),
}

/// What is left of a session.
#[derive(Clone)]
pub(super) struct Tombstone {
    pub(super) opener: Opener,
    /// The frame that every receiver gets.
    pub(super) close_frame: Arc<str>,
    until: Instant,
}

/// What an id stands for.
pub(super) enum Found {
    Live(Arc<SockJsSession>),
    Tombstone(Tombstone),
    Nothing,
}

/// Why a session can't be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    /// There are as many sessions as there may be.
    TooMany,
    /// The client has as many as it may have.
    TooManyOfClient,
    /// Another request has opened one by this id meanwhile.
    Taken,
}

impl Sessions {
    pub(super) fn new(
        disconnect_delay: Duration,
        sessions_max: usize,
        sessions_per_client_max: usize,
    ) -> Self {
        Self {
            table: Mutex::default(),
            disconnect_delay,
            sessions_max,
            sessions_per_client_max,
        }
    }

    /// Returns what there is by `id`.
    pub(super) fn find(&self, id: &str) -> Found {
        match self.table.lock().entries.get(id).map(|entry| &entry.kind) {
            Some(EntryKind::Live(session)) => Found::Live(Arc::clone(session)),
            Some(EntryKind::Tombstone(tombstone)) => Found::Tombstone(tombstone.clone()),
            None => Found::Nothing,
        }
    }

    /// Returns whether another session may be opened.
    pub(super) fn has_room(&self) -> bool {
        self.table.lock().live < self.sessions_max
    }

    /// Adds a session, which has its first receiver already.
    ///
    /// # Errors
    ///
    /// There are too many, or there is one by this id.
    pub(super) fn open(
        self: &Arc<Self>,
        id: &str,
        opener: Opener,
        batch_bytes_max: usize,
    ) -> Result<Arc<SockJsSession>, OpenError> {
        let mut table = self.table.lock();
        if table.entries.contains_key(id) {
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
        let id: Arc<str> = id.into();
        let owner: Weak<dyn SessionOwner> = Arc::<Self>::downgrade(self);
        let session = SockJsSession::new(Arc::clone(&id), opener, batch_bytes_max, Some(owner));
        let session = Arc::new(session);
        // Nobody else knows of the session yet.
        let _ = session.relay().attach();
        let entry = Entry {
            kind: EntryKind::Live(Arc::clone(&session)),
            is_watched: false,
        };
        table.entries.insert(id, entry);
        Ok(session)
    }

    fn check_at(self: &Arc<Self>, id: &Arc<str>, at: Instant) {
        let mut table = self.table.lock();
        match table.entries.get_mut(id) {
            Some(entry) if !entry.is_watched => entry.is_watched = true,
            // An earlier check finds out what is due, and sets the next one.
            _ => return,
        }
        let number = table.next_check;
        table.next_check += 1;
        table.checks.insert((at, number), Arc::clone(id));
        // Without a runtime everything ends, and nobody asks for the entries any more.
        if !table.is_kept
            && let Ok(runtime) = Handle::try_current()
        {
            table.is_kept = true;
            runtime.spawn(keep(Arc::clone(self)));
        }
    }

    /// Does the checks that are due. Returns when the next one is; `None` if there is none, and the caller ends.
    fn check(&self, now: Instant) -> Option<Instant> {
        loop {
            let unattended = {
                let mut table = self.table.lock();
                let Some(first) = table.checks.first_entry() else {
                    table.is_kept = false;
                    return None;
                };
                let due = first.key().0;
                if due > now {
                    return Some(due);
                }
                let id = first.remove();
                table.check_entry(&id, now, self.disconnect_delay)
            };
            // After the lock is released: the session's task may need it.
            if let Some(session) = unattended {
                session.relay().break_off();
            }
        }
    }
}

impl SessionOwner for Sessions {
    fn watch(self: Arc<Self>, id: &Arc<str>) {
        self.check_at(id, later(Instant::now(), self.disconnect_delay));
    }

    /// Replaces the entry of the session by a tombstone.
    fn handle_ended(self: Arc<Self>, session: &SockJsSession) {
        let close = session.relay().ending();
        let until = later(Instant::now(), self.disconnect_delay);
        let mut table = self.table.lock();
        let tombstones = table.entries.len() - table.live;
        let Some(entry) = table.entries.get_mut(session.id()) else {
            return;
        };
        if !matches!(&entry.kind, EntryKind::Live(live) if std::ptr::eq(&**live, session)) {
            return;
        }
        let close = close.unwrap_or_else(RelayClose::interrupted);
        entry.kind = EntryKind::Tombstone(Tombstone {
            opener: session.opener(),
            close_frame: close_frame(close.code, &close.reason).into(),
            until,
        });
        table.live -= 1;
        table.leave(session.client());
        if tombstones >= self.sessions_max {
            table.entries.remove(session.id());
            return;
        }
        drop(table);
        self.check_at(session.id(), until);
    }
}

impl Table {
    /// Checks the entry by `id`, and sets its next check. Returns a session that has been without a receiver for too long.
    fn check_entry(
        &mut self,
        id: &Arc<str>,
        now: Instant,
        delay: Duration,
    ) -> Option<Arc<SockJsSession>> {
        let entry = self.entries.get_mut(id)?;
        entry.is_watched = false;
        let due = match &entry.kind {
            EntryKind::Live(session) => later(session.unattended_since()?, delay),
            EntryKind::Tombstone(tombstone) => tombstone.until,
        };
        if due > now {
            entry.is_watched = true;
            let number = self.next_check;
            self.next_check += 1;
            self.checks.insert((due, number), Arc::clone(id));
            return None;
        }
        match &entry.kind {
            EntryKind::Live(session) => Some(Arc::clone(session)),
            EntryKind::Tombstone(_) => {
                self.entries.remove(id);
                None
            }
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
async fn keep(sessions: Arc<Sessions>) {
    while let Some(due) = sessions.check(Instant::now()) {
        sleep_until(due).await;
    }
}
