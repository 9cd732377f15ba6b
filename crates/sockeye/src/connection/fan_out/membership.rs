//! The groups that a session is in.

use std::sync::{Arc, Weak};

use sockeye_proto::CloseCode;

use crate::connection::{
    fan_out::{batch::Batch, slice::Slice},
    write::Prepared,
};

/// The groups that a session is in, with what it has got from each and its place there, so that it can leave
/// them when it ends.
#[derive(Default)]
pub(crate) struct Memberships {
    /// The session's id.
    id: u64,
    /// Most sessions are in one group only. `None`: there are no others, either.
    first: Option<Membership>,
    /// Never an empty vector.
    #[expect(
        clippy::box_collection,
        reason = "members of one group have 16 bytes less"
    )]
    others: Option<Box<Vec<Membership>>>,
    ended: bool,
}

/// How a group closes a member that reads too slowly.
#[derive(Debug)]
pub(crate) struct SlowReaderClose {
    pub(crate) code: CloseCode,
    pub(crate) reason: &'static str,
}

pub(crate) struct Membership {
    /// Weak, so that members don't keep a group alive that the program has dropped.
    pub(crate) slice: Weak<Slice>,
    /// The number of the next publication that the session is to get.
    pub(crate) next: u64,
    /// The session's index among the members.
    pub(crate) index: usize,
}

/// What a member gets of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// All of it.
    Whole,
    /// Nothing: it has the batch already, or isn't a member any more.
    Nothing,
    /// The publications that [`Memberships::take_owed`] returns.
    Owed,
}

impl Memberships {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && !self.ended
    }

    /// Adds a membership. Returns `false` if the session is in the group already, or has ended and must not
    /// join.
    pub(crate) fn add(&mut self, id: u64, membership: Membership) -> bool {
        if self.ended || self.of(Weak::as_ptr(&membership.slice)).is_some() {
            return false;
        }
        self.id = id;
        // Drops the memberships of groups that are gone.
        self.others.take_if(|others| {
            others.retain(|known| known.slice.strong_count() > 0);
            others.is_empty()
        });
        match &mut self.first {
            Some(first) if first.slice.strong_count() > 0 => {
                self.others.get_or_insert_default().push(membership);
            }
            first => *first = Some(membership),
        }
        true
    }

    pub(crate) fn remove(&mut self, slice: *const Slice) -> Option<Membership> {
        let is_it = |known: &Membership| Weak::as_ptr(&known.slice) == slice;
        if self.first.as_ref().is_some_and(is_it) {
            let other = self.pop_other();
            return std::mem::replace(&mut self.first, other);
        }
        let others = self.others.as_mut()?;
        let place = others.iter().position(is_it)?;
        let removed = others.swap_remove(place);
        self.others.take_if(|others| others.is_empty());
        Some(removed)
    }

    #[inline]
    pub(crate) fn of(&mut self, slice: *const Slice) -> Option<&mut Membership> {
        self.all().find(|known| Weak::as_ptr(&known.slice) == slice)
    }

    /// Marks the session as ended, so that it joins no more groups, and returns one of the groups that it is
    /// still in.
    pub(crate) fn end(&mut self) -> Option<Arc<Slice>> {
        self.ended = true;
        while let Some(first) = &self.first {
            if let Some(slice) = first.slice.upgrade() {
                return Some(slice);
            }
            self.first = self.pop_other();
        }
        None
    }

    /// Returns what this member gets of `batch` of `slice`. [`Delivery::Whole`] counts as delivered.
    #[inline]
    pub(crate) fn step(&mut self, slice: &Slice, batch: &Batch) -> Delivery {
        let is_sole = self.others.is_none();
        let is_excepted = batch.excepts(self.id);
        let Some(membership) = self.of(slice) else {
            return Delivery::Nothing;
        };
        if membership.next >= batch.end() {
            return Delivery::Nothing;
        }
        // A member of several groups gets all publications in the order in which they were sent.
        if membership.next != batch.first() || is_excepted || !(is_sole || slice.is_sole_pending())
        {
            return Delivery::Owed;
        }
        membership.next = batch.end();
        Delivery::Whole
    }

    /// Takes what was published before `stamp` and not given to the session yet, in the order in which it was sent.
    ///
    /// The groups are asked one after the other, while other threads publish. Without a common end a publication to
    /// the last group could overtake an earlier one to the first.
    pub(crate) fn take_owed(&mut self, stamp: u64) -> Vec<Prepared> {
        let mut owed = Vec::new();
        let id = self.id;
        for membership in self.all() {
            if let Some(slice) = membership.slice.upgrade() {
                membership.next = slice.owed(membership.next, stamp, id, &mut owed);
            }
        }
        owed.sort_unstable_by_key(|publication| publication.stamp);
        owed.into_iter()
            .map(|publication| publication.message)
            .collect()
    }

    #[inline]
    fn all(&mut self) -> impl Iterator<Item = &mut Membership> {
        let others = self.others.iter_mut().flat_map(|others| others.iter_mut());
        self.first.iter_mut().chain(others)
    }

    /// Takes one of the groups but the first.
    fn pop_other(&mut self) -> Option<Membership> {
        let popped = self.others.as_mut()?.pop();
        self.others.take_if(|others| others.is_empty());
        popped
    }
}
