//! The groups that a session is in.

use std::sync::{Arc, Weak};

use crate::connection::{
    fan_out::{batch::Batch, slice::Slice},
    write::Prepared,
};

/// The groups that a session is in: what it has got from each, and where it stands there, so that it
/// can leave them when it ends.
#[derive(Default)]
pub(crate) struct Memberships {
    /// The session.
    id: u64,
    /// Most have one only. `None`: there are no others, either.
    first: Option<Membership>,
    others: Vec<Membership>,
    ended: bool,
}

pub(crate) struct Membership {
    /// Weak: a group that nobody has any more doesn't stay for its members.
    pub(crate) slice: Weak<Slice>,
    /// The number of the next publication that it is to get.
    pub(crate) next: u64,
    /// The session's place among the members.
    pub(crate) index: usize,
}

/// What a batch is to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It gets all of it.
    Whole,
    /// It has it already, or isn't a member any more.
    Nothing,
    /// Only what [`Memberships::take_owed`] says.
    Owed,
}

impl Memberships {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && !self.ended
    }

    /// `false`: it is there already, or the session has ended and must not be in the group.
    pub(crate) fn add(&mut self, id: u64, membership: Membership) -> bool {
        if self.ended || self.of(Weak::as_ptr(&membership.slice)).is_some() {
            return false;
        }
        self.id = id;
        // The groups that are gone.
        self.others.retain(|known| known.slice.strong_count() > 0);
        match &mut self.first {
            Some(first) if first.slice.strong_count() > 0 => self.others.push(membership),
            first => *first = Some(membership),
        }
        true
    }

    pub(crate) fn remove(&mut self, slice: *const Slice) -> Option<Membership> {
        let is_it = |known: &Membership| Weak::as_ptr(&known.slice) == slice;
        if self.first.as_ref().is_some_and(is_it) {
            return std::mem::replace(&mut self.first, self.others.pop());
        }
        let place = self.others.iter().position(is_it)?;
        Some(self.others.swap_remove(place))
    }

    #[inline]
    pub(crate) fn of(&mut self, slice: *const Slice) -> Option<&mut Membership> {
        self.first
            .iter_mut()
            .chain(&mut self.others)
            .find(|known| Weak::as_ptr(&known.slice) == slice)
    }

    /// The session has ended: it joins no more. One of the groups that it is still in.
    pub(crate) fn end(&mut self) -> Option<Arc<Slice>> {
        self.ended = true;
        while let Some(first) = &self.first {
            if let Some(slice) = first.slice.upgrade() {
                return Some(slice);
            }
            self.first = self.others.pop();
        }
        None
    }

    /// What `batch` of `slice` is to this member. If it is [`Delivery::Whole`], it counts as got.
    #[inline]
    pub(crate) fn step(&mut self, slice: &Slice, batch: &Batch) -> Delivery {
        let is_sole = self.others.is_empty();
        let is_excepted = batch.excepts(self.id);
        let Some(membership) = self.of(slice) else {
            return Delivery::Nothing;
        };
        if membership.next >= batch.end() {
            return Delivery::Nothing;
        }
        // In several groups it gets all in the order in which it was sent.
        if membership.next != batch.first() || is_excepted || !(is_sole || slice.is_sole_pending())
        {
            return Delivery::Owed;
        }
        membership.next = batch.end();
        Delivery::Whole
    }

    /// All that was published and that it hasn't got yet, in the order in which it was sent. It counts
    /// as got.
    pub(crate) fn take_owed(&mut self) -> Vec<Prepared> {
        let mut owed = Vec::new();
        for membership in self.first.iter_mut().chain(&mut self.others) {
            if let Some(slice) = membership.slice.upgrade() {
                membership.next = slice.owed_since(membership.next, self.id, &mut owed);
            }
        }
        owed.sort_unstable_by_key(|publication| publication.stamp);
        owed.into_iter()
            .map(|publication| publication.message)
            .collect()
    }
}
