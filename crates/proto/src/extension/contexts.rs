//! Deflate contexts that wait for their next message.

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
    /// `len <= INFLATERS_MAX`. Their state is whatever their last message left.
    inflaters: Vec<Box<zlib_rs::Inflate>>,
    /// `len <= DEFLATERS_MAX`, the one used last at the end. Their state is whatever was left.
    deflaters: Vec<Box<Compressor>>,
    /// For short messages at level 1; `None` until there is one.
    fast_deflate: Option<FastDeflate>,
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

impl Contexts {
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

    /// Adds how many contexts there are to what [`super::Pool`] shows of itself.
    pub(super) fn debug_fields(&self, pool: &mut fmt::DebugStruct<'_, '_>) {
        pool.field("inflaters", &self.inflaters.len())
            .field("deflaters", &self.deflaters.len());
    }
}

fn is_at(compressor: &Compressor, position: &StreamPosition) -> bool {
    compressor.at.as_ref() == Some(position)
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

/// zlib's 1 to 9: 2 to the power of `6 + this` symbols per block, at 7 bytes each. 6 is 28 KiB
/// instead of zlib's usual 112 KiB, and costs less than one per cent of size.
const MEMORY_LEVEL: i32 = 6;

/// Bytes. zlib counts what it is given with 32 bits.
pub(super) const GIVEN_BYTES_MAX: usize = 1 << 30;
