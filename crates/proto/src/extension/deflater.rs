//! Compresses messages (RFC 7692 section 7.2.1).

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::fmt;

use zlib_rs::DeflateFlush;

use super::{
    Compression, DeflateParams, End, Pool, Takeover,
    contexts::{Compressor, GIVEN_BYTES_MAX, StreamPosition},
    fast_deflate::{HISTORY_BYTES_MAX, TEXT_BYTES_MAX},
    history::History,
    inflater::TAIL,
};
use crate::Role;

/// Compresses the messages of one direction, one after the other.
///
/// Memory between messages: nothing without context takeover; with it at most the last 4 KiB that were sent. While a message in
/// parts is unfinished, also a context from the pool (at most 290 KiB).
///
/// At level 1 a whole message of up to 16 KiB needs no context: code of our own compresses it, and refers to those last 4 KiB.
/// zlib compresses all other messages.
///
/// Priming a context costs a microsecond for each KiB. With takeover the pool therefore remembers which stream a context has
/// processed. While no other connection of the thread needs the context, the next message goes on with it, and may refer to
/// the whole window.
pub struct Deflater {
    /// 8 to 15.
    window_bits: u8,
    takeover: Takeover,
    /// 0 to 9.
    level: u8,
    /// `Some` from the first byte of a message in parts to its end.
    context: Option<Box<Compressor>>,
    /// With takeover the last plain text; otherwise empty.
    history: History,
    /// With takeover, from the first message on: the current position.
    position: Option<StreamPosition>,
}

impl Deflater {
    /// Creates a deflater whose window has at most 2 to the power of `window_bits` (8 to 15) bytes, at `level` 0 (stored) to 9.
    /// Values outside are taken as the nearest.
    #[must_use]
    pub fn new(window_bits: u8, takeover: Takeover, level: u8) -> Self {
        Self {
            window_bits: window_bits.clamp(8, 15),
            takeover,
            level: level.min(9),
            context: None,
            history: History::default(),
            position: None,
        }
    }

    /// Appends the compressed form of a part of a message to `output`. The last part, which may be empty, comes with
    /// [`End::Yes`]. The peer can inflate each part without waiting for the next.
    pub fn deflate(&mut self, pool: &mut Pool, input: &[u8], end: End, output: &mut Vec<u8>) {
        let start = output.len();
        if !input.is_empty() {
            let mut context = match self.context.take() {
                Some(context) => context,
                None => self.primed_context(pool),
            };
            compress(&mut context.zlib, input, output);
            self.context = Some(context);
            self.remember(input);
        }
        if end == End::No {
            return;
        }
        // RFC 7692 section 7.2.1: the tail of the last block, which is empty, is removed. If the part before has sent it already,
        // or if there was no text at all, another empty block begins with its one byte of header (section 7.2.3.6).
        if output[start..].ends_with(&TAIL) {
            output.truncate(output.len() - TAIL.len());
        } else {
            output.push(0x00);
        }
        if let Some(context) = self.context.take() {
            pool.contexts.return_deflater(context, self.next_position());
        }
    }

    /// Appends the compressed form of a whole message, if that is smaller than the message.
    ///
    /// # Panics
    ///
    /// In debug builds, if a message in parts is unfinished.
    pub fn deflate_whole(
        &mut self,
        pool: &mut Pool,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Compression {
        debug_assert!(self.context.is_none(), "a message in parts must end first");
        if input.is_empty() {
            return Compression::NotSmaller;
        }
        if self.level != 1 || input.len() > TEXT_BYTES_MAX {
            return self.deflate_with_zlib(pool, input, output);
        }
        let history = self.history.halves();
        let fast_deflate = pool.contexts.fast_deflate();
        let compression = fast_deflate.deflate(history, input, self.window_bits, output);
        if compression == Compression::Smaller {
            self.remember(input);
            // A context that was returned at the old position has not processed this message.
            if let Some(position) = &mut self.position {
                position.messages += 1;
            }
        }
        compression
    }

    fn deflate_with_zlib(
        &mut self,
        pool: &mut Pool,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Compression {
        let start = output.len();
        let mut context = self.primed_context(pool);
        compress(&mut context.zlib, input, output);
        output.truncate(output.len() - TAIL.len());
        if output.len() - start >= input.len() {
            output.truncate(start);
            // The context has processed text that the peer will never get.
            pool.contexts.return_deflater(context, None);
            return Compression::NotSmaller;
        }
        pool.contexts.return_deflater(context, self.next_position());
        self.remember(input);
        Compression::Smaller
    }

    /// Returns the bytes of memory that this direction holds, without the deflater itself: between messages 0, with takeover at
    /// most 4 KiB.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let context = match self.context {
            Some(_) => CONTEXT_BYTES,
            None => 0,
        };
        context + self.history.held_bytes()
    }

