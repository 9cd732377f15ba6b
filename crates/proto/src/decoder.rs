//! Bytes to frames, wherever the splits fall.

use crate::{
    ProtocolError, Role,
    frame::{CONTROL_BYTES_MAX, CompressedBit, FrameHead, HEAD_BYTES_MAX},
    mask,
};

/// Bytes from the peer, eaten from the front and unmasked in place.
pub struct Input<'i> {
    /// What hasn't been eaten, still masked.
    rest: &'i mut [u8],
}

impl<'i> Input<'i> {
    /// All of `bytes`, as they came.
    #[inline]
    pub fn new(bytes: &'i mut [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What hasn't been eaten yet, still masked: keep it, if you must stop, and begin with it next time.
    #[must_use]
    #[inline]
    pub fn rest(&self) -> &[u8] {
        self.rest
    }

    /// The same, for as long as the bytes live.
    #[must_use]
    #[inline]
    pub fn into_rest(self) -> &'i [u8] {
        self.rest
    }

    /// Whether all is eaten.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Eats a frame if it is whole, a whole message, masked, uncompressed and not longer than 125 bytes:
    /// what most frames are that a server reads. Its first byte, its masking key, its payload as it came.
    #[inline(always)]
    pub(crate) fn take_short_message(
        &mut self,
        bytes_max: usize,
    ) -> Option<(u8, [u8; 4], &'i mut [u8])> {
        let (&[first, second], after) = self.rest.split_first_chunk()?;
        let (&key, after) = after.split_first_chunk()?;
        // The mask bit taken off; without it, the length seems to be over 127.
        let len = usize::from(second ^ 0x80);
        let is_message = first == TEXT || first == BINARY;
        if !is_message || len > CONTROL_BYTES_MAX.min(bytes_max) || len > after.len() {
            return None;
        }
        Some((first, key, &mut self.take_some(6 + len)[6..]))
    }

    /// The same for 126 bytes and more.
    #[inline(always)]
    pub(crate) fn take_long_message(
        &mut self,
        bytes_max: usize,
    ) -> Option<(u8, [u8; 4], &'i mut [u8])> {
        let (&[first, second], after) = self.rest.split_first_chunk()?;
        if second != MASKED_16_BITS {
            return self.take_huge_message(bytes_max);
        }
        let (&len, after) = after.split_first_chunk()?;
        let (&key, after) = after.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes(len));
        let is_message = first == TEXT || first == BINARY;
        // Section 5.2: the minimal number of bytes must be used.
        if !is_message || len <= CONTROL_BYTES_MAX || len > bytes_max || len > after.len() {
            return None;
        }
        Some((first, key, &mut self.take_some(8 + len)[8..]))
    }

    /// The same for 64 KiB and more.
    #[inline(never)]
    fn take_huge_message(&mut self, bytes_max: usize) -> Option<(u8, [u8; 4], &'i mut [u8])> {
        let (&[first, second], after) = self.rest.split_first_chunk()?;
        let (&len, after) = after.split_first_chunk()?;
        let (&key, after) = after.split_first_chunk()?;
        let len = usize::try_from(u64::from_be_bytes(len)).ok()?;
        let is_message = (first == TEXT || first == BINARY) && second == MASKED_64_BITS;
        // As above.
        if !is_message || len <= u16::MAX.into() || len > bytes_max || len > after.len() {
            return None;
        }
        Some((first, key, &mut self.take_some(14 + len)[14..]))
    }

    /// Eats `count` bytes; there must be so many.
    #[inline(always)]
    fn take_some(&mut self, count: usize) -> &'i mut [u8] {
        let (taken, rest) = core::mem::take(&mut self.rest).split_at_mut(count);
        self.rest = rest;
        taken
    }

    /// Eats `count` bytes, if there are so many.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Option<&'i mut [u8]> {
        if count > self.rest.len() {
            return None;
        }
        Some(self.take_some(count))
    }

    pub(crate) fn discard(&mut self) {
        self.rest = &mut [];
    }
}

/// First byte of a text frame that is a whole message: FIN and the opcode.
pub(crate) const TEXT: u8 = 0x81;

/// First byte of a binary frame that is a whole message.
pub(crate) const BINARY: u8 = 0x82;

/// Second byte of a masked frame whose length follows in two bytes (section 5.2).
const MASKED_16_BITS: u8 = 0x80 | 126;

/// The same in eight bytes.
const MASKED_64_BITS: u8 = 0x80 | 127;

