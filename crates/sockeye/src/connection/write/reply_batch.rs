//! The replies of an endpoint within one turn, framed without the session's lock.

use sockeye_proto::{
    Binary, Message, MessageKind,
    driver::{encode_head, encode_into, encode_plain},
    extension::Pool,
};

use crate::connection::{
    sink::Room,
    write::outbox::{Outbox, WriteSlices},
};

/// The replies of an endpoint to the messages of one read, framed one behind the other. A reply needs neither
/// the session's lock nor its memory, and a large reply is not copied.
///
/// ```text
///            Writer::begin_turn             Writer::end_turn: written; Writer::take_replies: moved to the outbox
///   Closed ──────────────────────> Open: push ──────────────────────────────────────────────────> Closed
/// ```
///
/// The replies go out before all bytes that the writer has gathered since the turn began.
pub(crate) struct ReplyBatch<'b> {
    framed: &'b mut Framed,
    /// Boxed, since most turns have none.
    large: Option<Box<Large<'b>>>,
    /// The payload length from which on a message isn't taken. 0 while the batch is closed, and then it is
    /// empty.
    payload_end: usize,
    /// Beyond so many bytes there is no room for more.
    bytes_max: usize,
}

/// The thread's memory for replies. It is empty between two turns, unless an endpoint has panicked in one.
#[derive(Default)]
pub(crate) struct Framed {
    /// 0 <= len <= bytes.len(). The replies are `bytes[..len]`; bytes after them are old.
    bytes: Vec<u8>,
    len: usize,
}

/// Payloads that are written from where they are.
#[derive(Default)]
struct Large<'b> {
    /// In order: the number of framed bytes before the payload, which end with its header, and the payload.
    payloads: Vec<(usize, Binary<'b>)>,
    /// The sum of the payloads.
    bytes: usize,
}

/// Bytes of memory that the thread keeps between two turns: enough for the answers to one read of short
/// messages.
const BYTES_KEPT: usize = 512 << 10;

/// Bytes. A payload of at least this length is written from where it is: two more slices of a write cost less
/// than the copy.
pub(crate) const LARGE_BYTES_MIN: usize = 4 << 10;

impl<'b> ReplyBatch<'b> {
    /// Creates a closed batch, with what was left in `framed`.
    #[inline(always)] // Into the driver's turn.
    pub(crate) fn new(framed: &'b mut Framed) -> Self {
        Self {
            framed,
            large: None,
            payload_end: 0,
            bytes_max: 0,
        }
    }

    /// Opens the batch for messages shorter than `payload_end`, until they are more than `bytes_max`
    /// together.
    #[inline]
    pub(crate) fn open(&mut self, payload_end: usize, bytes_max: usize) {
        debug_assert_eq!(self.bytes(), 0);
        self.payload_end = payload_end;
        self.bytes_max = bytes_max;
    }

    /// Closes and empties the batch.
    #[inline(always)] // Into the driver's turn.
    pub(crate) fn close(&mut self) {
        self.payload_end = 0;
        self.framed.clear();
        if self.has_large() {
            self.large = None;
        }
    }

    /// Empties the batch, which is written; memory that it owns goes to `pool`.
    pub(crate) fn clear_into(&mut self, pool: &mut Pool) {
        self.framed.clear();
        let large = self.large.take().unwrap_or_default();
        for (_, payload) in large.payloads {
            pool.recycle(Message::Binary(payload));
        }
    }

    /// Ends a closed batch without a second check on drop of whether it owns memory.
    #[inline(always)] // Into the driver's turn.
    pub(crate) fn finish(self) {
        debug_assert!(!self.has_large());
        std::mem::forget(self);
    }

    /// Returns whether it takes `message`.
    #[inline]
    pub(crate) fn takes(&self, message: &Message<'_>) -> bool {
        message.len() < self.payload_end
    }

    /// Appends a copy of a message that it takes.
    #[inline(always)] // Into the driver's turn.
    pub(crate) fn push(&mut self, message: &Message<'_>) -> Room {
        self.framed.push(message.kind(), message.as_bytes());
        self.room()
    }

    /// Appends a message that it takes and that stays where it is until the turn ends. A large one isn't
    /// copied.
    #[inline]
    pub(crate) fn push_lasting(&mut self, message: Message<'b>) -> Room {
        let payload_bytes = message.len();
        if payload_bytes < LARGE_BYTES_MIN {
            return self.push(&message);
        }
        self.framed.push_head(&message);
        let large = self.large.get_or_insert_default();
        let payload = message.into_payload();
        large.payloads.push((self.framed.len, payload));
        large.bytes += payload_bytes;
        self.room()
    }

