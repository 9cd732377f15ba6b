//! The bytes that wait to be written.

use std::{collections::VecDeque, io::IoSlice, task::Waker};

use bytes::{Buf as _, Bytes};
use sockeye_proto::{Binary, Message};

use crate::{connection::buffers, memory::Holding};

/// Slices of one vectored write: enough for a large read, and 1 KiB of the stack.
pub(crate) const SLICES_MAX: usize = 64;

/// Bytes. A shorter shared payload is copied behind the others instead of kept apart.
const SHARED_BYTES_MIN: usize = 2 << 10;

/// Bytes. While an answer with at least so much memory waits, nothing more is read. Stopping for less costs
/// more time than it saves memory.
const HELD_BYTES_MIN: usize = 64 << 10;

/// Bytes. Less memory isn't worth a copy that would save some.
const TRIM_BYTES_MIN: usize = 4 << 10;

/// The bytes of one session that wait to be written, in order. A session whose bytes are all written has
/// none, and takes the thread's when it needs one.
///
/// It doesn't limit its own size: its owner admits or refuses.
#[derive(Default)]
pub(crate) struct Outbox {
    /// They go before `tail`. None is empty.
    segments: VecDeque<Segment>,
    tail: Vec<u8>,
    /// `tail[..written]` is written already; written <= tail.len().
    written: usize,
    /// The sum of all waiting bytes.
    bytes: usize,
    /// The part of it in memory that other sessions hold too.
    shared_bytes: usize,
    /// The part of it that answers the peer. Bytes behind it that are no answers may be counted as such.
    answer_bytes: usize,
    /// The part of `answer_bytes` for which the program has seen to the room, so that it leaves the others their limit.
    exempt_bytes: usize,
    /// The charge to the memory budget, while bytes wait because the socket takes no more.
    pub(crate) holding: Option<Holding>,
    /// Whether a large answer waits. Until all is written, nothing more is read.
    holds_answer: bool,
}

enum Segment {
    /// Other sessions hold them too.
    Shared(Bytes),
    /// A payload in memory that the program may hold too. It is charged in full, since the program may drop its handle.
    Payload(Bytes),
    /// Owned memory, of which the first `written` bytes are written.
    Own { memory: Vec<u8>, written: usize },
}

impl Outbox {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Has `write` append to the waiting bytes.
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

    /// Puts bytes before all that wait, of which none may be written yet.
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

