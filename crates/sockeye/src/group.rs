//! Sessions that get the same messages.
//!
//! ```text
//!                    ┌─> slice of a worker: pending ── end of its round ──> batch ──> members
//!   send ─> prepared ┤
//!                    └─> slice of the tasks ── at once ──> members
//! ```

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use sockeye_proto::Message;

use crate::connection::{Mailbox, Prepared, Session, Slice};

/// Sessions that get the same messages: a room, a topic, everybody. Cheap to clone.
///
/// A member gets what is sent between its [`Group::join`] and its [`Group::leave`], in the order in
/// which a thread sends it, and in order with what that thread sends to the member alone. Members on a
/// server's workers get it when their worker has done what it is at: all that was sent until then, in
/// one write. Dropping the group doesn't hold back what was sent.
///
/// # Slow reader
///
/// A member whose outbox is full when it should get a message is closed with 1013 ("try again later"),
/// rather than left with a gap that it can't see.
///
/// About a mebibyte waits for each worker. An endpoint that sends more than its members can be given is not
/// called meanwhile: its connection is read from again when there is room, and the others of its worker get
/// their turns. Any other thread, and an endpoint that sends many times as much from one call, does the work
/// itself: [`Group::send`] returns later then.
///
/// # Closing
///
/// A session that ends leaves its groups by itself. What was sent before [`Session::close`] goes out
/// before the Close frame.
#[derive(Clone, Default)]
pub struct Group(Arc<Slices>);

/// One slice for each worker that has members, and one for the members that tasks drive. An empty one
/// goes when the next is made.
///
/// Locks are taken in this order: slices, members of a slice, wire of a session, pending publications
/// of a slice, notes of a worker.
#[derive(Default)]
struct Slices(RwLock<Vec<Arc<Slice>>>);

impl Group {
    /// An empty group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the session in. Once is enough; an ended session isn't taken.
    pub fn join(&self, session: &Session) {
        let mailbox = session.shared().lock_in_order().mailbox().cloned();
        {
            let slices = self.0.read();
            if let Some(slice) = slice_of(&slices, mailbox.as_ref()) {
                return slice.add(session);
            }
        }
        let mut slices = self.0.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slice) = slice_of(&slices, mailbox.as_ref()) {
            return slice.add(session);
        }
        slices.retain(|slice| slice.len() > 0);
        let slice = Arc::new(Slice::new(mailbox));
        slice.add(session);
        slices.push(slice);
    }

    /// Lets the session out. It gets what was sent before.
    pub fn leave(&self, session: &Session) {
        let mailbox = session.shared().lock_in_order().mailbox().cloned();
        if let Some(slice) = slice_of(&self.0.read(), mailbox.as_ref()) {
            slice.remove(session.shared());
        }
    }

    /// Sends to all members, framed once. How many members it is for.
    pub fn send<'m>(&self, message: impl Into<Message<'m>>) -> usize {
        self.send_prepared(&Prepared::new(message))
    }

    /// Sends to all members but this one. How many members it is for.
    pub fn send_except<'m>(&self, session: &Session, message: impl Into<Message<'m>>) -> usize {
        let message = Prepared::new(message);
        let slices = self.0.read();
        let publish = |slice: &Arc<Slice>| slice.publish(&message, Some(session.id()));
        let members: usize = slices.iter().map(publish).sum();
        let is_member = slices.iter().any(|slice| slice.has(session.shared()));
        members - usize::from(is_member && members > 0)
    }

    /// Sends a message that was prepared before. How many members it is for.
    pub fn send_prepared(&self, message: &Prepared) -> usize {
        let slices = self.0.read();
        slices
            .iter()
            .map(|slice| slice.publish(message, None))
            .sum()
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().iter().map(|slice| slice.len()).sum()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Slices {
    fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<Slice>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slice_of<'s>(
    slices: &'s [Arc<Slice>],
    mailbox: Option<&Arc<Mailbox>>,
) -> Option<&'s Arc<Slice>> {
    slices.iter().find(|slice| slice.is_of(mailbox))
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("len", &self.len()).finish()
    }
}
