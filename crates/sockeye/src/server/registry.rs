//! Every open session in a tokio task, so that a drain can close it.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sockeye_proto::Message;
use tokio::task::AbortHandle;

use crate::{
    address::AddressPermit,
    closed::{Closed, Ending},
    connection::{Permit, Session},
    endpoint::{Endpoint, Reply},
    server::{closing_notice::ClosingNotice, stats::Stats},
};

/// The sessions of a server that run in tokio tasks, and the counts of all its sessions.
///
/// Locked when a session opens and when it ends. No message passes through here.
#[derive(Default)]
pub(crate) struct Registry {
    /// Sessions that run in tokio tasks.
    state: Mutex<RegistryState>,
    /// Counts all sessions, those of workers too.
    stats: Stats,
}

#[derive(Default)]
struct RegistryState {
    open: HashMap<u64, OpenSession>,
    /// Sent to every session that opens from now on.
    closing_notice: Option<ClosingNotice>,
}

struct OpenSession {
    session: Session,
    /// The task that drives the session. `None` until [`Registry::set_task`].
    task: Option<AbortHandle>,
}

impl Registry {
    /// Returns the number of open sessions, those of workers too.
    pub(crate) fn len(&self) -> usize {
        self.stats.open()
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Closes every session that opens from now on with this notice, and returns the sessions that are open.
    pub(crate) fn begin_closing(&self, closing_notice: &ClosingNotice) -> Vec<Session> {
        let mut state = self.lock();
        state.closing_notice = Some(closing_notice.clone());
        let sessions = state.open.values();
        sessions
            .map(|open_session| open_session.session.clone())
            .collect()
    }

    /// Adds `session`. Call this before its task begins.
    pub(crate) fn insert(&self, session: &Session) {
        let open_session = OpenSession {
            session: session.clone(),
            task: None,
        };
        let closing_notice = {
            let mut state = self.lock();
            state.open.insert(session.id(), open_session);
            self.stats.handle_open();
            state.closing_notice.clone()
        };
        if let Some(closing_notice) = closing_notice {
            closing_notice.send_to(session);
        }
    }

    /// Sets the task that [`Registry::abort_tasks`] stops for a session, unless the session has ended.
    pub(crate) fn set_task(&self, id: u64, task: AbortHandle) {
        if let Some(open_session) = self.lock().open.get_mut(&id) {
            open_session.task = Some(task);
        }
    }

    /// Aborts the tasks of all open sessions.
    pub(crate) fn abort_tasks(&self) {
        let tasks: Vec<AbortHandle> = self
            .lock()
            .open
            .values()
            .filter_map(|open_session| open_session.task.clone())
            .collect();
        // After the lock is released: what a task drops may lock the registry.
        for task in tasks {
            task.abort();
        }
    }

    fn end(&self, id: u64, ending: Ending) {
        let mut state = self.lock();
        let open_session = state.open.remove(&id);
        if open_session.is_some() {
            self.stats.handle_end(ending);
        }
        drop(state);
        // After the lock is released: this may be the last clone of the session.
        drop(open_session);
    }

    fn lock(&self) -> MutexGuard<'_, RegistryState> {
        // No holder of the lock panics, and a count is not worth a second panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The registration of one session. While it lives the session counts as a connection; its drop removes the session
/// from the registry.
pub(crate) struct Registration {
    registry: Arc<Registry>,
    /// The session's id. `None` before it opens and after it has ended.
    id: Option<u64>,
    /// The count of the connection, shared with the other streams of an HTTP/2 connection and with the socket of a
    /// conversation.
    permit: Arc<Permit>,
    /// The count for the client's address, held for its drop.
    address: Option<AddressPermit>,
}

impl Registration {
    pub(crate) fn new(registry: Arc<Registry>, permit: Arc<Permit>) -> Self {
        Self {
            registry,
            id: None,
            permit,
            address: None,
        }
    }

    /// Counts the session for an address, too, if its connection doesn't count for it.
    pub(crate) fn counting_for(mut self, address: Option<AddressPermit>) -> Self {
        self.address = address;
        self
    }

    /// Returns the permit, for owners that outlive the registration.
    pub(crate) fn permit(&self) -> &Arc<Permit> {
        &self.permit
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Sets the session that this registration is for.
    pub(crate) fn set_session(&mut self, session: &Session) {
        self.id = Some(session.id());
    }

    pub(crate) fn end(&mut self, session: &Session) {
        self.id = None;
        self.registry.end(session.id(), session.ending());
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Only an aborted task drops a registration that still has an id.
        if let Some(id) = self.id.take() {
            self.registry.end(id, Ending::Unclean);
        }
    }
}

/// An endpoint in a tokio task whose session is in the registry.
pub(crate) struct RegisteredEndpoint {
    pub(crate) endpoint: Box<dyn Endpoint>,
    pub(crate) registration: Registration,
}

impl Endpoint for RegisteredEndpoint {
    fn on_open(&mut self, session: &Session) {
        self.registration.set_session(session);
        self.endpoint.on_open(session);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        self.endpoint.on_message(session, message)
    }

    fn on_close(&mut self, session: &Session, closed: &Closed) {
        let endpoint = &mut self.endpoint;
        let called = catch_unwind(AssertUnwindSafe(|| endpoint.on_close(session, closed)));
        self.registration.end(session);
        if let Err(panic) = called {
            resume_unwind(panic);
        }
    }

    fn wrapped(&mut self) -> Option<&mut dyn Endpoint> {
        Some(&mut *self.endpoint)
    }
}
