//! Sessions that get the same messages.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use sockeye_proto::{CloseCode, Message};

use crate::{Prepared, Session, wire::Refused};

/// Sessions that get the same messages: a room, a topic, everybody. Cheap to clone.
///
/// # Slow reader
///
/// A member whose outbox is full when a message is sent is closed with 1013 ("try again later"),
/// rather than left with a gap that it can't see.
///
/// # Closing
///
/// A session that ends leaves its groups by itself.
#[derive(Clone, Default)]
pub struct Group(Arc<Members>);

#[derive(Default)]
pub(crate) struct Members(Mutex<HashMap<u64, Session>>);

impl Group {
    /// An empty group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the session in. Once is enough; an ended session isn't taken.
    pub fn join(&self, session: &Session) {
        self.0.lock().insert(session.id(), session.clone());
        session.remember(Arc::downgrade(&self.0));
    }

    /// Lets the session out.
    pub fn leave(&self, session: &Session) {
        self.0.remove(session.id());
        session.forget(&Arc::downgrade(&self.0));
    }

    /// Sends to all members, framed once. How many took it.
    pub fn send<'m>(&self, message: impl Into<Message<'m>>) -> usize {
        self.send_prepared(&Prepared::new(message))
    }

    /// Sends to all members but this one. How many took it.
    pub fn send_except<'m>(&self, session: &Session, message: impl Into<Message<'m>>) -> usize {
        self.deliver(&Prepared::new(message), Some(session.id()))
    }

    /// Sends a message that was prepared before. How many took it.
    pub fn send_prepared(&self, message: &Prepared) -> usize {
        self.deliver(message, None)
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn deliver(&self, message: &Prepared, except: Option<u64>) -> usize {
        let mut taken = 0;
        for (id, session) in self.0.lock().iter() {
            if Some(*id) == except {
                continue;
            }
            match session.offer(message) {
                Ok(()) => taken += 1,
                Err(Refused::Full) => session.close(CloseCode::TRY_AGAIN_LATER, "reads too slowly"),
                Err(Refused::Closed) => {}
            }
        }
        taken
    }
}

impl Members {
    pub(crate) fn remove(&self, id: u64) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The groups that a session is in, so that it can leave them when it ends.
#[derive(Default)]
pub(crate) struct Memberships {
    groups: Vec<Weak<Members>>,
    ended: bool,
}

impl Memberships {
    /// `false`: the session has ended, and must not stay in the group.
    pub(crate) fn remember(&mut self, group: Weak<Members>) -> bool {
        if !self.ended && !self.groups.iter().any(|known| known.ptr_eq(&group)) {
            self.groups.push(group);
        }
        !self.ended
    }

    pub(crate) fn forget(&mut self, group: &Weak<Members>) {
        self.groups.retain(|known| !known.ptr_eq(group));
    }

    pub(crate) fn end(&mut self) -> Vec<Weak<Members>> {
        self.ended = true;
        std::mem::take(&mut self.groups)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("len", &self.len()).finish()
    }
}
