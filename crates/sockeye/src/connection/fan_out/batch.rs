//! Publications that members get in one write.

use bytes::{Bytes, BytesMut};
use sockeye_proto::driver::PreparedForm;

use crate::connection::{fan_out::pending::Publication, write::Prepared};

/// Publications that members get in one write: their frames, joined once for each form.
pub(crate) struct Batch {
    /// The number of `messages[0]`.
    first: u64,
    messages: Vec<Prepared>,
    /// Sorted ids of sessions that don't get all of them.
    exceptions: Vec<u64>,
    /// What the frames have at most.
    bytes: usize,
    /// Bytes of the smallest and of the largest payload.
    payload_bytes: (usize, usize),
    joined: Vec<(PreparedForm, Bytes)>,
}

impl Batch {
    pub(crate) fn new(first: u64, publication: &Publication) -> Self {
        let len = publication.message.message().len();
        let mut batch = Self {
            first,
            messages: Vec::new(),
            exceptions: Vec::new(),
            bytes: 0,
            payload_bytes: (len, len),
            joined: Vec::new(),
        };
        batch.push(publication);
        batch
    }

    pub(crate) fn push(&mut self, publication: &Publication) {
        let message = &publication.message;
        let (min, max) = self.payload_bytes;
        let len = message.message().len();
        self.payload_bytes = (min.min(len), max.max(len));
        self.bytes += message.wire_bytes_max();
        self.messages.push(message.clone());
        let ids = publication.except.ids();
        if !ids.is_empty() {
            self.exceptions.extend_from_slice(ids);
            self.exceptions.sort_unstable();
            self.exceptions.dedup();
        }
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Returns the number after the last publication.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    #[inline]
    pub(crate) fn excepts(&self, id: u64) -> bool {
        !self.exceptions.is_empty() && self.exceptions.binary_search(&id).is_ok()
    }

    pub(crate) fn messages(&self) -> &[Prepared] {
        &self.messages
    }

    /// Returns what the frames have at most.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the smallest and of the largest payload.
    pub(crate) fn payload_bytes(&self) -> (usize, usize) {
        self.payload_bytes
    }

    /// Returns all frames in this form, one after the other.
    #[inline]
    pub(crate) fn joined(&mut self, form: PreparedForm) -> &Bytes {
        let made = self.joined.iter().position(|(made, _)| *made == form);
        let place = made.unwrap_or_else(|| self.join(form));
        &self.joined[place].1
    }

    #[cold]
    fn join(&mut self, form: PreparedForm) -> usize {
        let bytes = match &*self.messages {
            [message] => message.frame(form),
            messages => {
                let mut joined = BytesMut::with_capacity(self.bytes);
                for message in messages {
                    joined.extend_from_slice(&message.frame(form));
                }
                joined.freeze()
            }
        };
        self.joined.push((form, bytes));
        self.joined.len() - 1
    }
}
