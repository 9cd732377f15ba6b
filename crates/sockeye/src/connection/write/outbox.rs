//! The bytes that wait to be written.

use std::{collections::VecDeque, io::IoSlice, task::Waker};

use bytes::{Buf as _, Bytes};
use sockeye_proto::Message;

use crate::{connection::buffers, memory::Holding};

/// Slices of one vectored write: what a large read may hold, and 1 KiB of the stack.
pub(crate) const SLICES_MAX: usize = 64;

/// Bytes. A shared payload below this is copied behind the others rather than kept apart.
const SHARED_BYTES_MIN: usize = 2 << 10;

/// Bytes. Until an answer that has so much memory of its own is out, nothing more is read. To stop for less costs more time
/// than it saves memory.
const HELD_BYTES_MIN: usize = 64 << 10;

/// Bytes. Less memory than this isn't worth a copy that saves some.
const TRIM_BYTES_MIN: usize = 4 << 10;

/// The bytes of one session that wait to be written, in order. A session whose bytes are all on the
/// wire has none; the thread that works for it lends one.
///
/// It doesn't judge its own size: its owner admits or refuses.
#[derive(Default)]
pub(crate) struct Outbox {
    /// Before `tail`. None is empty.
    segments: VecDeque<Segment>,
    tail: Vec<u8>,
    /// `tail[..written]` is on the wire; written <= tail.len().
    written: usize,
    /// The sum of all that waits.
    bytes: usize,
    /// Of that, what others hold too.
    shared_bytes: usize,
    /// Of that, what answers the peer, but for what is behind other bytes.
    answer_bytes: usize,
    /// What is charged for it, while it waits because the transport takes no more.
    pub(crate) holding: Option<Holding>,
    /// Whether a large answer waits: until all is out, what has made it must not be read again.
    holds_answer: bool,
}

enum Segment {
    /// Others hold them too.
    Shared(Bytes),
    /// Memory of its own, of which the first `written` bytes are on the wire.
    Own { memory: Vec<u8>, written: usize },
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

    /// Puts bytes before all that waits, of which nothing may be on the wire.
    pub(crate) fn push_front(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.written, 0);
        if self.is_empty() {
            return self.push(bytes);
        }
        self.bytes += bytes.len();
        self.shared_bytes += bytes.len();
        let segment = Segment::Shared(Bytes::copy_from_slice(bytes));
        self.segments.push_front(segment);
    }

    /// Appends bytes that others hold too.
    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            return self.push(&bytes);
        }
        self.seal();
        self.bytes += bytes.len();
        self.shared_bytes += bytes.len();
        self.segments.push_back(Segment::Shared(bytes));
    }

    /// Appends what is behind the first `written` bytes of `memory`, which is recycled afterwards.
    pub(crate) fn push_own(&mut self, memory: Vec<u8>, written: usize) {
        let waiting = &memory[written..];
        if waiting.len() < SHARED_BYTES_MIN {
            self.push(waiting);
            return buffers::recycle(Message::from(memory));
        }
        self.seal();
        self.bytes += waiting.len();
        self.segments.push_back(Segment::Own { memory, written });
    }

    /// An answer was left here: if it is large, that is so until all is out.
    pub(crate) fn hold_answer(&mut self) {
        self.holds_answer |= self.segments.iter().any(Segment::is_large);
    }

    /// So many bytes of what was appended answer the peer.
    #[inline]
    pub(crate) fn count_answer(&mut self, bytes: usize) {
        self.answer_bytes += bytes;
    }

    /// Answers that wait, at most: what goes out is counted as if it was theirs.
    #[inline]
    pub(crate) fn answer_bytes(&self) -> usize {
        self.answer_bytes.min(self.bytes)
    }

    /// Charges the memory for what waits, if it is charged. What others hold too counts for an eighth: there is one copy
    /// for all of them.
    #[inline]
    pub(crate) fn settle_held(&mut self, waker: impl FnOnce() -> Waker) {
        if let Some(holding) = &mut self.holding {
            let own = self.bytes - self.shared_bytes;
            let own = own.max(self.tail.capacity());
            holding.set(own + self.shared_bytes / 8, waker);
        }
    }

    /// Whether a large answer waits, or what has come behind it.
    #[inline]
    pub(crate) fn holds_answer(&self) -> bool {
        self.holds_answer
    }

    /// Appends to `slices` what waits, oldest first, as far as there are places.
    pub(crate) fn slices<'a>(&'a self, slices: &mut WriteSlices<'a>) {
        for segment in &self.segments {
            slices.push(segment.waiting());
        }
        slices.push(&self.tail[self.written..]);
    }

    /// The one slice that waits, if it is one.
    #[inline]
    pub(crate) fn only_slice(&self) -> Option<&[u8]> {
        self.segments.is_empty().then(|| &self.tail[self.written..])
    }

    /// `count` bytes are on the wire; 0 <= count <= bytes.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        self.bytes -= count;
        self.answer_bytes = self.answer_bytes.saturating_sub(count);
        if !self.segments.is_empty() {
            return self.advance_segments(count);
        }
        self.written += count;
        self.forget_if_empty();
    }

    fn advance_segments(&mut self, mut count: usize) {
        while let Some(segment) = self.segments.front_mut() {
            let waiting = segment.waiting().len();
            if matches!(segment, Segment::Shared(_)) {
                self.shared_bytes -= count.min(waiting);
            }
            if count < waiting {
                return segment.advance(count);
            }
            count -= waiting;
            if let Some(Segment::Own { memory, .. }) = self.segments.pop_front() {
                buffers::recycle(Message::from(memory));
            }
        }
        self.segments = VecDeque::new();
        self.written += count;
        self.forget_if_empty();
    }

    #[inline]
    fn forget_if_empty(&mut self) {
        if self.bytes == 0 {
            self.tail.clear();
            self.written = 0;
            self.answer_bytes = 0;
            self.holds_answer = false;
        }
    }

    /// Gives memory back, if it is empty and has more.
    #[inline]
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        if self.tail.capacity() > bytes {
            self.tail.shrink_to(bytes);
        }
    }

    /// Nothing waits any more: it goes to whoever needs one next.
    #[inline]
    pub(crate) fn end_holding(&mut self) {
        if self.holding.is_some() {
            self.holding = None;
        }
    }

    /// Keeps little more memory than what waits needs: it may wait for long. A copy of a quarter at
    /// most, so that it is no lever for a peer that takes its time.
    pub(crate) fn trim(&mut self) {
        let waiting = self.tail.len() - self.written;
        if self.tail.capacity() > TRIM_BYTES_MIN && waiting < self.tail.capacity() / 4 {
            self.tail = self.tail[self.written..].to_vec();
            self.written = 0;
        }
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
            self.shared_bytes += rest.len();
            self.segments.push_back(Segment::Shared(rest));
        }
        self.tail.clear();
        self.written = 0;
    }
}

