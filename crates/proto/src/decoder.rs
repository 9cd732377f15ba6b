//! Cuts bytes into frames, however the input was split.

use crate::{
    ProtocolError, Role,
    frame::{CONTROL_BYTES_MAX, CompressedBit, FrameHead, HEAD_BYTES_MAX},
    mask,
};

/// Bytes from the peer. They are consumed from the front and unmasked in place.
pub struct Input<'i> {
    /// What is not consumed yet, still masked.
    rest: &'i mut [u8],
}

impl<'i> Input<'i> {
    /// Creates an input of all `bytes`, as they were received.
    #[inline]
    pub fn new(bytes: &'i mut [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns what is not consumed yet, still masked. A caller that stops early keeps it and begins with it next time.
    #[must_use]
    #[inline]
    pub fn rest(&self) -> &[u8] {
        self.rest
    }

    /// Returns what [`Input::rest`] returns, for the lifetime of the bytes.
    #[must_use]
    #[inline]
    pub fn into_rest(self) -> &'i [u8] {
        self.rest
    }

    /// Returns whether everything is consumed.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Consumes the next frame if it is whole in the input and is a whole message, masked, uncompressed and at most 125 bytes
    /// long, as most frames are that a server reads. Returns its first byte, its masking key and its masked payload.
    #[inline(always)]
    pub(crate) fn take_short_message(
        &mut self,
        bytes_max: usize,
    ) -> Option<(u8, [u8; 4], &'i mut [u8])> {
        let (&[first, second], after) = self.rest.split_first_chunk()?;
        let (&key, after) = after.split_first_chunk()?;
        // This clears the mask bit. In an unmasked frame it sets it, and the length is over 127.
        let len = usize::from(second ^ 0x80);
        let is_message = first == TEXT || first == BINARY;
        if !is_message || len > CONTROL_BYTES_MAX.min(bytes_max) || len > after.len() {
            return None;
        }
        Some((first, key, &mut self.take_some(6 + len)[6..]))
    }

    /// Consumes the next frame like [`Input::take_short_message`], but one of 126 bytes or more.
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

    /// Consumes the next frame like [`Input::take_short_message`], but one of 64 KiB or more.
    #[inline(never)]
    fn take_huge_message(&mut self, bytes_max: usize) -> Option<(u8, [u8; 4], &'i mut [u8])> {
        let (&[first, second], after) = self.rest.split_first_chunk()?;
        let (&len, after) = after.split_first_chunk()?;
        let (&key, after) = after.split_first_chunk()?;
        let len = usize::try_from(u64::from_be_bytes(len)).ok()?;
        let is_message = (first == TEXT || first == BINARY) && second == MASKED_64_BITS;
        // Section 5.2: the minimal number of bytes must be used.
        if !is_message || len <= u16::MAX.into() || len > bytes_max || len > after.len() {
            return None;
        }
        Some((first, key, &mut self.take_some(14 + len)[14..]))
    }

    /// Consumes `count` bytes; there must be so many.
    #[inline(always)]
    fn take_some(&mut self, count: usize) -> &'i mut [u8] {
        let (taken, rest) = core::mem::take(&mut self.rest).split_at_mut(count);
        self.rest = rest;
        taken
    }

    /// Consumes `count` bytes, if there are so many.
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

/// The first byte of a text frame that is a whole message: FIN and the opcode.
pub(crate) const TEXT: u8 = 0x81;

/// The first byte of a binary frame that is a whole message.
pub(crate) const BINARY: u8 = 0x82;

/// The second byte of a masked frame whose length follows in two bytes (section 5.2).
const MASKED_16_BITS: u8 = 0x80 | 126;

/// The second byte of a masked frame whose length follows in eight bytes (section 5.2).
const MASKED_64_BITS: u8 = 0x80 | 127;

/// A frame that was whole in the input, its payload unmasked.
pub(crate) struct WholeFrame<'i> {
    pub(crate) head: FrameHead,
    pub(crate) payload: &'i [u8],
}

/// A piece of one frame's payload, unmasked in the input.
pub(crate) struct Chunk<'i> {
    pub(crate) head: FrameHead,
    /// Whether it is the first piece of its frame.
    pub(crate) first: bool,
    /// Whether it is the last piece of its frame.
    pub(crate) last: bool,
    pub(crate) payload: &'i [u8],
}

/// The rules that all frames of one peer must follow.
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

    /// Consumes the next frame if it is whole in the input and `admit` returns `true`; otherwise consumes nothing. `admit`
    /// gets the header before any of the payload is unmasked.
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

/// Cuts bytes into frames. It keeps no payload, only a header that is not whole yet.
pub(crate) struct Decoder {
    rules: FrameRules,
    /// Whether the next byte belongs to the payload of `frame`; otherwise it belongs to a header.
    within: bool,
    /// 0 <= head_len < HEAD_BYTES_MAX; `head[..head_len]` is the beginning of a header.
    head_len: u8,
    head: [u8; HEAD_BYTES_MAX],
    /// While `within`: its `mask` is rotated to the next payload byte, its `len` is what remains.
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

    /// Consumes the next piece of a frame, at most `bytes_max` of payload. Returns `None` if all input is consumed.
    ///
    /// A frame without payload gives one empty piece. `admit` gets the header of a new frame before any of its payload is
    /// unmasked.
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
        // After a header that came alone the first piece is empty.
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

    /// Returns how many payload bytes of the current frame are still to come; 0 between frames.
    pub(crate) fn expected(&self) -> u64 {
        if self.within { self.frame.len } else { 0 }
    }

    /// Skips `len` payload bytes of the current frame, which the caller read past the decoder. Returns the key to unmask them
    /// with, if any, and whether the message ends with them.
    pub(crate) fn pass(&mut self, len: usize) -> (Option<[u8; 4]>, bool) {
        let key = self.frame.mask;
        self.frame.mask = key.map(|key| mask::rotated(key, len));
        self.frame.len -= len as u64;
        self.within = self.frame.len > 0;
        (key, self.frame.fin && !self.within)
    }

    /// Returns whether the next byte begins a frame.
    pub(crate) fn is_between_frames(&self) -> bool {
        !self.within && self.head_len == 0
    }

    /// Returns whether the next byte belongs to the payload of a control frame.
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

    /// Collects a header that lies in more than one input, byte by byte: at most 14 of them.
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
