//! Plain payload in, compressed payload out (RFC 7692 section 7.2.1).

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

/// Deflates the messages of one direction, one after the other.
///
/// Memory: while idle nothing, and under context takeover at most 4 KiB of what was sent last. While a
/// message in parts is unfinished a context from the pool (290 KiB at most) as well.
///
/// At level 1 a whole message of up to 16 KiB needs no context: it is compressed by code of our own, which knows
/// what was sent last. All else is left to zlib.
///
/// A context that has to be primed costs a microsecond for each KiB that it is to know. Under takeover the
/// pool therefore remembers where it was left, and while no other connection of the thread needs it, the next
/// message goes on with it and knows the whole window.
pub struct Deflater {
    /// 8 to 15.
    window_bits: u8,
    takeover: Takeover,
    /// 0 to 9.
    level: u8,
    /// `Some` from the first byte of a message to its end.
    context: Option<Box<Compressor>>,
    /// Under takeover the last plain text; else empty.
    history: History,
    /// Under takeover, from the first message on: where we are.
    position: Option<StreamPosition>,
}

impl Deflater {
    /// A deflater whose window is at most 2 to the power of `window_bits` (8 to 15), at `level`
    /// 0 (stored) to 9. Values outside are taken as the nearest.
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

    /// Appends the compressed form of a part of a message to `output`: the last part with
    /// [`End::Yes`], which may be empty. Each part can be inflated without waiting for the next.
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
        // RFC 7692 section 7.2.1: the end of the last block, which is empty, is taken off. If the
        // part before took it along already, or if there was no text at all, another empty block
        // is begun with its one byte of header (section 7.2.3.6).
        if output[start..].ends_with(&TAIL) {
            output.truncate(output.len() - TAIL.len());
        } else {
            output.push(0x00);
        }
        if let Some(context) = self.context.take() {
            pool.contexts.return_deflater(context, self.next_position());
        }
    }

    /// Appends the compressed form of a whole message, unless that is no smaller than the message.
    ///
    /// # Panics
    ///
    /// In debug builds, if a message in parts has not ended.
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
            // A context that was left here has not seen this message.
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
            // It has seen what the peer will never see.
            pool.contexts.return_deflater(context, None);
            return Compression::NotSmaller;
        }
        pool.contexts.return_deflater(context, self.next_position());
        self.remember(input);
        Compression::Smaller
    }

    /// Bytes of memory held for this direction, without the deflater itself: 0 while idle, with
    /// takeover at most 2 to the power of `window_bits`.
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

    /// Moves on to the position after this message.
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
    /// The deflater of an endpoint in this role, at `level` 0 to 9.
    #[must_use]
    pub fn deflater(&self, role: Role, level: u8) -> Deflater {
        let (bits, takeover) = self.direction(role);
        Deflater::new(bits, takeover, level)
    }
}

/// Appends the compressed form of a message that refers to no other, unless that is no smaller than the message.
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

/// It always runs to the end: a context that is given up half way, with output pending, does not
/// become clean by a reset (zlib-rs 0.6.8).
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

/// Bytes. 64 + 64 of window and chains, 128 of hash table, 28 of symbols, and the trees.
const CONTEXT_BYTES: usize = 290 << 10;

/// Bytes. More than a flush adds to input that does not shrink: the ends of two blocks.
const FLUSH_BYTES: usize = 64;

/// Bytes. Beyond this a larger step saves nothing, and zeroing should stay within the fast caches.
const STEP_BYTES_MAX: usize = 32 << 10;
