//! What a thread lends to the connections that it works for.

use alloc::{borrow::Cow, string::String, vec::Vec};

use super::Contexts;
use crate::Message;

/// Deflate contexts that wait for their next message, and buffers.
///
/// One pool belongs to one thread: connections borrow it for the time of a call. A context leaves the
/// pool for as long as a message is unfinished, so a thread in which messages arrive whole needs one
/// of each kind.
///
/// A context takes about 47 KiB for inflating and 290 KiB at most for deflating. A pool keeps four for
/// inflating, and of the others as many as were needed at a time: without takeover one for each window, with
/// takeover one for each of the 64 connections that sent last, 18 MiB. Messages of up to 16 KiB at level 1 need
/// none: 72 KiB at most serve all of them. Five buffers of at most 64 KiB and the
/// memory of large messages, 16 MiB at most, come on top; what comes back beyond is freed.
#[derive(Default)]
pub struct Pool {
    pub(super) contexts: Contexts,
    /// `len <= BUFFERS_MAX`; each is empty, its capacity `<= BUFFER_BYTES_MAX`.
    buffers: Vec<Vec<u8>>,
    /// Memory of messages that were handled, for the next large ones, the one that came last at the end: of
    /// each `MEMORY_BYTES_MIN <= capacity`, of all together `<= MEMORY_BYTES_MAX`. It keeps its length, so that
    /// it needn't be zeroed before it is written to.
    memories: Vec<Vec<u8>>,
    /// Where the receiver inflates what it hands out at once; the event borrows it. A part of a bomb
    /// can make it large, until it is taken the next time.
    pub(crate) scratch: Vec<u8>,
}

impl Pool {
    /// An empty pool, which owns nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer, for instance to inflate into.
    #[must_use]
    pub fn take_buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    /// Keeps a buffer for the next taker; frees it if there are enough or if it has grown large.
    pub fn return_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.buffers.len() < BUFFERS_MAX && buffer.capacity() <= BUFFER_BYTES_MAX {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }

    /// Keeps the memory of a message that was handled, for the next large one; frees it if it is small or
    /// very large, and what came first if it is too much together. What is borrowed is nobody's to keep.
    pub fn recycle(&mut self, message: Message<'_>) {
        let bytes = match message {
            Message::Text(Cow::Owned(text)) => text.into_bytes(),
            Message::Binary(Cow::Owned(bytes)) => bytes,
            Message::Text(Cow::Borrowed(_)) | Message::Binary(Cow::Borrowed(_)) => return,
        };
        let range = MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX;
        if !range.contains(&bytes.capacity()) {
            return;
        }
        let mut kept: usize = self.memories.iter().map(Vec::capacity).sum();
        while kept + bytes.capacity() > MEMORY_BYTES_MAX {
            kept -= self.memories.remove(0).capacity();
        }
        self.memories.push(bytes);
    }

    /// The same message in memory of its own, which comes from here if it is large.
    #[must_use]
    pub fn own(&mut self, message: Message<'_>) -> Message<'static> {
        if message.is_owned() {
            return message.into_owned();
        }
        let memory = match message.len() < MEMORY_BYTES_MIN {
            true => Vec::new(),
            false => self.take_memory(message.len() as u64),
        };
        // Piece by piece: see `PIECE_BYTES`.
        match message {
            Message::Text(text) => {
                let mut own = emptied(memory);
                own.reserve_exact(text.len());
                let mut rest = &*text;
                while !rest.is_empty() {
                    let (piece, behind) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES));
                    own.push_str(piece);
                    rest = behind;
                }
                Message::from(own)
            }
            Message::Binary(bytes) => {
                let mut own = memory;
                own.clear();
                own.reserve_exact(bytes.len());
                for piece in bytes.chunks(PIECE_BYTES) {
                    own.extend_from_slice(piece);
                }
                Message::from(own)
            }
        }
    }

    /// Memory for a message with `announced` bytes: what was recycled, of any length, unless it is so much
    /// more that somebody who keeps the message would keep it for nothing.
    pub(crate) fn take_memory(&mut self, announced: u64) -> Vec<u8> {
        let most = announced.saturating_mul(2);
        let fits = |memory: &Vec<u8>| memory.capacity() as u64 <= most;
        match self.memories.iter().rposition(fits) {
            Some(index) => self.memories.remove(index),
            None => Vec::new(),
        }
    }

    /// The scratch buffer, empty; a new one if it has grown large. Put it back.
    pub(crate) fn take_scratch(&mut self) -> Vec<u8> {
        let mut scratch = core::mem::take(&mut self.scratch);
        if scratch.capacity() > BUFFER_BYTES_MAX {
            return Vec::new();
        }
        scratch.clear();
        scratch
    }
}

impl core::fmt::Debug for Pool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut pool = f.debug_struct("Pool");
        self.contexts.debug_fields(&mut pool);
        pool.field("buffers", &self.buffers.len()).finish()
    }
}

/// A text's memory, without what was in it.
pub(crate) fn emptied(mut memory: Vec<u8>) -> String {
    memory.clear();
    String::from_utf8(memory).unwrap_or_default()
}

/// Buffers. As many as contexts.
const BUFFERS_MAX: usize = 4;

/// Bytes. Most messages fit; a buffer that had to hold a large one goes back to the allocator.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Bytes. Smaller memory comes from the allocator as fast as from here.
const MEMORY_BYTES_MIN: usize = 64 << 10;

/// Bytes. What is copied at a time. More of it the C library copies with an instruction that takes ten times as long,
/// on some processors, if its target lies a few bytes behind its source modulo a page; and an allocator that gives
/// the same memory again and again does that for each message.
const PIECE_BYTES: usize = 2 << 10;

/// Bytes. Sixteen messages of a mebibyte under way at a time; a thread should not sit on more.
const MEMORY_BYTES_MAX: usize = 16 << 20;
