//! Sends one message to many sessions, framed once.
//!
//! ```text
//!                     ┌──> slice of a worker: pending ── end of the worker's turn ──> batch ──> members
//!   send ──> Prepared ┤
//!                     └──> slice of the tasks ── at once ──> members
//! ```

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use sockeye_proto::{CloseCode, Message};

use crate::connection::{Except, Mailbox, Prepared, Session, Slice, SlowReaderClose};

/// Sessions that receive the same messages, such as the members of a room or the subscribers of a topic. Cheap to
/// clone; clones are the same group.
///
/// A member receives what is sent between its [`Group::join`] and its [`Group::leave`], in the order in which a thread
/// sends it, and in order with what that thread sends to the member alone. A server's worker writes to its members at
/// the end of its current turn, and joins everything that was sent until then in one write for each. Dropping the group
/// doesn't hold back what was sent.
///
/// # Slow reader
///
/// A member whose outbox is full when a message is due is closed with 1013 ("try again later"), or as [`Group::with_slow_reader`] says. Otherwise it would miss
/// messages without knowing.
///
/// About 1 MiB of messages waits for each worker. An endpoint that sends more than its members can be given is paused:
/// its connection isn't read until there is room, and the worker's other connections go on. Any other thread delivers
/// the messages itself, and so does an endpoint that sends many times that much from one call: [`Group::send`] then
/// takes longer.
///
/// # Closing
///
/// A session that ends leaves its groups. What was sent to it before [`Session::close`] leaves before the Close frame.
///
/// # Example
///
/// ```
/// use sockeye::{Endpoint, Group, Message, Reply, Session};
///
/// struct Room(Group);
///
/// impl Endpoint for Room {
///     fn on_open(&mut self, session: &Session) {
///         self.0.join(session);
///     }
///
///     fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
///         self.0.send_except(session, message);
///         Reply::None
///     }
/// }
/// ```
#[derive(Clone, Default)]
pub struct Group(Arc<GroupSlices>);

/// One slice for each worker that has members, and one for the members that tasks drive. Empty slices are removed when
/// the next one is added, so their number is at most that of the workers, plus one.
///
/// Locks are taken in this order: slices, members of a slice, writer of a session, pending messages of a slice,
/// mailbox of a worker.
#[derive(Default)]
struct GroupSlices {
    slices: RwLock<Vec<Arc<Slice>>>,
    /// How members that read too slowly are closed, if not with 1013.
    slow_reader: Option<Arc<SlowReaderClose>>,
}

impl Group {
    /// Makes an empty group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty group that closes members which read too slowly with this code and reason, instead of 1013. Of a
    /// session's groups the one that it joined last decides.
    ///
    /// ```
    /// use sockeye::{CloseCode, Group};
    ///
    /// // A code of the application's own, by which its clients know that they should come back.
    /// let feed = Group::with_slow_reader(CloseCode::new(4008), "slow");
    /// assert!(feed.is_empty());
    /// ```
    #[must_use]
    pub fn with_slow_reader(code: CloseCode, reason: &'static str) -> Self {
        Self(Arc::new(GroupSlices {
            slices: RwLock::default(),
            slow_reader: Some(Arc::new(SlowReaderClose { code, reason })),
        }))
    }

    /// Adds the session. Does nothing if it is a member already or has ended.
    pub fn join(&self, session: &Session) {
        self.add(session);
        if let Some(slow_reader) = &self.0.slow_reader {
            let mut writer = session.shared().lock_in_order();
            writer.cold_state().slow_reader = Some(Arc::clone(slow_reader));
            writer.tidy();
        }
    }

    fn add(&self, session: &Session) {
        let mailbox = session.shared().lock_in_order().mailbox().cloned();
        {
            let slices = self.0.read();
            if let Some(slice) = slice_of(&slices, mailbox.as_ref()) {
                return slice.add(session);
            }
        }
        let mut slices = self
            .0
            .slices
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(slice) = slice_of(&slices, mailbox.as_ref()) {
            return slice.add(session);
        }
        slices.retain(|slice| slice.len() > 0);
        let slice = Arc::new(Slice::new(mailbox));
        slice.add(session);
        slices.push(slice);
    }

    /// Removes the session. It still receives what was sent before.
    pub fn leave(&self, session: &Session) {
        let mailbox = session.shared().lock_in_order().mailbox().cloned();
        if let Some(slice) = slice_of(&self.0.read(), mailbox.as_ref()) {
            slice.remove(session.shared());
        }
    }