impl Segment {
    /// Whether it keeps so much memory that there should be one at a time.
    fn is_large(&self) -> bool {
        matches!(self, Self::Own { memory, .. } if memory.len() >= HELD_BYTES_MIN)
    }

    fn waiting(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own { memory, written } => &memory[*written..],
        }
    }

    /// `count` bytes more are on the wire, and not all of them.
    fn advance(&mut self, count: usize) {
        match self {
            Self::Shared(bytes) => bytes.advance(count),
            Self::Own { written, .. } => *written += count,
        }
    }
}

/// The slices of one vectored write.
pub(crate) struct WriteSlices<'a> {
    slices: [IoSlice<'a>; SLICES_MAX],
    /// 0 <= len <= SLICES_MAX
    len: usize,
}

impl<'a> WriteSlices<'a> {
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

    /// The sum of them.
    pub(crate) fn bytes(&self) -> usize {
        self.as_slice().iter().map(|slice| slice.len()).sum()
    }

    pub(crate) fn as_slice(&self) -> &[IoSlice<'a>] {
        &self.slices[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(outbox: &Outbox) -> Vec<u8> {
        let mut slices = WriteSlices::new();
        outbox.slices(&mut slices);
        slices
            .as_slice()
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect()
    }

    #[test]
    fn order_is_kept_across_copied_shared_and_own_bytes() {
        let mut outbox = Outbox::default();
        let big = Bytes::from(vec![7; SHARED_BYTES_MIN]);
        outbox.push(b"one");
        outbox.push_shared(big.clone());
        outbox.push(b"two");
        outbox.push_shared(Bytes::from_static(b"three"));
        outbox.push_own(vec![8; SHARED_BYTES_MIN + 1], 1);
        outbox.push_own(b"-four".to_vec(), 1);
        let mut expected = b"one".to_vec();
        expected.extend_from_slice(&big);
        expected.extend_from_slice(b"twothree");
        expected.extend_from_slice(&[8; SHARED_BYTES_MIN]);
        expected.extend_from_slice(b"four");
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
    fn a_little_that_waits_gives_the_rest_of_the_memory_back() {
        let mut outbox = Outbox::default();
        outbox.push(&[1; 100_000]);
        outbox.advance(99_000);
        outbox.trim();
        assert_eq!(waiting(&outbox), vec![1; 1000]);
        assert_eq!(outbox.bytes(), 1000);
        assert!(outbox.tail.capacity() < 2000, "{}", outbox.tail.capacity());
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
    fn much_that_waits_is_not_copied() {
        let mut outbox = Outbox::default();
        outbox.push(&[1; 100_000]);
        let before = outbox.tail.as_ptr();
        outbox.advance(1);
        outbox.trim();
        assert_eq!(outbox.tail.as_ptr(), before);
        assert_eq!(outbox.bytes(), 99_999);
    }
}
