//! The sessions whose commands come by requests of their own.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use sockeye_hub::{Client, Disconnect};

/// The clients that read an HTTP response, by their sessions.
#[derive(Clone, Default)]
pub(super) struct Sessions(Arc<Mutex<HashMap<String, Weak<Client>>>>);

/// A session in the table, until it is dropped.
pub(super) struct Registered {
    sessions: Sessions,
    session: String,
}

impl Sessions {
    pub(super) fn add(&self, session: &str, client: &Arc<Client>) -> Registered {
        let client = Arc::downgrade(client);
        self.0.lock().insert(session.to_owned(), client);
        Registered {
            sessions: self.clone(),
            session: session.to_owned(),
        }
    }

    pub(super) fn find(&self, session: &str) -> Option<Arc<Client>> {
        self.0.lock().get(session)?.upgrade()
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(super) fn disconnect_all(&self, disconnect: &Disconnect) {
        let clients: Vec<_> = self.0.lock().values().filter_map(Weak::upgrade).collect();
        for client in clients {
            client.disconnect(disconnect.clone());
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.sessions.0.lock().remove(&self.session);
    }
}