    /// Sends a message to all members. Returns their number.
    pub fn send<'m>(&self, message: impl Into<Message<'m>>) -> usize {
        self.send_prepared(&Prepared::new(message))
    }

    /// Sends a message to all members except `session`. Returns the number of members that it is sent to.
    pub fn send_except<'m>(&self, session: &Session, message: impl Into<Message<'m>>) -> usize {
        let except = Except::One(session.id());
        self.publish_except(&Prepared::new(message), &except, &[session])
    }

    /// Returns the members except these sessions: `group.except([&a, &b]).send("hello")`. A session that isn't a member
    /// changes nothing.
    ///
    /// # Example
    ///
    /// ```
    /// use sockeye::{Group, Session};
    ///
    /// /// Returns how many other members there are.
    /// fn announce(room: &Group, couple: (&Session, &Session)) -> usize {
    ///     room.except([couple.0, couple.1]).send("two have left for a private room")
    /// }
    /// ```
    #[must_use = "nothing is sent before `send`"]
    pub fn except<'g>(
        &'g self,
        sessions: impl IntoIterator<Item = &'g Session>,
    ) -> GroupExcept<'g> {
        let mut sessions: Vec<&Session> = sessions.into_iter().collect();
        sessions.sort_unstable_by_key(|session| session.id());
        sessions.dedup();
        let except = Except::new(sessions.iter().map(|session| session.id()).collect());
        GroupExcept {
            group: self,
            sessions,
            except,
        }
    }

    /// Closes all members, as [`Session::close`] does. Returns their number.
    ///
    /// What was sent to the group before leaves before the Close frame. A session that joins during the call is not
    /// closed, and the group can be used again at once. All members are closed at the same time; [`crate::Drain`] closes
    /// at a set pace.
    ///
    /// # Example
    ///
    /// ```
    /// use sockeye::{CloseCode, Group};
    ///
    /// fn end(room: &Group) {
    ///     room.send("thank you for coming");
    ///     room.close(CloseCode::NORMAL, "the show is over");
    /// }
    /// ```
    pub fn close(&self, code: CloseCode, reason: &str) -> usize {
        let mut closed = 0;
        self.for_each(|session| {
            session.close(code, reason);
            closed += 1;
        });
        closed
    }

    /// Calls `visit` with each session that is a member when the call begins, in no order, on the calling thread.
    ///
    /// No lock is held meanwhile, so `visit` may use the session and the group: send, close, join and leave. `visit` must
    /// not block: on a worker, which calls the endpoints, the worker's other connections wait until the call ends. The
    /// list of members is copied first, 8 bytes for each.
    ///
    /// # Example
    ///
    /// ```
    /// use sockeye::{Group, Session};
    ///
    /// /// Returns the sessions that speak a subprotocol.
    /// fn speakers(room: &Group, subprotocol: &str) -> Vec<Session> {
    ///     let mut speakers = Vec::new();
    ///     room.for_each(|session| {
    ///         if session.subprotocol() == Some(subprotocol) {
    ///             speakers.push(session.clone());
    ///         }
    ///     });
    ///     speakers
    /// }
    /// ```
    pub fn for_each(&self, mut visit: impl FnMut(&Session)) {
        let sessions: Vec<Session> = self
            .0
            .read()
            .iter()
            .flat_map(|slice| slice.sessions())
            .collect();
        sessions.iter().for_each(&mut visit);
    }

    /// Sends a message that has been framed already to all members. Returns their number.
    pub fn send_prepared(&self, message: &Prepared) -> usize {
        let slices = self.0.read();
        slices
            .iter()
            .map(|slice| slice.publish(message, &Except::Nobody))
            .sum()
    }

    /// Sends a message to all members except `sessions`, which are those of `except`. Returns the number of members that
    /// it is sent to.
    fn publish_except(&self, message: &Prepared, except: &Except, sessions: &[&Session]) -> usize {
        let slices = self.0.read();
        let published = slices.iter().map(|slice| slice.publish(message, except));
        let members: usize = published.sum();
        let is_member =
            |session: &&&Session| slices.iter().any(|slice| slice.has(session.shared()));
        members.saturating_sub(sessions.iter().filter(is_member).count())
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().iter().map(|slice| slice.len()).sum()
    }

    /// Returns whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The members of a group except some sessions, from [`Group::except`].
#[derive(Clone, Debug)]
pub struct GroupExcept<'g> {
    group: &'g Group,
    /// Once each.
    sessions: Vec<&'g Session>,
    except: Except,
}

impl GroupExcept<'_> {
    /// Sends a message to all other members. Returns their number.
    pub fn send<'m>(&self, message: impl Into<Message<'m>>) -> usize {
        self.send_prepared(&Prepared::new(message))
    }

    /// Sends a message that has been framed already to all other members. Returns their number.
    pub fn send_prepared(&self, message: &Prepared) -> usize {
        self.group
            .publish_except(message, &self.except, &self.sessions)
    }
}

impl GroupSlices {
    fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<Slice>>> {
        self.slices.read().unwrap_or_else(PoisonError::into_inner)
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
