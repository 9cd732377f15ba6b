//! What a worker has to deliver to groups, and who waits for that.

use std::sync::Arc;

use crate::connection::{Progress, Slice};

/// What a worker has to deliver to groups, and who waits for that.
#[derive(Default)]
pub(super) struct Deliveries {
    /// Groups whose members here have not got all that was sent, and those elsewhere for which somebody here waits.
    slices: Vec<Arc<Slice>>,
    /// Places that aren't read from until the members of a group have got more of what they have sent it.
    held: Vec<(u32, Arc<Slice>)>,
}

impl Deliveries {
    pub(super) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// There is something to deliver.
    pub(super) fn add(&mut self, slice: Arc<Slice>) {
        if !self.slices.iter().any(|known| Arc::ptr_eq(known, &slice)) {
            self.slices.push(slice);
        }
    }

    /// Whoever is at `place` waits until `slice` has room. It may be another worker's, which says nothing here: so
    /// this one helps it.
    pub(super) fn hold(&mut self, place: u32, slice: &Arc<Slice>) {
        self.held.push((place, Arc::clone(slice)));
        self.add(Arc::clone(slice));
    }

    /// Delivers a portion of each, and appends to `released` who waits no more.
    pub(super) fn deliver(&mut self, released: &mut Vec<u32>) {
        self.slices
            .retain(|slice| slice.deliver() == Progress::More);
        let free = self.held.extract_if(.., |(_, slice)| !slice.is_full());
        released.extend(free.map(|(place, _)| place));
    }
}