    fn primed_context(&mut self, pool: &mut Pool) -> Box<Compressor> {
        if let Some(position) = &self.position
            && let Some(context) = pool.contexts.take_deflater_at(position)
        {
            return context;
        }
        let mut context = pool.contexts.take_deflater(self.window_bits, self.level);
        for half in self.history.halves() {
            if !half.is_empty() {
                context
                    .zlib
                    .set_dictionary(half)
                    .expect("a bare stream takes a dictionary at its start");
            }
        }
        context
    }

    /// Moves to the position after this message, and returns it. Without takeover there is none.
    fn next_position(&mut self) -> Option<StreamPosition> {
        if self.takeover == Takeover::No {
            return None;
        }
        let position = self.position.get_or_insert_with(|| StreamPosition {
            direction: Arc::new(()),
            messages: 0,
        });
        position.messages += 1;
        Some(position.clone())
    }

    fn remember(&mut self, text: &[u8]) {
        if self.takeover == Takeover::Yes {
            let bytes_max = HISTORY_BYTES_MAX.min(1 << self.window_bits);
            self.history.append(text, bytes_max);
        }
    }
}

impl DeflateParams {
    /// Creates the deflater of the end `role`, at `level` 0 to 9.
    #[must_use]
    pub fn deflater(&self, role: Role, level: u8) -> Deflater {
        let (bits, takeover) = self.direction(role);
        Deflater::new(bits, takeover, level)
    }
}

/// Appends the form of a message that is compressed without context, if that is smaller than the message.
pub(crate) fn deflate_once(
    pool: &mut Pool,
    payload: &[u8],
    window_bits: u8,
    level: u8,
    output: &mut Vec<u8>,
) -> Compression {
    Deflater::new(window_bits, Takeover::No, level).deflate_whole(pool, payload, output)
}

/// Appends all of `input`, flushed, so that it ends with [`TAIL`].
fn compress(zlib: &mut zlib_rs::Deflate, input: &[u8], output: &mut Vec<u8>) {
    for given in input.chunks(GIVEN_BYTES_MAX) {
        compress_given(zlib, given, output);
    }
}

/// Compresses until no output is pending: a reset does not clear pending output (zlib-rs 0.6.8).
fn compress_given(zlib: &mut zlib_rs::Deflate, mut input: &[u8], output: &mut Vec<u8>) {
    loop {
        let start = output.len();
        let space = (input.len() + FLUSH_BYTES).min(STEP_BYTES_MAX);
        output.resize(start + space, 0);
        let (total_in, total_out) = (zlib.total_in(), zlib.total_out());
        zlib.compress(input, &mut output[start..], DeflateFlush::SyncFlush)
            .expect("an open stream takes any input");
        let produced = (zlib.total_out() - total_out) as usize;
        input = &input[(zlib.total_in() - total_in) as usize..];
        output.truncate(start + produced);
        // zlib stops when it has flushed all or when there is no space left.
        if produced < space {
            debug_assert!(input.is_empty() && output.ends_with(&TAIL));
            return;
        }
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("window_bits", &self.window_bits)
            .field("takeover", &self.takeover)
            .field("level", &self.level)
            .field("held_bytes", &self.held_bytes())
            .finish_non_exhaustive()
    }
}

/// Bytes. 64 + 64 KiB of window and chains, 128 KiB of hash table, 28 KiB of symbols, and the trees.
const CONTEXT_BYTES: usize = 290 << 10;

/// Bytes. A flush adds less than this to input that does not shrink: the ends of two blocks.
const FLUSH_BYTES: usize = 64;

/// Bytes. The most that one call of zlib may write. More saves nothing, and zeroing should stay within the fast caches.
const STEP_BYTES_MAX: usize = 32 << 10;
