//! Buffers and deflate contexts that the connections of a thread share.

use alloc::{string::String, vec::Vec};

use super::Contexts;
use crate::Message;

/// Buffers and deflate contexts that the connections of a thread share.
///
/// One pool belongs to one thread, and connections borrow it for the time of a call. A context leaves the pool while a message
/// is unfinished, so a thread whose messages arrive whole needs one context of each kind.
///
/// Memory, which is freed beyond these limits:
/// - four contexts for inflating, of about 47 KiB each;
/// - contexts for deflating, of at most 290 KiB each: without takeover one for each window size, with takeover one for each of
///   the 64 connections that sent last, which is 18 MiB. Messages of up to 16 KiB at level 1 need none; all of them share
///   72 KiB;
/// - five buffers of at most 64 KiB each;
/// - the memory of large messages, at most 16 MiB in all.
#[derive(Default)]
pub struct Pool {
    pub(super) contexts: Contexts,
    /// `len <= BUFFERS_MAX`; each is empty, its capacity `<= BUFFER_BYTES_MAX`.
    buffers: Vec<Vec<u8>>,
    /// Memory of handled messages, for the next large ones; the latest is at the end. The capacity of each is at least
    /// `MEMORY_BYTES_MIN`, that of all together at most `MEMORY_BYTES_MAX`. Each keeps its length, so that it need not be zeroed
    /// before it is written to.
    memories: Vec<Vec<u8>>,
    /// The receiver inflates into it what it hands out at once, and the event borrows it. A part that expands very much makes
    /// it large, until it is taken the next time.
    pub(crate) scratch: Vec<u8>,
}

impl Pool {
    /// Creates an empty pool, which owns nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an empty buffer, for instance to inflate into.
    #[must_use]
    pub fn take_buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    /// Keeps a buffer for the next call of [`Pool::take_buffer`]. Frees it if four are kept already or if it has more than
    /// 64 KiB.
    pub fn return_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.buffers.len() < BUFFERS_MAX && buffer.capacity() <= BUFFER_BYTES_MAX {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }

    /// Keeps the memory of a handled message for the next large one.
    ///
    /// Memory of less than 64 KiB or more than 16 MiB is freed, and so is the oldest if all together would have more than
    /// 16 MiB. A message that borrows or shares its payload has no memory to keep.
    pub fn recycle(&mut self, message: Message<'_>) {
        if !message.is_owned() {
            return;
        }
        let bytes = message.into_vec();
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

    /// Returns a message that borrows nothing. Memory for the copy of a large borrowed payload comes from the pool.
    #[must_use]
    pub fn own(&mut self, message: Message<'_>) -> Message<'static> {
        if !message.is_borrowed() {
            return message.into_owned();
        }
        let memory = match message.len() < MEMORY_BYTES_MIN {
            true => Vec::new(),
            false => self.take_memory(message.len() as u64),
        };
        // `PIECE_BYTES` says why it is copied in pieces.
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

    /// Takes memory for a message of `announced` bytes: recycled memory of any length, if it is at most twice as large. A
    /// program that keeps the message would keep the rest for nothing.
    pub(crate) fn take_memory(&mut self, announced: u64) -> Vec<u8> {
        let most = announced.saturating_mul(2);
        let fits = |memory: &Vec<u8>| memory.capacity() as u64 <= most;
        match self.memories.iter().rposition(fits) {
            Some(index) => self.memories.remove(index),
            None => Vec::new(),
        }
    }

    /// Takes the scratch buffer, empty; a new one if it has grown large. The caller puts it back.
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

/// Returns the memory as an empty text.
pub(crate) fn emptied(mut memory: Vec<u8>) -> String {
    memory.clear();
    String::from_utf8(memory).unwrap_or_default()
}

/// Buffers. As many as contexts for inflating.
const BUFFERS_MAX: usize = 4;

/// Bytes. Most messages fit. A buffer that has held a large one goes back to the allocator.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Bytes. Less memory comes as fast from the allocator.
const MEMORY_BYTES_MIN: usize = 64 << 10;

/// Bytes. So much is copied at a time. For more, the C library uses an instruction that takes ten times as long on some
/// processors if, modulo the size of a page, the target is a few bytes behind the source. An allocator that returns the same
/// memory again and again makes that happen for each message.
const PIECE_BYTES: usize = 2 << 10;

/// Bytes. Sixteen unfinished messages of 1 MiB; a thread should not keep more.
const MEMORY_BYTES_MAX: usize = 16 << 20;
