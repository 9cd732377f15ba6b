//! The publications that not all members have got yet.

use std::collections::VecDeque;

use crate::connection::{
    fan_out::{batch::Batch, except::Except},
    write::Prepared,
};

/// One message to the members of a slice.
#[derive(Clone)]
pub(crate) struct Publication {
    pub(crate) message: Prepared,
    /// The ids of the sessions that don't get it.
    pub(crate) except: Except,
    /// The order among all publications of a worker's slices.
    pub(crate) stamp: u64,
}

/// The publications that not all members of a slice have got yet, numbered from 0.
#[derive(Default)]
pub(crate) struct Pending {
    /// The number of `queue[0]`.
    first: u64,
    queue: VecDeque<Publication>,
    /// The sum of their payloads.
    bytes: usize,
}

/// Publications that may wait for a worker: some milliseconds of a sender that does nothing else.
const PUBLICATIONS_MAX: usize = 4096;

/// Bytes. Payloads that may wait for a worker; as much as an outbox holds.
const BYTES_MAX: usize = 1 << 20;

/// How many times as much an endpoint may send in one call before it has to do the work itself.
const OVERFULL_TIMES: usize = 8;

/// Bytes joined to one write: for more, the copy costs more than another write.
const BATCH_BYTES_MAX: usize = 64 << 10;

impl Pending {
    /// Returns the number of the oldest publication.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Returns the number of the next publication.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Returns whether senders should pause.
    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() > PUBLICATIONS_MAX || self.bytes > BYTES_MAX
    }

    /// Returns whether senders must do the work themselves. One message may be as large as it is.
    pub(crate) fn is_overfull(&self) -> bool {
        let bytes_max = OVERFULL_TIMES * BYTES_MAX;
        self.queue.len() > OVERFULL_TIMES * PUBLICATIONS_MAX
            || self.bytes > bytes_max && self.queue.len() > 1
    }

    pub(crate) fn push(&mut self, publication: Publication) {
        self.bytes += publication.message.message().len();
        self.queue.push_back(publication);
    }

    /// Returns a batch of the oldest publications, as many as are worth a common write. They stay until
    /// [`Pending::forget`].
    pub(crate) fn batch(&self) -> Option<Batch> {
        let mut publications = self.queue.iter();
        let mut batch = Batch::new(self.first, publications.next()?);
        for publication in publications {
            if batch.bytes() + publication.message.wire_bytes_max() > BATCH_BYTES_MAX {
                break;
            }
            batch.push(publication);
        }
        Some(batch)
    }

    /// Removes the publications before number `end`, which all members have.
    pub(crate) fn forget(&mut self, end: u64) {
        while self.first < end
            && let Some(publication) = self.queue.pop_front()
        {
            self.bytes -= publication.message.message().len();
            self.first += 1;
        }
    }

    /// Returns the publications from number `next` on.
    pub(crate) fn since(&self, next: u64) -> impl Iterator<Item = &Publication> {
        let got = next.saturating_sub(self.first) as usize;
        self.queue.iter().skip(got)
    }
}
