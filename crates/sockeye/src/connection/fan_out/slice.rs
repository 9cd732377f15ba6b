//! The members of a group that one worker drives.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use parking_lot::{Mutex, MutexGuard};

use crate::connection::{
    fan_out::{
        backlog,
        batch::Batch,
        except::Except,
        membership::Membership,
        pending::{Pending, Publication},
    },
    mailbox::{Mailbox, Note},
    session::{self, Session},
    write::Prepared,
};

/// The members of a group that one worker drives, or those that tasks drive.
///
/// A message to a worker's members is pending until the worker has time. If a member is sent something else
/// before, it gets the message at that moment, which keeps the order. A membership stores the number of the
/// next publication for its member.
pub(crate) struct Slice {
    /// `None`: tasks drive the members, which get each message at once.
    mailbox: Option<Arc<Mailbox>>,
    len: AtomicUsize,
    members: Mutex<Members>,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Members {
    /// The session at `index` has a membership with that index.
    sessions: Vec<Session>,
    walk: Option<Walk>,
}

/// A delivery in progress. It visits the members from the last to the first, so that the member that moves to
/// a freed index has been visited, and a new member isn't visited.
struct Walk {
    batch: Batch,
    /// All members that haven't got the batch are in `sessions[..left]`; some there may have it.
    left: usize,
}

/// The progress of a slice's delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There is more to deliver.
    More,
    /// All members have got all.
    Done,
}

/// The amount delivered before the worker drives its other connections: one or two milliseconds.
#[derive(Clone, Copy, Debug)]
struct Portion {
    members: usize,
    bytes: usize,
}

const PORTION: Portion = Portion {
    members: 1024,
    bytes: 2 << 20,
};

impl Portion {
    /// Returns how many members get a batch of so many bytes; at least one.
    fn members_for(self, batch_bytes: usize) -> usize {
        (self.bytes / batch_bytes.max(1)).clamp(1, self.members)
    }
}

impl Slice {
    pub(crate) fn new(mailbox: Option<Arc<Mailbox>>) -> Self {
        Self {
            mailbox,
            len: AtomicUsize::new(0),
            members: Mutex::default(),
            pending: Mutex::default(),
        }
    }

    /// Delivers a portion of the pending publications.
    pub(crate) fn deliver(&self) -> Progress {
        self.walk(&mut self.members(), PORTION)
    }

    /// Returns whether the slice belongs to the worker of `mailbox`; `None` stands for the tasks.
    pub(crate) fn is_of(&self, mailbox: Option<&Arc<Mailbox>>) -> bool {
        match (&self.mailbox, mailbox) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, None) => true,
            _ => false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Returns whether no other slice of this worker has pending publications.
    #[inline]
    pub(crate) fn is_sole_pending(&self) -> bool {
        self.mailbox
            .as_ref()
            .is_none_or(|mailbox| mailbox.undelivered() == 1)
    }

    /// Returns the members at this moment.
    pub(crate) fn sessions(&self) -> Vec<Session> {
        self.members().sessions.clone()
    }

    pub(crate) fn has(&self, session: &session::SessionShared) -> bool {
        let mut writer = session.lock_in_order();
        writer
            .memberships()
            .is_some_and(|memberships| memberships.of(self).is_some())
    }

    /// Sends to all members but `except`. Returns how many members there are.
    pub(crate) fn publish(self: &Arc<Self>, message: &Prepared, except: &Except) -> usize {
        let len = self.len();
        if len == 0 {
            return 0;
        }
        let Some(mailbox) = &self.mailbox else {
            for session in &self.members().sessions {
                if !except.has(session.id()) {
                    session.shared().lock_in_order().give(message);
                }
            }
            backlog::note_given(len);
            return len;
        };
        let (was_empty, is_full) = {
            let mut pending = self.pending();
            let was_empty = pending.is_empty();
            if was_empty {
                mailbox.begin_delivery();
            }
            pending.push(Publication {
                message: message.clone(),
                except: except.clone(),
                stamp: mailbox.next_stamp(),
            });
            (was_empty, pending.is_full())
        };
        if was_empty {
            mailbox.post(Note::Deliver(Arc::clone(self)));
        }
        if is_full {
            self.handle_full();
        }
        len
    }

