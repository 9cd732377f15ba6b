//! Who is here: every open session of a server, so that it can say goodbye to each.

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
    error::Error,
    server::{farewell::Farewell, stats::Stats},
};

/// Every open session of a server.
///
/// Locked when a session opens and when it ends. A message doesn't come by here.
#[derive(Default)]
pub(crate) struct Registry {
    /// Sessions in tasks.
    state: Mutex<State>,
    /// Of all sessions, whatever drives them.
    stats: Stats,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Guest>,
    /// Said to whoever opens from now on.
    farewell: Option<Farewell>,
}

struct Guest {
    session: Session,
    /// What drives the session, once it is known.
    task: Option<AbortHandle>,
}

impl Registry {
    /// Open sessions.
    pub(crate) fn len(&self) -> usize {
        self.stats.open()
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Says goodbye to whoever opens from now on; those who are open are returned.
    pub(crate) fn begin_farewell(&self, farewell: &Farewell) -> Vec<Session> {
        let mut state = self.lock();
        state.farewell = Some(farewell.clone());
        let sessions = state.open.values();
        sessions.map(|guest| guest.session.clone()).collect()
    }

    /// Knows `session` from now on. Call it before its task begins.
    pub(crate) fn enter(&self, session: &Session) {
        let guest = Guest {
            session: session.clone(),
            task: None,
        };
        let farewell = {
            let mut state = self.lock();
            state.open.insert(session.id(), guest);
            self.stats.handle_open();
            state.farewell.clone()
        };
        if let Some(farewell) = farewell {
            farewell.say_to(session);
        }
    }

    /// Knows how to stop the session's task, if that has not ended already.
    pub(crate) fn attach(&self, id: u64, task: AbortHandle) {
        if let Some(guest) = self.lock().open.get_mut(&id) {
            guest.task = Some(task);
        }
    }

    /// Stops the tasks of all who are still here.
    pub(crate) fn cut(&self) {
        let tasks: Vec<AbortHandle> = self
            .lock()
            .open
            .values()
            .filter_map(|guest| guest.task.clone())
            .collect();
        // Without the lock: what a task drops may come by here.
        for task in tasks {
            task.abort();
        }
    }

    fn leave(&self, id: u64, ending: Ending) {
        let mut state = self.lock();
        let guest = state.open.remove(&id);
        if guest.is_some() {
            self.stats.handle_end(ending);
        }
        drop(state);
        // After the lock: it may be the session's last clone.
        drop(guest);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and a count is not worth a second panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session's stay: counted as a connection until dropped, and then surely out of the registry.
pub(crate) struct Registration {
    registry: Arc<Registry>,
    /// The session, once known and until it has left.
    id: Option<u64>,
    /// Shared with the other streams of an HTTP/2 connection, and with a conversation's socket.
    permit: Arc<Permit>,
    /// Held for its drop.
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

    /// Counts for an address too, if its connection doesn't.
    pub(crate) fn counting_for(mut self, address: Option<AddressPermit>) -> Self {
        self.address = address;
        self
    }

    /// For those who outlive the stay.
    pub(crate) fn permit(&self) -> &Arc<Permit> {
        &self.permit
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// This is the stay of `session`.
    pub(crate) fn begin(&mut self, session: &Session) {
        self.id = Some(session.id());
    }

    pub(crate) fn leave(&mut self, session: &Session) {
        self.id = None;
        self.registry.leave(session.id(), session.ending());
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A task that was stopped.
        if let Some(id) = self.id.take() {
            self.registry.leave(id, Ending::Unclean);
        }
    }
}

/// An endpoint in a task, whose session is known to the server.
pub(crate) struct RegisteredEndpoint {
    pub(crate) endpoint: Box<dyn Endpoint>,
    pub(crate) registration: Registration,
}

impl Endpoint for RegisteredEndpoint {
    fn on_open(&mut self, session: &Session) {
        self.registration.begin(session);
        self.endpoint.on_open(session);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        self.endpoint.on_message(session, message)
    }

    fn on_ping(&mut self, session: &Session, payload: &[u8]) {
        self.endpoint.on_ping(session, payload);
    }

    fn on_pong(&mut self, session: &Session, payload: &[u8]) {
        self.endpoint.on_pong(session, payload);
    }

    fn on_close(&mut self, session: &Session, closed: &Closed) {
        let endpoint = &mut self.endpoint;
        let told = catch_unwind(AssertUnwindSafe(|| endpoint.on_close(session, closed)));
        self.registration.leave(session);
        if let Err(panic) = told {
            resume_unwind(panic);
        }
    }

    fn on_error(&mut self, session: &Session, error: &Error) {
        self.endpoint.on_error(session, error);
    }
}
