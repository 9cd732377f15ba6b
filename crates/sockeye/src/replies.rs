//! What an endpoint answers within one turn, framed without the session's lock.

use sockeye_proto::{Message, encode_into, encode_plain};

use crate::driver::Room;

/// What an endpoint answers to the messages of one read, framed one behind the other. It lies with the
/// thread: an answer needs neither the session's lock nor memory of the session's.
///
/// ```text
///            Wire::begin_turn                 Wire::end_turn: written, Wire::take_in: moved to the outbox
///   Closed ───────────────────> Open: push ─────────────────────────────────────────────> Closed
/// ```
///
/// What is in it goes out before all that the wire has gathered since the turn began.
#[derive(Default)]
pub(crate) struct Replies {
    /// 0 <= len <= bytes.len(); the replies are `bytes[..len]`, what is behind them is old.
    bytes: Vec<u8>,
    len: usize,
    /// Payload bytes from which on a message isn't taken; 0 while it is closed, and then `len` is 0.
    payload_end: usize,
    /// Beyond so many bytes there is no room for more.
    bytes_max: usize,
}

/// Bytes. What it may keep between two turns: the answers to one read, if they aren't larger than it.
const BYTES_KEPT: usize = 512 << 10;

impl Replies {
    /// Takes messages with less than `payload_end` bytes from now on, until they are more than
    /// `bytes_max` together.
    #[inline]
    pub(crate) fn open(&mut self, payload_end: usize, bytes_max: usize) {
        debug_assert_eq!(self.len, 0);
        self.payload_end = payload_end;
        self.bytes_max = bytes_max;
    }

    /// Takes nothing any more, and forgets what it has.
    #[inline]
    pub(crate) fn close(&mut self) {
        self.payload_end = 0;
        self.len = 0;
        if self.bytes.len() > BYTES_KEPT {
            self.bytes.truncate(BYTES_KEPT);
            self.bytes.shrink_to_fit();
        }
    }

    /// Whether it takes `message`.
    #[inline]
    pub(crate) fn takes(&self, message: &Message<'_>) -> bool {
        message.len() < self.payload_end
    }

    /// Appends a message that it takes.
    #[inline(always)] // Into the driver's turn.
    pub(crate) fn push(&mut self, message: &Message<'_>) -> Room {
        let (kind, payload) = (message.kind(), message.as_bytes());
        match encode_into(kind, payload, &mut self.bytes[self.len..]) {
            Some(len) => self.len += len,
            None => self.push_slowly(message),
        }
        match self.len <= self.bytes_max {
            true => Room::Left,
            false => Room::None,
        }
    }

    #[inline(never)]
    fn push_slowly(&mut self, message: &Message<'_>) {
        self.bytes.truncate(self.len);
        encode_plain(message.kind(), message.as_bytes(), &mut self.bytes);
        self.len = self.bytes.len();
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