    /// Returns whether its senders should pause.
    pub(crate) fn is_full(&self) -> bool {
        self.pending().is_full()
    }

    pub(crate) fn add(self: &Arc<Self>, session: &Session) {
        let mut members = self.members();
        let mut writer = session.shared().lock_in_order();
        let membership = Membership {
            slice: Arc::downgrade(self),
            next: self.pending().next(),
            index: members.sessions.len(),
        };
        if writer
            .cold_state()
            .memberships
            .add(session.id(), membership)
        {
            members.sessions.push(session.clone());
            self.len.store(members.sessions.len(), Ordering::Release);
        }
        writer.tidy();
    }

    /// Removes a member, after it was sent all earlier publications.
    pub(crate) fn remove(&self, session: &session::SessionShared) {
        let mut members = self.members();
        let membership = {
            let mut writer = session.lock_in_order();
            writer.catch_up();
            let membership = writer
                .memberships()
                .and_then(|memberships| memberships.remove(self));
            writer.tidy();
            membership
        };
        let Some(Membership { index, .. }) = membership else {
            return;
        };
        let gone = members.sessions.swap_remove(index);
        self.len.store(members.sessions.len(), Ordering::Release);
        if let Some(moved) = members.sessions.get(index) {
            let mut writer = moved.shared().lock_in_order();
            let membership = writer
                .memberships()
                .and_then(|memberships| memberships.of(self));
            if let Some(membership) = membership {
                membership.index = index;
            }
        }
        drop(members);
        drop(gone);
    }

    /// Appends to `owed` what was published before `stamp` and a member that is at number `next` hasn't got. Returns
    /// the number that is next for the member then.
    pub(crate) fn owed(&self, next: u64, stamp: u64, id: u64, owed: &mut Vec<Publication>) -> u64 {
        let pending = self.pending();
        let mut end = next.max(pending.first());
        // Stamps rise within a slice, since each is drawn under its lock.
        let publications = pending.since(next);
        for publication in publications.take_while(|publication| publication.stamp < stamp) {
            end += 1;
            if !publication.except.has(id) {
                owed.push(publication.clone());
            }
        }
        end
    }

    /// Has the sender pause if it can; otherwise delivers on its thread until there is room.
    #[cold]
    fn handle_full(self: &Arc<Self>) {
        let has_enough = match backlog::note_full(self) {
            true => Pending::is_overfull,
            false => Pending::is_full,
        };
        while has_enough(&self.pending()) {
            let mut members = self.members();
            self.walk(&mut members, PORTION);
            // Hands the lock to the worker if it waits for it, so that it can go on to its other connections.
            MutexGuard::unlock_fair(members);
        }
    }

