//! What a thread lends to the connections that it works for.

use alloc::{borrow::Cow, boxed::Box, string::String, sync::Arc, vec::Vec};

use zlib_rs::{DeflateConfig, Strategy};

use super::{
    fast_deflate::FastDeflate,
    params::{WINDOW_BITS_MAX, WINDOW_BITS_MIN},
};
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
#[expect(
    clippy::vec_box,
    reason = "contexts travel between pool and connection; an idle connection holds 8 bytes for one"
)]
pub struct Pool {
    /// `len <= INFLATERS_MAX`. Their state is whatever their last message left.
    inflaters: Vec<Box<zlib_rs::Inflate>>,
    /// `len <= DEFLATERS_MAX`, the one used last at the end. Their state is whatever was left.
    deflaters: Vec<Box<Compressor>>,
    /// For short messages at level 1; `None` until there is one.
    fast_deflate: Option<FastDeflate>,
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

/// A compressor, and what it was built for.
pub(super) struct Compressor {
    pub(super) zlib: zlib_rs::Deflate,
    /// 9 to 15.
    window_bits: u8,
    /// 0 to 9.
    level: u8,
    /// Whose text it has seen, if all of that text went out. Then that direction can go on with it.
    at: Option<StreamPosition>,
}

/// A position between two messages of one direction.
#[derive(Clone)]
pub(super) struct StreamPosition {
    /// Compared by address: no other direction has the same while one holds it.
    pub(super) direction: Arc<()>,
    /// Counts the messages before this position.
    pub(super) messages: u64,
}

impl PartialEq for StreamPosition {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.direction, &other.direction) && self.messages == other.messages
    }
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

    /// A decompressor at the start of a stream, with an empty window.
    pub(super) fn take_inflater(&mut self) -> Box<zlib_rs::Inflate> {
        match self.inflaters.pop() {
            Some(mut zlib) => {
                zlib.reset(RAW);
                zlib
            }
            // All contexts have the largest window, so that each fits every connection.
            None => Box::new(zlib_rs::Inflate::new(RAW, WINDOW_BITS_MAX)),
        }
    }

    pub(super) fn return_inflater(&mut self, zlib: Box<zlib_rs::Inflate>) {
        if self.inflaters.len() < INFLATERS_MAX {
            self.inflaters.push(zlib);
        }
    }

    /// For one message: it knows of no other.
    pub(super) fn fast_deflate(&mut self) -> &mut FastDeflate {
        self.fast_deflate.get_or_insert_with(FastDeflate::new)
    }

    /// The compressor that was left at this position, if it is still here: it needs no priming.
    pub(super) fn take_deflater_at(
        &mut self,
        position: &StreamPosition,
    ) -> Option<Box<Compressor>> {
        let is_there = |one: &Box<_>| is_at(one, position);
        let index = self.deflaters.iter().rposition(is_there)?;
        Some(self.deflaters.remove(index))
    }

    /// A compressor at the start of a stream, with an empty window, that refers back no further
    /// than 2 to the power of `window_bits` (8 to 15).
    pub(super) fn take_deflater(&mut self, window_bits: u8, level: u8) -> Box<Compressor> {
        // A window of 256 bytes is made of one of 512, as zlib does. It is right because a window
        // is used only up to 262 bytes before its end (a longest match, and room to look ahead):
        // no reference goes further back than 250 bytes, at any level.
        let window_bits = window_bits.max(WINDOW_BITS_MIN + 1);
        if let Some(index) = self.dispensable(window_bits) {
            let mut compressor = self.deflaters.remove(index);
            compressor.zlib.reset();
            if compressor.level != level {
                // Nothing is pending after a reset, so there is nothing that could fail.
                let _ = compressor.zlib.set_level(i32::from(level));
                compressor.level = level;
            }
            return compressor;
        }
        let zlib = zlib_rs::Deflate::new_with_config(DeflateConfig {
            level: i32::from(level),
            window_bits: -i32::from(window_bits),
            mem_level: MEMORY_LEVEL,
            strategy: Strategy::Default,
            ..DeflateConfig::default()
        });
        Box::new(Compressor {
            zlib,
            window_bits,
            level,
            at: None,
        })
    }

    /// Index of a compressor with this window that nobody will go on with; if all are somebody's
    /// and there is no room for more, of the one that was used longest ago.
    fn dispensable(&self, window_bits: u8) -> Option<usize> {
        let mut fitting = (0..self.deflaters.len())
            .filter(|&index| self.deflaters[index].window_bits == window_bits);
        let oldest = fitting.clone().next();
        let free = fitting.find(|&index| self.deflaters[index].at.is_none());
        match free {
            Some(index) => Some(index),
            None if self.deflaters.len() < DEFLATERS_MAX => None,
            None => oldest,
        }
    }

    /// `at` is where its direction may go on with it.
    pub(super) fn return_deflater(
        &mut self,
        mut compressor: Box<Compressor>,
        at: Option<StreamPosition>,
    ) {
        if self.deflaters.len() == DEFLATERS_MAX {
            self.deflaters.remove(0);
        }
        compressor.at = at;
        self.deflaters.push(compressor);
    }
}

fn is_at(compressor: &Compressor, position: &StreamPosition) -> bool {
    compressor.at.as_ref() == Some(position)
}

impl core::fmt::Debug for Pool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pool")
            .field("inflaters", &self.inflaters.len())
            .field("deflaters", &self.deflaters.len())
            .field("buffers", &self.buffers.len())
            .finish()
    }
}

/// A text's memory, without what was in it.
pub(crate) fn emptied(mut memory: Vec<u8>) -> String {
    memory.clear();
    String::from_utf8(memory).unwrap_or_default()
}

/// zlib-rs takes a boolean for "with a zlib header"; RFC 7692 uses bare deflate blocks.
pub(super) const RAW: bool = false;

/// Contexts. One is in use at a time while messages come whole; the others are spare for messages that come
/// in parts. To prime one anew costs a copy of the window, less than a microsecond.
const INFLATERS_MAX: usize = 4;

/// Contexts. Priming one anew costs three to ten times what a short message does, so that more of them are
/// kept: for so many connections with takeover that talk in turn. Without takeover one serves all, and at level
/// 1 only large messages need one.
const DEFLATERS_MAX: usize = 64;

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

/// zlib's 1 to 9: 2 to the power of `6 + this` symbols per block, at 7 bytes each. 6 is 28 KiB
/// instead of zlib's usual 112 KiB, and costs less than one per cent of size.
const MEMORY_LEVEL: i32 = 6;
