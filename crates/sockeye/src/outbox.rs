//! The bytes that wait to be written.

use std::{collections::VecDeque, io::IoSlice};

use bytes::Bytes;

/// Slices of one vectored write: as many as fit a page of the kernel's fast path.
pub(crate) const SLICES_MAX: usize = 16;

/// Bytes. A shared payload below this is copied behind the others rather than kept apart.
const SHARED_BYTES_MIN: usize = 2 << 10;

/// The bytes of one session that wait to be written, in order. Empty, it owns no memory.
///
/// It doesn't judge its own size: its owner admits or refuses.
#[derive(Default)]
pub(crate) struct Outbox {
    /// Before `tail`. None is empty.
    segments: VecDeque<Bytes>,
    tail: Vec<u8>,
    /// `tail[..written]` is on the wire; written <= tail.len().
    written: usize,
    /// The sum of all that waits.
    bytes: usize,
    tail_owner: TailOwner,
}

/// Whose memory `Outbox::tail` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum TailOwner {
    #[default]
    Outbox,
    Thread,
}

impl Outbox {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Lets `write` append to what waits.
    pub(crate) fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.compact();
        let before = self.tail.len();
        let result = write(&mut self.tail);
        self.bytes += self.tail.len() - before;
        result
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.append(|tail| tail.extend_from_slice(bytes));
    }

    /// Appends bytes that others hold too.
    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            return self.push(&bytes);
        }
        self.seal();
        self.bytes += bytes.len();
        self.segments.push_back(bytes);
    }

    /// Appends to `slices` what waits, oldest first, as far as there are places.
    pub(crate) fn slices<'a>(&'a self, slices: &mut Slices<'a>) {
        for segment in &self.segments {
            slices.push(segment);
        }
        slices.push(&self.tail[self.written..]);
    }

    /// `count` bytes are on the wire; 0 <= count <= bytes.
    pub(crate) fn advance(&mut self, mut count: usize) {
        self.bytes -= count;
        while let Some(segment) = self.segments.front_mut() {
            if count < segment.len() {
                let _ = segment.split_to(count);
                return;
            }
            count -= segment.len();
            self.segments.pop_front();
        }
        self.written += count;
        if self.bytes == 0 {
            self.segments = VecDeque::new();
            self.tail.clear();
            self.written = 0;
        }
    }

    /// Takes a thread's buffer for what comes next, if there is none.
    pub(crate) fn borrow_tail(&mut self, lent: &mut Vec<u8>) {
        if self.bytes == 0 && self.tail_owner == TailOwner::Outbox {
            std::mem::swap(&mut self.tail, lent);
            self.tail.clear();
            self.tail_owner = TailOwner::Thread;
        }
    }

    /// Gives the buffer back, if one was taken; what still waits moves to memory of its own.
    pub(crate) fn return_tail(&mut self, lent: &mut Vec<u8>) {
        if std::mem::take(&mut self.tail_owner) == TailOwner::Outbox {
            // Much may wait, and little have come: a copy for each read would be the peer's lever.
            return;
        }
        let rest = self.tail[self.written..].to_vec();
        *lent = std::mem::replace(&mut self.tail, rest);
        self.written = 0;
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets what is on the wire, once it is the larger part of the tail: a reader that is always
    /// a little late would make the tail grow for ever. Each byte moves at most once on average.
    fn compact(&mut self) {
        if self.written > self.tail.len() / 2 {
            self.tail.drain(..self.written);
            self.written = 0;
        }
    }

    /// Makes the tail a segment, so that something can follow it.
    fn seal(&mut self) {
        if self.tail.len() > self.written {
            let rest = Bytes::copy_from_slice(&self.tail[self.written..]);
            self.segments.push_back(rest);
        }
        self.tail.clear();
        self.written = 0;
    }
}

/// The slices of one vectored write.
pub(crate) struct Slices<'a> {
    slices: [IoSlice<'a>; SLICES_MAX],
    /// 0 <= len <= SLICES_MAX
    len: usize,
}

impl<'a> Slices<'a> {
    pub(crate) fn new() -> Self {
        Self {
            slices: [IoSlice::new(&[]); SLICES_MAX],
            len: 0,
        }
    }

    pub(crate) fn push(&mut self, bytes: &'a [u8]) {
        if !bytes.is_empty() && self.len < SLICES_MAX {
            self.slices[self.len] = IoSlice::new(bytes);
            self.len += 1;
        }
    }

    pub(crate) fn as_slice(&self) -> &[IoSlice<'a>] {
        &self.slices[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(outbox: &Outbox) -> Vec<u8> {
        let mut slices = Slices::new();
        outbox.slices(&mut slices);
        slices
            .as_slice()
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect()
    }

    #[test]
    fn order_is_kept_across_copied_and_shared_bytes() {
        let mut outbox = Outbox::default();
        let big = Bytes::from(vec![7; SHARED_BYTES_MIN]);
        outbox.push(b"one");
        outbox.push_shared(big.clone());
        outbox.push(b"two");
        outbox.push_shared(Bytes::from_static(b"three"));
        let mut expected = b"one".to_vec();
        expected.extend_from_slice(&big);
        expected.extend_from_slice(b"twothree");
        assert_eq!(waiting(&outbox), expected);
        for _ in 0..expected.len() {
            outbox.advance(1);
            expected.remove(0);
            assert_eq!(outbox.bytes(), expected.len());
            assert_eq!(waiting(&outbox), expected);
        }
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_lent_tail_goes_back_and_the_rest_stays() {
        let mut outbox = Outbox::default();
        let mut lent = Vec::with_capacity(100);
        outbox.borrow_tail(&mut lent);
        outbox.push(b"abcdef");
        outbox.advance(2);
        outbox.return_tail(&mut lent);
        assert!(lent.capacity() >= 100);
        assert_eq!(waiting(&outbox), b"cdef");
        assert_eq!(outbox.bytes(), 4);
    }

    #[test]
    fn an_outbox_that_never_empties_does_not_grow() {
        let mut outbox = Outbox::default();
        outbox.push(&[1; 100]);
        for _ in 0..100_000 {
            outbox.push(&[2; 1000]);
            outbox.advance(1000);
        }
        assert_eq!(outbox.bytes(), 100);
        assert!(
            outbox.tail.capacity() < 100_000,
            "{}",
            outbox.tail.capacity()
        );
    }

    #[test]
    fn what_waits_is_not_copied_for_a_loan_that_was_not_made() {
        let mut outbox = Outbox::default();
        outbox.push(&[1; 100_000]);
        let before = outbox.tail.as_ptr();
        let mut lent = Vec::with_capacity(10);
        outbox.borrow_tail(&mut lent);
        outbox.push(&[2; 3]);
        outbox.return_tail(&mut lent);
        assert!(lent.capacity() < 100_000);
        assert_eq!(outbox.bytes(), 100_003);
        assert!(outbox.tail.as_ptr() == before || outbox.tail.capacity() > 100_003);
    }
}
