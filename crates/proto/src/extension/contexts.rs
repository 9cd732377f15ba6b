//! The deflate contexts of a pool.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::fmt;

use zlib_rs::{DeflateConfig, Strategy};

use super::{
    fast_deflate::FastDeflate,
    params::{WINDOW_BITS_MAX, WINDOW_BITS_MIN},
};

/// Deflate contexts that wait for their next message.
#[derive(Default)]
#[expect(
    clippy::vec_box,
    reason = "contexts travel between pool and connection; an idle connection holds 8 bytes for one"
)]
pub(super) struct Contexts {
    /// `len <= INFLATERS_MAX`. Each must be reset before its next message.
    inflaters: Vec<Box<zlib_rs::Inflate>>,
    /// `len <= DEFLATERS_MAX`; the one used last is at the end.
    deflaters: Vec<Box<Compressor>>,
    /// Compresses short messages at level 1; `None` before the first.
    fast_deflate: Option<FastDeflate>,
}

/// zlib's compressor, and the parameters that it was created with.
pub(super) struct Compressor {
    pub(super) zlib: zlib_rs::Deflate,
    /// 9 to 15.
    window_bits: u8,
    /// 0 to 9.
    level: u8,
    /// Where the stream whose text it has processed can go on with it, if all of that text was sent.
    at: Option<StreamPosition>,
}

/// A position between two messages of one stream, which is one direction of one connection.
#[derive(Clone)]
pub(super) struct StreamPosition {
    /// Compared by address, which no other stream has while this value exists.
    pub(super) direction: Arc<()>,
    /// How many messages are before this position.
    pub(super) messages: u64,
}

impl PartialEq for StreamPosition {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.direction, &other.direction) && self.messages == other.messages
    }
}

impl Contexts {
    /// Takes a decompressor at the beginning of a deflate stream, with an empty window.
    pub(super) fn take_inflater(&mut self) -> Box<zlib_rs::Inflate> {
        match self.inflaters.pop() {
            Some(mut zlib) => {
                zlib.reset(RAW);
                zlib
            }
            // All have the largest window, so that each can serve every connection.
            None => Box::new(zlib_rs::Inflate::new(RAW, WINDOW_BITS_MAX)),
        }
    }

    pub(super) fn return_inflater(&mut self, zlib: Box<zlib_rs::Inflate>) {
        if self.inflaters.len() < INFLATERS_MAX {
            self.inflaters.push(zlib);
        }
    }

    /// Returns the compressor of short messages, which keeps nothing from one message to the next.
    pub(super) fn fast_deflate(&mut self) -> &mut FastDeflate {
        self.fast_deflate.get_or_insert_with(FastDeflate::new)
    }

    /// Takes the compressor that was returned at this position, if it is still here. It needs no priming.
    pub(super) fn take_deflater_at(
        &mut self,
        position: &StreamPosition,
    ) -> Option<Box<Compressor>> {
        let is_there = |one: &Box<_>| is_at(one, position);
        let index = self.deflaters.iter().rposition(is_there)?;
        Some(self.deflaters.remove(index))
    }

    /// Takes a compressor at the beginning of a deflate stream, with an empty window. It refers back at most 2 to the power of
    /// `window_bits` (8 to 15) bytes.
    pub(super) fn take_deflater(&mut self, window_bits: u8, level: u8) -> Box<Compressor> {
        // zlib replaces a window of 256 bytes by one of 512. That is right, because the last 262 bytes of a window (the longest
        // match and the lookahead) are never referred to: no reference goes further back than 250 bytes, at any level.
        let window_bits = window_bits.max(WINDOW_BITS_MIN + 1);
        if let Some(index) = self.dispensable(window_bits) {
            let mut compressor = self.deflaters.remove(index);
            compressor.zlib.reset();
            if compressor.level != level {
                // This fails only while output is pending, and after a reset none is.
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

    /// Returns the index of a compressor with this window with which no stream can go on. If there is none and no room for
    /// another compressor, returns the index of the one that was used longest ago.
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

    /// Keeps a compressor for later. `at` is where its stream may go on with it.
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

    /// Adds the numbers of contexts to the debug output of [`super::Pool`].
    pub(super) fn debug_fields(&self, pool: &mut fmt::DebugStruct<'_, '_>) {
        pool.field("inflaters", &self.inflaters.len())
            .field("deflaters", &self.deflaters.len());
    }
}

fn is_at(compressor: &Compressor, position: &StreamPosition) -> bool {
    compressor.at.as_ref() == Some(position)
}

/// RFC 7692 uses deflate blocks without a zlib header; zlib-rs takes that as a boolean.
pub(super) const RAW: bool = false;

/// Contexts. One is in use at a time while messages arrive whole; the others are for messages that arrive in parts. Priming
/// one costs a copy of the window, less than a microsecond.
const INFLATERS_MAX: usize = 4;

/// Contexts. Priming one costs three to ten times as much as a short message, so one is kept for each of so many connections
/// with takeover that send in turn. Without takeover one serves all connections, and at level 1 only large messages need one.
const DEFLATERS_MAX: usize = 64;

/// zlib's `memLevel`, 1 to 9: a block has 2 to the power of `6 + this` symbols of 7 bytes. With 6 that is 28 KiB instead of the
/// usual 112 KiB, and the output grows by less than one per cent.
const MEMORY_LEVEL: i32 = 6;

/// Bytes. The most that zlib gets at a time, because it counts with 32 bits.
pub(super) const GIVEN_BYTES_MAX: usize = 1 << 30;
