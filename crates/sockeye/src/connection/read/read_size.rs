//! How much is read at once.

use crate::connection::buffers;

/// Bytes. The first read of somebody who doesn't send much at a time: what is read of a large message
/// before it is known to be one is copied.
const PART_BYTES: usize = 64 << 10;

/// How much is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadSize {
    Part,
    /// All that fits the thread's buffer: many messages came at once.
    Whole,
}

impl ReadSize {
    #[inline]
    pub(crate) fn part_of(self, buffer: &mut [u8]) -> &mut [u8] {
        match self {
            Self::Part => &mut buffer[..PART_BYTES],
            Self::Whole => buffer,
        }
    }

    /// `len` bytes came, where a message of its own memory had room for `direct_max`.
    #[inline]
    pub(crate) fn handle_read(&mut self, len: usize, direct_max: usize) {
        if direct_max > buffers::READ_BYTES {
            *self = Self::Part;
        } else if len == PART_BYTES && direct_max == 0 {
            *self = Self::Whole;
        }
    }
}
