//! What a worker has to deliver to groups, and which sessions wait for that.

use std::sync::Arc;

use crate::connection::{Progress, Slice};

/// What a worker has to deliver to groups, and which sessions wait for that.
#[derive(Default)]
pub(super) struct Deliveries {
    /// Groups whose members on this worker have not received all that was sent, and groups of other workers for which
    /// a session of this worker waits.
    slices: Vec<Arc<Slice>>,
    /// Slots that aren't read from, each with the slice whose members have to receive more first.
    held: Vec<(u32, Arc<Slice>)>,
}

impl Deliveries {
    pub(super) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// Adds a slice with something to deliver.
    pub(super) fn add(&mut self, slice: Arc<Slice>) {
        if !self.slices.iter().any(|known| Arc::ptr_eq(known, &slice)) {
            self.slices.push(slice);
        }
    }

    /// Makes the session in `slot` wait until `slice` has room. The slice may be another worker's, which doesn't
    /// notify this one, so this worker delivers it too.
    pub(super) fn hold(&mut self, slot: u32, slice: &Arc<Slice>) {
        self.held.push((slot, Arc::clone(slice)));
        self.add(Arc::clone(slice));
    }

    /// Delivers a portion of each slice, and appends the slots that wait no more to `released`.
    pub(super) fn deliver(&mut self, released: &mut Vec<u32>) {
        self.slices
            .retain(|slice| slice.deliver() == Progress::More);
        let free = self.held.extract_if(.., |(_, slice)| !slice.is_full());
        released.extend(free.map(|(slot, _)| slot));
    }
}