    #[inline]
    pub(crate) fn has_large(&self) -> bool {
        self.large.is_some()
    }

    /// Returns all bytes, if none of the replies is large.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        debug_assert!(!self.has_large());
        self.framed.as_slice()
    }

    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.framed.len + self.large.as_ref().map_or(0, |large| large.bytes)
    }

    /// Returns how many messages are in it, and the bytes of their payloads.
    pub(crate) fn count(&self) -> (usize, usize) {
        let framed = self.framed.as_slice();
        let payloads = self.large.as_ref().map_or(&[][..], |large| &large.payloads);
        let mut behind_heads = payloads.iter().map(|(behind, _)| *behind).peekable();
        let (mut messages, mut payload_bytes, mut at) = (0, 0, 0);
        while let Some((head_bytes, len)) = plain_head(&framed[at..]) {
            messages += 1;
            payload_bytes += len;
            at += head_bytes;
            if behind_heads.next_if_eq(&at).is_none() {
                at += len;
            }
        }
        (messages, payload_bytes)
    }

    /// Appends to `slices` what is behind the first `written` bytes, as far as there is room.
    pub(crate) fn slices<'s>(&'s self, mut written: usize, slices: &mut WriteSlices<'s>) {
        for part in self.parts() {
            let done = written.min(part.len());
            slices.push(&part[done..]);
            written -= done;
        }
    }

    /// Appends to `outbox` what is behind the first `written` bytes. Owned and shared memory is not
    /// copied.
    pub(crate) fn leave_to(&mut self, outbox: &mut Outbox, mut written: usize) {
        let mut skip = |len: usize| {
            let done = written.min(len);
            written -= done;
            done
        };
        let mut from = 0;
        let large = self.large.take().unwrap_or_default();
        for (behind, payload) in large.payloads {
            let framed = &self.framed.bytes[from..behind];
            outbox.push(&framed[skip(framed.len())..]);
            from = behind;
            let done = skip(payload.len());
            outbox.push_payload(payload, done);
        }
        let framed = &self.framed.bytes[from..self.framed.len];
        outbox.push(&framed[skip(framed.len())..]);
    }

    /// Copies large payloads, so that all bytes are in the thread's memory.
    #[cold]
    pub(crate) fn flatten(&mut self) {
        let mut bytes = Vec::with_capacity(self.bytes());
        for part in self.parts() {
            bytes.extend_from_slice(part);
        }
        self.large = None;
        *self.framed = Framed {
            len: bytes.len(),
            bytes,
        };
    }

    /// Returns all parts in order.
    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let payloads = self.large.as_ref().map_or(&[][..], |large| &large.payloads);
        let mut from = 0;
        let parts = payloads.iter().flat_map(move |(behind, payload)| {
            let framed = &self.framed.bytes[from..*behind];
            from = *behind;
            [framed, payload]
        });
        let last = payloads.last().map_or(0, |(behind, _)| *behind);
        parts.chain([&self.framed.as_slice()[last..]])
    }

    #[inline(always)]
    fn room(&self) -> Room {
        match self.bytes() <= self.bytes_max {
            true => Room::Left,
            false => Room::None,
        }
    }
}

impl Drop for ReplyBatch<'_> {
    /// During a panic, keeps the earlier replies in the thread's memory for
    /// [`crate::connection::read::Driver::take_replies`].
    #[inline]
    fn drop(&mut self) {
        if self.has_large() {
            self.flatten();
        }
    }
}

impl Framed {
    #[inline(always)] // Into the driver's turn.
    fn push(&mut self, kind: MessageKind, payload: &[u8]) {
        match encode_into(kind, payload, &mut self.bytes[self.len..]) {
            Some(len) => self.len += len,
            None => self.push_slowly(kind, payload),
        }
    }

    #[inline(never)]
    fn push_slowly(&mut self, kind: MessageKind, payload: &[u8]) {
        self.bytes.truncate(self.len);
        encode_plain(kind, payload, &mut self.bytes);
        self.len = self.bytes.len();
    }

