//! What all connections of a run share.

use crate::cycle::{Cycle, READ_BYTES_MAX};

/// The messages, a buffer, and how both are handled.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) cycle: Cycle,
    pub(crate) buffer: Vec<u8>,
    /// Messages under way at the same time on each connection.
    pub(crate) in_flight: usize,
    /// Messages that may still be sent, over all connections.
    pub(crate) left: usize,
    pub(crate) pace: Pace,
    /// Bytes that came, where they aren't those of the payload.
    pub(crate) wire_bytes: usize,
    pub(crate) reading: Reading,
}

/// Whether an answer is followed by the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It is.
    Answering,
    /// It isn't: only what is under way still comes.
    Ending,
}

/// How answers are looked at. In all three every byte is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// When they come, to the last byte.
    Each,
    /// To the last byte, but several at a time: for small messages, one under way.
    Believing,
    /// One read of several to the last byte, of the others the length: for large messages, whose bytes would
    /// cost the load generator as much as they cost the server.
    Sampling,
}

impl Track {
    pub(crate) fn new(cycle: Cycle, in_flight: usize) -> Self {
        let is_large = cycle.expected_frame >= LARGE_BYTES_MIN;
        let is_small = cycle.expected_frame <= SMALL_BYTES_MAX;
        let reading = match in_flight {
            _ if is_large => Reading::Sampling,
            1 if is_small => Reading::Believing,
            _ => Reading::Each,
        };
        let buffer_bytes = if is_large {
            DISCARD_BYTES_MAX
        } else {
            READ_BYTES_MAX
        };
        Self {
            buffer: vec![0; buffer_bytes],
            cycle,
            in_flight,
            left: usize::MAX,
            pace: Pace::Answering,
            wire_bytes: 0,
            reading,
        }
    }
}

/// Bytes of a frame. From here on copies are most of the work.
const LARGE_BYTES_MIN: usize = 8 << 10;

/// Bytes of a frame. What is not longer comes in one piece, if it was sent in one.
const SMALL_BYTES_MAX: usize = 4 << 10;

/// Bytes of one read that is thrown away; the memory is never touched.
const DISCARD_BYTES_MAX: usize = 4 << 20;