/// A frame that was whole in the input, its payload unmasked.
pub(crate) struct WholeFrame<'i> {
    pub(crate) head: FrameHead,
    pub(crate) payload: &'i [u8],
}

/// A piece of one frame's payload, unmasked in the input.
pub(crate) struct Chunk<'i> {
    pub(crate) head: FrameHead,
    /// Whether the frame begins with it.
    pub(crate) first: bool,
    /// Whether the frame ends with it.
    pub(crate) last: bool,
    pub(crate) payload: &'i [u8],
}

/// What all frames of one connection have in common.
#[derive(Clone, Copy)]
pub(crate) struct FrameRules {
    pub(crate) sender: Role,
    pub(crate) bit: CompressedBit,
}

impl FrameRules {
    #[inline]
    fn parse(self, bytes: &[u8]) -> Result<Option<(FrameHead, usize)>, ProtocolError> {
        FrameHead::parse(bytes, self.sender, self.bit)
    }

    /// Eats the next frame if it is whole in the input and if `admit` wants it whole; else eats
    /// nothing. Its header is shown to `admit` before any of its payload is touched.
    #[inline]
    pub(crate) fn whole_frame<'i>(
        self,
        input: &mut Input<'i>,
        admit: impl FnOnce(&FrameHead) -> Result<bool, ProtocolError>,
    ) -> Result<Option<WholeFrame<'i>>, ProtocolError> {
        let Some((head, head_bytes)) = self.parse(input.rest)? else {
            return Ok(None);
        };
        if !admit(&head)? || head.len > (input.rest.len() - head_bytes) as u64 {
            return Ok(None);
        }
        let Some(frame) = input.take(head_bytes + head.len as usize) else {
            return Ok(None);
        };
        let payload = &mut frame[head_bytes..];
        if let Some(key) = head.mask {
            mask::mask(payload, key);
        }
        Ok(Some(WholeFrame { head, payload }))
    }
}

/// Cuts bytes into frames. Keeps no payload: at most a header that has not come whole.
pub(crate) struct Decoder {
    rules: FrameRules,
    /// Whether `frame`'s payload is being read; else a header is.
    within: bool,
    /// 0 <= head_len < HEAD_BYTES_MAX; the begin of a header is `head[..head_len]`.
    head_len: u8,
    head: [u8; HEAD_BYTES_MAX],
    /// While `within`: `mask` is rotated to the next payload byte, `len` is what remains.
    frame: FrameHead,
}

impl Decoder {
    pub(crate) fn new(rules: FrameRules) -> Self {
        Self {
            rules,
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
    pub(crate) fn poll_chunk<'i>(
        &mut self,
        input: &mut Input<'i>,
        bytes_max: usize,
        admit: impl FnOnce(&FrameHead) -> Result<(), ProtocolError>,
    ) -> Result<Option<Chunk<'i>>, ProtocolError> {
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
        let here = input.rest.len().min(bytes_max);
        let head = self.frame;
        let last = head.len <= here as u64;
        let len = if last { head.len as usize } else { here };
        // Of a header that came alone the frame is kept in `frame`; for the reader it begins with
        // this empty first piece.
        let payload = input.take(len).unwrap_or_default();
        if let Some(key) = head.mask {
            mask::mask(payload, key);
            self.frame.mask = Some(mask::rotated(key, len));
        }
        self.frame.len -= len as u64;
        self.within = !last;
        Ok(Some(Chunk {
            head,
            first,
            last,
            payload,
        }))
    }

    /// Payload bytes that the frame under way still brings; 0 between frames.
    pub(crate) fn expected(&self) -> u64 {
        if self.within { self.frame.len } else { 0 }
    }

    /// `len` bytes of the frame under way went by another way: unmasked with the key that this gives, if
    /// any. Whether the frame's message ends with them.
    pub(crate) fn pass(&mut self, len: usize) -> (Option<[u8; 4]>, bool) {
        let key = self.frame.mask;
        self.frame.mask = key.map(|key| mask::rotated(key, len));
        self.frame.len -= len as u64;
        self.within = self.frame.len > 0;
        (key, self.frame.fin && !self.within)
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
            && let Some((head, head_bytes)) = self.rules.parse(input.rest)?
        {
            input.take(head_bytes);
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
        while let Some(&mut [byte]) = input.take(1) {
            self.head[self.head_len as usize] = byte;
            self.head_len += 1;
            let bytes = &self.head[..self.head_len as usize];
            if let Some((head, _)) = self.rules.parse(bytes)? {
                self.head_len = 0;
                return Ok(Some(head));
            }
        }
        Ok(None)
    }
}