    fn push_head(&mut self, message: &Message<'_>) {
        let (kind, payload_bytes) = (message.kind(), message.len());
        loop {
            match encode_head(kind, payload_bytes, &mut self.bytes[self.len..]) {
                Some(len) => return self.len += len,
                None => self.bytes.resize(self.len + HEADS_BYTES, 0),
            }
        }
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    #[inline(always)] // Into the driver's turn.
    fn clear(&mut self) {
        self.len = 0;
        if self.bytes.len() > BYTES_KEPT {
            self.shrink();
        }
    }

    #[cold]
    fn shrink(&mut self) {
        self.bytes.truncate(BYTES_KEPT);
        self.bytes.shrink_to_fit();
    }
}

/// Reads the header of a frame that [`encode_plain`] or [`encode_head`] has made: how long it is, and the payload. `None`
/// behind the last frame.
fn plain_head(framed: &[u8]) -> Option<(usize, usize)> {
    let rest = framed.get(2..)?;
    Some(match framed[1] {
        126 => (4, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => {
            let len = u64::from_be_bytes(*rest.first_chunk()?);
            (10, usize::try_from(len).ok()?)
        }
        len => (2, usize::from(len)),
    })
}

/// Bytes by which room for headers grows: those of the large messages of one read.
const HEADS_BYTES: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;

    fn joined(replies: &ReplyBatch<'_>, written: usize) -> Vec<u8> {
        let mut slices = WriteSlices::new();
        replies.slices(written, &mut slices);
        let slices = slices.as_slice().iter();
        slices.flat_map(|slice| slice.to_vec()).collect()
    }

    fn waiting(outbox: &Outbox) -> Vec<u8> {
        let mut slices = WriteSlices::new();
        outbox.slices(&mut slices);
        let slices = slices.as_slice().iter();
        slices.flat_map(|slice| slice.to_vec()).collect()
    }

    /// Returns seven messages: small, large and borrowed, large and owned, small, larger than 64 KiB, two large
    /// and shared.
    fn messages(large: &[u8]) -> [Message<'_>; 7] {
        [
            Message::from("one"),
            Message::from(large),
            Message::from(large[1..].to_vec()),
            Message::from("two"),
            Message::from(vec![7; 1 << 16]),
            Message::from(Bytes::copy_from_slice(large)),
            Message::from(Arc::<str>::from("é".repeat(LARGE_BYTES_MIN))),
        ]
    }

    #[test]
    fn large_and_small_go_out_in_order_wherever_the_socket_stops() {
        let large: Vec<u8> = (0..LARGE_BYTES_MIN + 1).map(|index| index as u8).collect();
        let payload_bytes = messages(&large).iter().map(Message::len).sum();
        let mut expected = Vec::new();
        for message in messages(&large) {
            encode_plain(message.kind(), message.as_bytes(), &mut expected);
        }
        let end = expected.len();
        for written in [0, 1, 5, 6, 9, 10, 4200, 8300, 8320, end - 1, end] {
            let mut framed = Framed::default();
            let mut replies = ReplyBatch::new(&mut framed);
            replies.open(usize::MAX, end);
            for message in messages(&large) {
                assert_eq!(replies.push_lasting(message), Room::Left);
            }
            assert_eq!(replies.bytes(), end);
            assert_eq!(replies.count(), (7, payload_bytes));
            assert_eq!(joined(&replies, written), expected[written..]);
            let mut outbox = Outbox::default();
            replies.leave_to(&mut outbox, written);
            assert_eq!(waiting(&outbox), expected[written..]);
            replies.close();
            assert_eq!(replies.bytes(), 0);
            assert!(!replies.has_large());
        }
    }

    #[test]
    fn what_a_panic_interrupts_is_left_to_the_thread() {
        let large = vec![3; LARGE_BYTES_MIN];
        let mut framed = Framed::default();
        let mut replies = ReplyBatch::new(&mut framed);
        replies.open(usize::MAX, usize::MAX);
        let mut expected = Vec::new();
        for message in messages(&large) {
            encode_plain(message.kind(), message.as_bytes(), &mut expected);
            replies.push_lasting(message);
        }
        drop(replies);
        assert_eq!(ReplyBatch::new(&mut framed).as_slice(), expected);
    }

    #[test]
    fn beyond_its_limit_there_is_no_room() {
        let mut framed = Framed::default();
        let mut replies = ReplyBatch::new(&mut framed);
        replies.open(usize::MAX, 2 * LARGE_BYTES_MIN);
        let large = || Message::from(vec![0; LARGE_BYTES_MIN]);
        assert_eq!(replies.push_lasting(large()), Room::Left);
        assert_eq!(replies.push_lasting(large()), Room::None);
    }
}