    /// Appends bytes that other sessions hold too.
    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        if bytes.len() < SHARED_BYTES_MIN {
            return self.push(&bytes);
        }
        self.seal();
        self.bytes += bytes.len();
        self.shared_bytes += bytes.len();
        self.segments.push_back(Segment::Shared(bytes));
    }

    /// Appends what is behind the first `written` bytes of `payload`. Owned and shared memory is kept, not copied.
    pub(crate) fn push_payload(&mut self, payload: Binary<'_>, written: usize) {
        if payload.is_owned() {
            return self.push_own(payload.into_owned(), written);
        }
        let waiting = &payload[written..];
        if payload.is_borrowed() || waiting.len() < SHARED_BYTES_MIN {
            return self.push(waiting);
        }
        self.seal();
        self.bytes += waiting.len();
        let mut bytes = payload.into_shared();
        bytes.advance(written);
        self.segments.push_back(Segment::Payload(bytes));
    }

    /// Appends what is behind the first `written` bytes of `memory`, which is recycled afterwards.
    fn push_own(&mut self, memory: Vec<u8>, written: usize) {
        let waiting = &memory[written..];
        if waiting.len() < SHARED_BYTES_MIN {
            self.push(waiting);
            return buffers::recycle(Message::from(memory));
        }
        self.seal();
        self.bytes += waiting.len();
        self.segments.push_back(Segment::Own { memory, written });
    }

    /// Notes that an answer was left here. If it is large, reading waits until all is written.
    pub(crate) fn hold_answer(&mut self) {
        self.holds_answer |= self.segments.iter().any(Segment::is_large);
    }

    /// Counts `bytes` of what was appended as an answer to the peer.
    #[inline]
    pub(crate) fn count_answer(&mut self, bytes: usize) {
        self.answer_bytes += bytes;
    }

    /// Exempts up to `bytes` of what waits, an answer, from the limit of what is sent later.
    pub(crate) fn exempt(&mut self, bytes: usize) {
        self.exempt_bytes = (self.exempt_bytes + bytes).min(self.bytes);
    }

    /// Returns the waiting bytes to which the limit applies.
    #[inline]
    pub(crate) fn limited_bytes(&self) -> usize {
        self.bytes - self.exempt_bytes.min(self.bytes)
    }

    /// Returns the most bytes of answers that can be waiting: written bytes are counted as answers first.
    #[inline]
    pub(crate) fn answer_bytes(&self) -> usize {
        self.answer_bytes.min(self.bytes)
    }

    /// Updates the charge for the waiting bytes, if there is one. Shared bytes count for an eighth, since
    /// there is one copy for all sessions. A payload counts in full until its last byte is written: so long it takes its memory.
    #[inline]
    pub(crate) fn settle_held(&mut self, waker: impl FnOnce() -> Waker) {
        if let Some(holding) = &mut self.holding {
            let written = match self.segments.front() {
                Some(Segment::Own { written, .. }) => *written,
                _ => 0,
            };
            let own = self.bytes - self.shared_bytes + written;
            let own = own.max(self.tail.capacity());
            holding.set(own + self.shared_bytes / 8, waker);
        }
    }

    /// Returns whether a large answer waits, or bytes behind it.
    #[inline]
    pub(crate) fn holds_answer(&self) -> bool {
        self.holds_answer
    }

    /// Appends the waiting bytes to `slices`, oldest first, as far as there is room.
    pub(crate) fn slices<'a>(&'a self, slices: &mut WriteSlices<'a>) {
        for segment in &self.segments {
            slices.push(segment.waiting());
        }
        slices.push(&self.tail[self.written..]);
    }

    /// Returns the waiting bytes, if they are one slice.
    #[inline]
    pub(crate) fn only_slice(&self) -> Option<&[u8]> {
        self.segments.is_empty().then(|| &self.tail[self.written..])
    }

    /// Removes `count` bytes, which are written; 0 <= count <= bytes.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        self.bytes -= count;
        self.answer_bytes = self.answer_bytes.saturating_sub(count);
        self.exempt_bytes = self.exempt_bytes.saturating_sub(count);
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
            self.exempt_bytes = 0;
            self.holds_answer = false;
        }
    }

    /// Frees memory beyond `bytes`; for an empty outbox.
    #[inline]
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        if self.tail.capacity() > bytes {
            self.tail.shrink_to(bytes);
        }
    }

    /// Ends the charge, since nothing waits any more.
    #[inline]
    pub(crate) fn end_holding(&mut self) {
        if self.holding.is_some() {
            self.holding = None;
        }
    }

    /// Frees most of the memory that the waiting bytes don't need, because they may wait for long. It copies
    /// a quarter at most, so that a slow peer can't cause much work.
    pub(crate) fn trim(&mut self) {
        let waiting = self.tail.len() - self.written;
        if self.tail.capacity() > TRIM_BYTES_MIN && waiting < self.tail.capacity() / 4 {
            self.tail = self.tail[self.written..].to_vec();
            self.written = 0;
        }
    }

    /// Removes written bytes once they are more than half of the tail. Otherwise a reader that is always a
    /// little late would make the tail grow for ever. Each byte moves at most once on average.
    fn compact(&mut self) {
        if self.written > self.tail.len() / 2 {
            self.tail.drain(..self.written);
            self.written = 0;
        }
    }

    /// Makes the tail a segment, so that another segment can follow it.
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
    /// Returns whether it keeps so much memory that one at a time is enough.
    fn is_large(&self) -> bool {
        match self {
            Self::Shared(_) => false,
            Self::Payload(bytes) => bytes.len() >= HELD_BYTES_MIN,
            Self::Own { memory, .. } => memory.len() >= HELD_BYTES_MIN,
        }
    }

    fn waiting(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) | Self::Payload(bytes) => bytes,
            Self::Own { memory, written } => &memory[*written..],
        }
    }

    /// Removes `count` bytes, which are written; fewer than wait.
    fn advance(&mut self, count: usize) {
        match self {
            Self::Shared(bytes) | Self::Payload(bytes) => bytes.advance(count),
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

    /// Returns the sum of their lengths.
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
    use crate::memory::MemoryBudget;

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
        outbox.push_payload(Binary::from(vec![8; SHARED_BYTES_MIN + 1]), 1);
        outbox.push_payload(Binary::from(b"-four".to_vec()), 1);
        outbox.push_payload(Binary::from(Bytes::from(vec![9; SHARED_BYTES_MIN + 2])), 2);
        outbox.push_payload(Binary::from(Bytes::from_static(b"--five")), 2);
        outbox.push_payload(Binary::from(&b"-six"[..]), 1);
        let mut expected = b"one".to_vec();
        expected.extend_from_slice(&big);
        expected.extend_from_slice(b"twothree");
        expected.extend_from_slice(&[8; SHARED_BYTES_MIN]);
        expected.extend_from_slice(b"four");
        expected.extend_from_slice(&[9; SHARED_BYTES_MIN]);
        expected.extend_from_slice(b"fivesix");
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
    fn a_shared_payload_waits_in_its_memory_and_is_charged_in_full() {
        let budget = MemoryBudget::new(1 << 20);
        let payload = Bytes::from(vec![7; 10_000]);
        let mut outbox = Outbox::default();
        outbox.push_payload(Binary::from(payload.clone()), 10);
        outbox.holding = Some(Holding::new(&budget));
        outbox.settle_held(|| Waker::noop().clone());
        let mut slices = WriteSlices::new();
        outbox.slices(&mut slices);
        assert_eq!(slices.as_slice()[0].as_ptr(), payload[10..].as_ptr());
        assert_eq!(budget.used_bytes(), 9_990);
        outbox.advance(9_990);
        assert!(payload.is_unique());
    }

    #[test]
    fn a_payload_is_charged_in_full_until_its_last_byte_is_written() {
        let budget = MemoryBudget::new(1 << 20);
        let mut outbox = Outbox::default();
        outbox.push_payload(Binary::from(vec![7; 100_000]), 60_000);
        outbox.push_payload(Binary::from(vec![8; 100_000]), 0);
        outbox.holding = Some(Holding::new(&budget));
        let settle = |outbox: &mut Outbox| {
            outbox.settle_held(|| Waker::noop().clone());
            budget.used_bytes()
        };
        assert_eq!(settle(&mut outbox), 200_000);
        outbox.advance(39_999);
        assert_eq!(settle(&mut outbox), 200_000);
        outbox.advance(1);
        assert_eq!(settle(&mut outbox), 100_000);
        outbox.advance(100_000);
        assert_eq!(settle(&mut outbox), 0);
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
