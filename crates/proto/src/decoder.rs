//! Bytes to frames, wherever the splits fall.

use core::ops::Range;

use crate::{
    ProtocolError, Role,
    frame::{CompressedBit, FrameHead, HEAD_BYTES_MAX},
    mask,
};

/// Bytes from the peer, eaten from the front and unmasked in place.
pub struct Input<'i> {
    bytes: &'i mut [u8],
    /// 0 <= position <= bytes.len(); what lies before it is eaten.
    position: usize,
}

impl<'i> Input<'i> {
    /// All of `bytes`, as they came.
    pub fn new(bytes: &'i mut [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// What hasn't been eaten yet, still masked: keep it, if you must stop, and begin with it next time.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.position..]
    }

    /// Whether all is eaten.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.position == self.bytes.len()
    }

    /// Bytes that `range`, which lies before the position, covers.
    pub(crate) fn eaten(&self, range: Range<usize>) -> &[u8] {
        debug_assert!(range.end <= self.position);
        &self.bytes[range]
    }

    pub(crate) fn discard(&mut self) {
        self.position = self.bytes.len();
    }
}

/// A piece of one frame's payload, unmasked in the input.
pub(crate) struct Chunk {
    pub(crate) head: FrameHead,
    /// Whether the frame begins with it.
    pub(crate) first: bool,
    /// Whether the frame ends with it.
    pub(crate) last: bool,
    pub(crate) range: Range<usize>,
}

/// Cuts bytes into frames. Keeps no payload: at most a header that has not come whole.
pub(crate) struct Decoder {
    sender: Role,
    bit: CompressedBit,
    /// Whether `frame`'s payload is being read; else a header is.
    within: bool,
    /// 0 <= head_len < HEAD_BYTES_MAX; the begin of a header is `head[..head_len]`.
    head_len: u8,
    head: [u8; HEAD_BYTES_MAX],
    /// While `within`: `mask` is rotated to the next payload byte, `len` is what remains.
    frame: FrameHead,
}

impl Decoder {
    pub(crate) fn new(sender: Role, bit: CompressedBit) -> Self {
        Self {
            sender,
            bit,
            within: false,
            head_len: 0,
            head: [0; HEAD_BYTES_MAX],
            frame: FrameHead {
                fin: true,
                compressed: false,
                opcode: crate::frame::Opcode::Pong,
                mask: None,
                len: 0,
            },
        }
    }

    /// Eats the next piece of a frame. `None`: all input is eaten. A frame without payload gives one
    /// empty piece. A new frame's header is shown to `admit` before any of its payload is touched.
    /// No piece is longer than `bytes_max`.
    #[inline]
    pub(crate) fn poll_chunk(
        &mut self,
        input: &mut Input<'_>,
        bytes_max: usize,
        admit: impl FnOnce(&FrameHead) -> Result<(), ProtocolError>,
    ) -> Result<Option<Chunk>, ProtocolError> {
        let first = !self.within;
        if first {
            let Some(head) = self.poll_head(input)? else {
                return Ok(None);
            };
            admit(&head)?;
            self.frame = head;
            self.within = true;
        } else if input.is_empty() {
            return Ok(None);
        }
        let start = input.position;
        let here = (input.bytes.len() - start).min(bytes_max);
        let head = self.frame;
        let last = head.len <= here as u64;
        let len = if last { head.len as usize } else { here };
        if len == 0 && !last {
            // A header came alone: it is kept in `frame`, but the frame has not begun for the reader
            // until there is a byte to see; an empty first piece says so.
            return Ok(Some(Chunk {
                head,
                first,
                last,
                range: start..start,
            }));
        }
        if let Some(key) = head.mask {
            mask::mask(&mut input.bytes[start..start + len], key);
            self.frame.mask = Some(mask::rotated(key, len));
        }
        input.position += len;
        self.frame.len -= len as u64;
        self.within = !last;
        Ok(Some(Chunk {
            head,
            first,
            last,
            range: start..start + len,
        }))
    }

    /// Whether the input ended between two frames.
    pub(crate) fn is_between_frames(&self) -> bool {
        !self.within && self.head_len == 0
    }

    /// Whether the input ended within the payload of a control frame.
    pub(crate) fn is_within_control(&self) -> bool {
        self.within && self.frame.opcode.is_control()
    }

    #[inline]
    fn poll_head(&mut self, input: &mut Input<'_>) -> Result<Option<FrameHead>, ProtocolError> {
        if self.head_len == 0
            && let Some((head, len)) = FrameHead::parse(input.rest(), self.sender, self.bit)?
        {
            input.position += len;
            return Ok(Some(head));
        }
        self.poll_split_head(input)
    }

    /// The header lies in more than one input: collect it byte by byte, which happens at most 13 times.
    #[cold]
    fn poll_split_head(
        &mut self,
        input: &mut Input<'_>,
    ) -> Result<Option<FrameHead>, ProtocolError> {
        while let Some(&byte) = input.rest().first() {
            self.head[self.head_len as usize] = byte;
            self.head_len += 1;
            input.position += 1;
            let bytes = &self.head[..self.head_len as usize];
            if let Some((head, _)) = FrameHead::parse(bytes, self.sender, self.bit)? {
                self.head_len = 0;
                return Ok(Some(head));
            }
        }
        Ok(None)
    }
}