    /// Gives the batch in progress, or the next one, to a portion of the members.
    fn walk(&self, members: &mut Members, portion: Portion) -> Progress {
        let Members { sessions, walk } = members;
        let Walk { mut batch, left } = match walk.take() {
            Some(walk) => walk,
            None => match self.pending().batch() {
                Some(batch) => Walk {
                    batch,
                    left: sessions.len(),
                },
                None => return Progress::Done,
            },
        };
        let from = left.min(sessions.len());
        let left = from.saturating_sub(portion.members_for(batch.bytes()));
        for session in sessions[left..from].iter().rev() {
            session.shared().lock_in_order().deliver(&mut batch, self);
        }
        if left > 0 {
            *walk = Some(Walk { batch, left });
            return Progress::More;
        }
        let mut pending = self.pending();
        pending.forget(batch.end());
        if !pending.is_empty() {
            return Progress::More;
        }
        if let Some(mailbox) = &self.mailbox {
            mailbox.end_delivery();
        }
        Progress::Done
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock()
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Waker},
    };

    use sockeye_proto::Role;
    use tokio::io::{AsyncRead as _, DuplexStream, ReadBuf, duplex};

    use super::{super::backlog::SenderBacklog, *};
    use crate::{
        connection::{established::Established, read::Driver},
        settings::Settings,
    };

    struct Member {
        driver: Driver,
        peer: DuplexStream,
    }

    impl Member {
        fn new(mailbox: &Arc<Mailbox>) -> Self {
            let (ours, peer) = duplex(1 << 10);
            let established = Established::bare(ours, Role::Server, Settings::default());
            let driver = Driver::new(established).unwrap();
            let mut writer = driver.session().shared().lock_in_order();
            writer.set_worker(Arc::clone(mailbox), 0);
            drop(writer);
            Self { driver, peer }
        }

        fn session(&self) -> &Session {
            self.driver.session()
        }

        /// Returns the payloads received, each of one byte.
        fn heard(&mut self) -> String {
            let mut bytes = [0; 1 << 10];
            let mut buffer = ReadBuf::new(&mut bytes);
            let cx = &mut Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut self.peer).poll_read(cx, &mut buffer);
            let frames = buffer.filled().chunks(3);
            frames.map(|frame| char::from(frame[2])).collect()
        }
    }

    const TWO: Portion = Portion {
        members: 2,
        bytes: usize::MAX,
    };

    #[test]
    fn a_portion_is_bounded_by_members_and_by_bytes() {
        let portion = Portion {
            members: 100,
            bytes: 1000,
        };
        let members = [0, 1, 10, 11, 99, 500, 501, 5000].map(|bytes| portion.members_for(bytes));
        assert_eq!(members, [100, 100, 100, 90, 10, 2, 1, 1]);
    }

    /// Makes a worker and its one slice, which delivers nothing by itself.
    fn slice_of_a_worker(members: usize) -> (mio::Poll, Arc<Slice>, Vec<Member>) {
        let poll = mio::Poll::new().unwrap();
        let mailbox = Arc::new(Mailbox::new(poll.registry(), mio::Token(0)).unwrap());
        let slice = Arc::new(Slice::new(Some(Arc::clone(&mailbox))));
        let places: Vec<Member> = (0..members).map(|_| Member::new(&mailbox)).collect();
        for place in &places {
            slice.add(place.session());
        }
        (poll, slice, places)
    }

    #[test]
    fn what_is_owed_ends_at_one_stamp_in_all_groups() {
        let (_poll, room, mut members) = slice_of_a_worker(1);
        let mailbox = room.mailbox.clone().unwrap();
        let second = Arc::new(Slice::new(Some(Arc::clone(&mailbox))));
        second.add(members[0].session());
        let texts = |owed: Vec<Prepared>| -> Vec<String> {
            owed.iter()
                .map(|owed| owed.message().as_text().unwrap().to_owned())
                .collect()
        };
        let owed = |stamp| {
            let mut writer = members[0].session().shared().lock_in_order();
            texts(writer.memberships().unwrap().take_owed(stamp))
        };
        room.publish(&Prepared::new("1"), &Except::Nobody);
        second.publish(&Prepared::new("2"), &Except::Nobody);
        let stamp = mailbox.next_stamp();
        // Published while the first group was asked already, as another thread may do.
        room.publish(&Prepared::new("3"), &Except::Nobody);
        second.publish(&Prepared::new("4"), &Except::Nobody);
        assert_eq!(owed(stamp), ["1", "2"]);
        assert_eq!(owed(stamp), [""; 0]);
        assert_eq!(owed(u64::MAX), ["3", "4"]);
        assert_eq!(owed(u64::MAX), [""; 0]);
        drop(members.pop());
    }

    #[test]
    fn an_endpoint_that_sends_too_much_waits_and_delivers_nothing_itself() {
        std::thread::spawn(|| {
            let (_poll, slice, mut places) = slice_of_a_worker(3);
            backlog::begin_work();
            let message = Prepared::new("x");
            while !backlog::is_behind() {
                assert!(!slice.is_full());
                slice.publish(&message, &Except::Nobody);
            }
            assert!(slice.is_full());
            assert_eq!(places[0].heard(), "");
            let waits_for = backlog::take();
            assert!(
                matches!(waits_for, Some(SenderBacklog::Slice(known)) if Arc::ptr_eq(&known, &slice))
            );
            assert!(!backlog::is_behind() && backlog::take().is_none());
            while slice.deliver() == Progress::More {}
            assert!(!slice.is_full());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn an_endpoint_that_sends_without_end_from_one_call_does_the_work_itself() {
        std::thread::spawn(|| {
            let (_poll, slice, _places) = slice_of_a_worker(1);
            backlog::begin_work();
            let message = Prepared::new(vec![7; 256 << 10]);
            for _ in 0..100 {
                slice.publish(&message, &Except::Nobody);
                assert!(!slice.pending().is_overfull());
            }
            // A single message that is larger is taken.
            slice.publish(&Prepared::new(vec![7; 20 << 20]), &Except::Nobody);
            assert!(slice.is_full() && !slice.pending().is_overfull());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn any_other_thread_does_the_work_itself() {
        let (_poll, slice, _places) = slice_of_a_worker(1);
        for _ in 0..100 {
            slice.publish(&Prepared::new(vec![7; 256 << 10]), &Except::Nobody);
            assert!(!slice.is_full() && !backlog::is_behind());
        }
    }

    #[test]
    fn members_that_tasks_drive_get_all_at_once_and_then_it_is_the_turn_of_others() {
        std::thread::spawn(|| {
            backlog::begin_work();
            let slice = Arc::new(Slice::new(None));
            let (ours, _peer) = duplex(1 << 20);
            let established = Established::bare(ours, Role::Server, Settings::default());
            let driver = Driver::new(established).unwrap();
            slice.add(driver.session());
            let message = Prepared::new("x");
            let mut sent = 0;
            while !backlog::is_behind() {
                sent += slice.publish(&message, &Except::Nobody);
            }
            assert_eq!(sent, 1024);
            assert!(matches!(
                backlog::take(),
                Some(SenderBacklog::OtherConnections)
            ));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn who_comes_goes_or_speaks_between_two_portions_gets_all_once_and_in_order() {
        let poll = mio::Poll::new().unwrap();
        let mailbox = Arc::new(Mailbox::new(poll.registry(), mio::Token(0)).unwrap());
        let slice = Arc::new(Slice::new(Some(Arc::clone(&mailbox))));
        let mut places: Vec<Member> = (0..7).map(|_| Member::new(&mailbox)).collect();
        for place in &places[..6] {
            slice.add(place.session());
        }
        let publish = |text: &'static str| slice.publish(&Prepared::new(text), &Except::Nobody);
        assert_eq!((publish("1"), publish("2")), (6, 6));
        assert_eq!(slice.walk(&mut slice.members(), TWO), Progress::More);
        // Before its turn in the delivery, and after it.
        places[0].session().try_send("x").unwrap();
        places[5].session().try_send("x").unwrap();
        slice.remove(places[1].session().shared());
        assert_eq!(publish("3"), 5);
        slice.add(places[6].session());
        assert_eq!(publish("4"), 6);
        while slice.walk(&mut slice.members(), TWO) == Progress::More {}
        let heard: Vec<String> = places.iter_mut().map(Member::heard).collect();
        assert_eq!(heard, ["12x34", "12", "1234", "1234", "1234", "12x34", "4"]);
        assert_eq!(mailbox.undelivered(), 0);
        assert!(slice.pending().is_empty());
    }
}
