//! The size of a read, which follows how much the peer sends.

use crate::connection::buffers;

/// Bytes of the first read of a peer that doesn't send much at a time. The part of a large message that is
/// read before its length is known is copied.
const PART_BYTES: usize = 64 << 10;

/// How much is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadSize {
    Part,
    /// The whole of the thread's buffer, after many messages came at once.
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

    /// Notes that `len` bytes came, where a message's own memory had room for `direct_max`.
    #[inline]
    pub(crate) fn handle_read(&mut self, len: usize, direct_max: usize) {
        if direct_max > buffers::READ_BYTES {
            *self = Self::Part;
        } else if len == PART_BYTES && direct_max == 0 {
            *self = Self::Whole;
        }
    }
}
