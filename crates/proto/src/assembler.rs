//! Assembles messages from frames: joins fragments, inflates them, checks text for UTF-8 and enforces the limits.

use alloc::{string::String, vec::Vec};

use crate::{
    Limits, Message, MessageKind, ProtocolError, Violation,
    extension::{End, Inflater, Pool, Progress, emptied},
    frame::{FrameHead, HEAD_BYTES_MAX, Opcode},
    utf8::{InvalidUtf8, SplitChar, Utf8Checker},
};

/// Bytes. The most that one step of inflation may give, so that a small compressed message is inflated into the thread's
/// buffer and handed out from there.
pub(crate) const INFLATE_STEP_BYTES: usize = 64 << 10;

/// Bytes. An unfinished compressed message is inflated up to this length, however little of it has come. Most broken
/// messages are found so far in.
const INFLATE_AHEAD_BYTES: usize = 64 << 10;

/// Bytes. An unfinished compressed message is inflated further by this much for each compressed byte that has come. Text and
/// data seldom shrink more, so most messages are inflated as they arrive. What would give more waits compressed: otherwise a
/// few kilobytes of an unfinished message would hold as much memory as the largest message.
const INFLATE_AHEAD_RATIO: usize = 8;

/// Bytes. The inflation of an unfinished message waits until it may give so much: for a few bytes it costs too much.
const AHEAD_STEP_BYTES: usize = 16 << 10;

/// Bytes. The most that is reserved before any of the message has come, so that a false length costs no more.
const RESERVE_UNSEEN_BYTES: usize = 64 << 10;

/// Bytes. The most that is reserved once some of the message has come. A longer message reserves as much again as it has, so
/// that no header alone can make it reserve more.
const RESERVE_ANNOUNCED_BYTES: usize = 1 << 20;

/// Bytes. A frame with so much payload still to come is read directly into the message's memory. For less, a copy is cheaper
/// than the additional read.
const DIRECT_BYTES_MIN: u64 = 32 << 10;

/// Bytes. The most that is offered to one direct read. Memory that is used for the first time is zeroed before, which should
/// stay within the fast caches.
const DIRECT_STEP_BYTES: usize = 256 << 10;

/// Bytes. A direct read to a badly aligned address is put so far behind its place in the message: see [`Binary::lead`].
const LEAD_BYTES: usize = 64;

/// Bytes. The size of the kernel's smallest page.
const PAGE_BYTES: usize = 4 << 10;

/// Bytes. So much is moved to its place and unmasked at a time, within the first-level cache. It is a multiple of the masking
/// key's length.
const MOVE_BYTES: usize = 16 << 10;

/// How messages are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Each message when it is whole.
    #[default]
    Whole,
    /// Parts of a message as they arrive. The connection keeps none of them.
    Parts,
}

/// The unfinished message, if there is one.
///
/// ```text
///            first frame, not final             final frame
///   (none) ─────────────────────────> open ─────────────────> (none)
///      └── a whole frame: never opens     └─ more frames ─┘
/// ```
#[derive(Default)]
pub(crate) struct Assembler {
    open: Option<OpenMessage>,
}

struct OpenMessage {
    kind: MessageKind,
    compressed: bool,
    /// How many continuation frames have begun; <= `Limits::fragments_max`.
    continuations: u32,
    /// Payload bytes after inflation, handed out or kept; <= `Limits::message_bytes_max`.
    bytes: usize,
    /// Payload bytes as sent, before inflation.
    wire_bytes: u64,
    /// Compressed payload that is inflated later.
    backlog: Backlog,
    utf8: Utf8Checker,
    kept: Payload,
}

/// Where the payload is kept.
enum Payload {
    /// Nowhere: it is handed out as it arrives.
    Parts,
    /// Whole characters only; the beginning of the next one is in `OpenMessage::utf8`.
    Text(String),
    Binary(Binary),
}

/// Compressed payload that is inflated later.
#[derive(Default)]
struct Backlog {
    /// `bytes[inflated..]` is not inflated yet.
    bytes: Vec<u8>,
    /// 0 <= inflated <= bytes.len()
    inflated: usize,
}

/// A binary payload with room behind its end, into which a read may write.
#[derive(Default)]
struct Binary {
    /// Behind the payload are zeros or bytes of an earlier message, which are never handed out.
    bytes: Vec<u8>,
    /// 0 <= len <= bytes.len(); the payload is `bytes[..len]`.
    len: usize,
}

impl Assembler {
    /// Returns how the unfinished message is handed out, or `None` between messages.
    pub(crate) fn delivery(&self) -> Option<Delivery> {
        self.open.as_ref().map(|open| match open.kept {
            Payload::Parts => Delivery::Parts,
            _ => Delivery::Whole,
        })
    }

    /// Returns whether the unfinished message is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.compressed)
    }

    /// Checks the header of a data frame, before its payload is read (RFC 6455 section 5.4).
    #[inline]
    pub(crate) fn admit(&self, head: &FrameHead, limits: &Limits) -> Result<(), ProtocolError> {
        let (bytes, compressed) = match (&self.open, head.opcode) {
            (None, Opcode::Continuation) => {
                return Err(ProtocolError::Violation(Violation::StrayContinuation));
            }
            (Some(_), Opcode::Text | Opcode::Binary) => {
                return Err(ProtocolError::Violation(Violation::InterleavedMessage));
            }
            (Some(open), _) if open.continuations >= limits.fragments() => {
                return Err(ProtocolError::TooManyFragments);
            }
            (Some(open), _) => (open.bytes, open.compressed),
            (None, _) => (0, head.compressed),
        };
        if head.len > limits.frame_bytes() as u64 {
            return Err(ProtocolError::FrameTooBig);
        }
        // Of a compressed message only inflation finds the length.
        if !compressed && head.len > limits.message_bytes_max.saturating_sub(bytes) as u64 {
            return Err(ProtocolError::MessageTooBig);
        }
        Ok(())
    }

    /// Begins a message that is fragmented or not whole in the input.
    pub(crate) fn begin(&mut self, head: &FrameHead, delivery: Delivery, pool: &mut Pool) {
        let memory = match delivery {
            Delivery::Whole if !head.compressed && head.len >= DIRECT_BYTES_MIN => {
                pool.take_memory(head.len)
            }
            _ => Vec::new(),
        };
        let kind = match head.opcode {
            Opcode::Text => MessageKind::Text,
            _ => MessageKind::Binary,
        };
        self.open = Some(OpenMessage {
            kind,
            compressed: head.compressed,
            continuations: 0,
            bytes: 0,
            wire_bytes: 0,
            backlog: Backlog::default(),
            utf8: Utf8Checker::default(),
            kept: match (delivery, kind) {
                (Delivery::Parts, _) => Payload::Parts,
                (Delivery::Whole, MessageKind::Text) => Payload::Text(emptied(memory)),
                (Delivery::Whole, MessageKind::Binary) => Payload::Binary(Binary {
                    bytes: memory,
                    len: 0,
                }),
            },
        });
    }

    /// Begins a continuation frame of the unfinished message.
    pub(crate) fn begin_continuation(&mut self) {
        if let Some(open) = &mut self.open {
            open.continuations += 1;
        }
    }

    /// Keeps or checks the next payload bytes. `expected` more bytes of their frame are to come.
    pub(crate) fn handle_payload(
        &mut self,
        payload: &[u8],
        expected: u64,
        message_bytes_max: usize,
    ) -> Result<(), ProtocolError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        // The first mistake counts: bad text before the limit, or the limit.
        if !open.compressed {
            open.wire_bytes += payload.len() as u64;
        }
        let room = message_bytes_max.saturating_sub(open.bytes);
        let (payload, beyond) = payload.split_at(payload.len().min(room));
        open.bytes += payload.len();
        open.reserve(payload.len(), expected);
        match &mut open.kept {
            Payload::Binary(binary) => binary.append(payload),
            Payload::Text(text) => {
                let mut split = SplitChar::default();
                let (head, body) = open.utf8.check(payload, &mut split)?;
                text.push_str(head);
                text.push_str(body);
            }
            Payload::Parts if open.kind == MessageKind::Text => {
                open.utf8.check(payload, &mut SplitChar::default())?;
            }
            Payload::Parts => {}
        }
        match beyond {
            [] => Ok(()),
            _ => Err(ProtocolError::MessageTooBig),
        }
    }

    /// Inflates the next payload bytes. The text of a part is left in `pool.scratch`; the text of a whole message is kept
    /// here, as far as an unfinished message may be inflated.
    ///
    /// At the end of each frame everything is inflated that may be, so that the result doesn't depend on how the input was
    /// split.
    pub(crate) fn handle_compressed(
        &mut self,
        payload: &[u8],
        frame_end: End,
        end: End,
        message_bytes_max: usize,
        inflater: &mut Inflater,
        pool: &mut Pool,
    ) -> Result<(), ProtocolError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.wire_bytes += payload.len() as u64;
        let ahead_max = open.ahead_max(end);
        if frame_end == End::No && ahead_max < open.bytes.saturating_add(AHEAD_STEP_BYTES) {
            open.backlog.append(payload);
            return Ok(());
        }
        let mut backlog = core::mem::take(&mut open.backlog);
        let mut waiting = match backlog.is_empty() {
            true => payload,
            false => {
                backlog.append(payload);
                backlog.waiting()
            }
        };
        let limits = (message_bytes_max, ahead_max);
        let result = self.inflate(&mut waiting, end, limits, inflater, pool);
        let left = waiting.len();
        if let Some(open) = &mut self.open {
            match backlog.is_empty() {
                true => backlog.append(&payload[payload.len() - left..]),
                false => backlog.keep(left),
            }
            open.backlog = backlog;
        }
        result
    }

    /// Inflates `input` until the message exceeds the first of the two limits or would exceed the second.
    fn inflate(
        &mut self,
        input: &mut &[u8],
        end: End,
        (message_bytes_max, ahead_max): (usize, usize),
        inflater: &mut Inflater,
        pool: &mut Pool,
    ) -> Result<(), ProtocolError> {
        let mut scratch = pool.take_scratch();
        let parts = self.delivery() == Some(Delivery::Parts);
        let result = loop {
            let seen = self.open.as_ref().map_or(0, |open| open.bytes);
            // One byte over the limit is enough to know that the message exceeds it.
            let room = message_bytes_max.saturating_sub(seen).saturating_add(1);
            let step = match parts {
                true => room,
                false => room
                    .min(INFLATE_STEP_BYTES)
                    .min(ahead_max.saturating_sub(seen)),
            };
            if step == 0 {
                break Ok(());
            }
            let progress = inflater.inflate(pool, input, end, &mut scratch, step);
            // Text before an error is checked before the error is returned, so that the result doesn't depend on how the
            // payload was split.
            if let Err(error) = self.handle_payload(&scratch, 0, message_bytes_max) {
                break Err(error);
            }
            match progress {
                Ok(Progress::Full) => scratch.clear(),
                Ok(Progress::NeedInput | Progress::End) => break Ok(()),
                Err(_) => break Err(ProtocolError::InvalidDeflate),
            }
        };
        pool.scratch = scratch;
        result
    }

    /// Ends the message, and returns it if it was kept.
    pub(crate) fn finish(&mut self) -> Result<Option<Message<'static>>, ProtocolError> {
        let Some(mut open) = self.open.take() else {
            return Ok(None);
        };
        if open.kind == MessageKind::Text {
            open.utf8.finish()?;
        }
        Ok(match open.kept {
            Payload::Parts => None,
            Payload::Text(text) => Some(Message::from(text)),
            Payload::Binary(binary) => Some(Message::from(binary.into_bytes())),
        })
    }

    /// Returns memory into which the next payload bytes may be read directly, or `None` if they must come as input.
    /// `expected` more bytes of their frame are to come.
    pub(crate) fn payload_buffer(&mut self, expected: u64) -> Option<&mut [u8]> {
        let Some(open) = &mut self.open else {
            return None;
        };
        if open.compressed || expected < DIRECT_BYTES_MIN {
            return None;
        }
        open.reserve(0, expected.saturating_add(LEAD_BYTES as u64));
        match &mut open.kept {
            Payload::Binary(binary) => Some(binary.room(expected)),
            _ => None,
        }
    }

    /// Keeps `len` bytes that were read into [`Assembler::payload_buffer`]. `unmask` gets them in pieces; the length of each
    /// but the last is a multiple of four.
    pub(crate) fn commit(&mut self, len: usize, unmask: impl FnMut(&mut [u8])) {
        if let Some(open) = &mut self.open
            && let Payload::Binary(binary) = &mut open.kept
        {
            binary.settle(len, unmask);
            open.bytes += len;
            open.wire_bytes += len as u64;
        }
    }

    /// Returns the kind of the unfinished message.
    pub(crate) fn kind(&self) -> MessageKind {
        self.open
            .as_ref()
            .map_or(MessageKind::Binary, |open| open.kind)
    }

    /// Returns how many payload bytes of the unfinished message have come, as sent; 0 between messages.
    pub(crate) fn wire_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.wire_bytes)
    }

    /// Returns the bytes of memory for the payload that is kept. Memory that is reserved and not yet written costs nothing.
    pub(crate) fn buffered_bytes(&self) -> usize {
        let Some(open) = &self.open else {
            return 0;
        };
        let kept = match &open.kept {
            Payload::Parts => 0,
            Payload::Text(text) => text.len(),
            Payload::Binary(binary) => binary.bytes.len(),
        };
        kept + open.backlog.bytes.len()
    }
}

impl OpenMessage {
    /// Returns the length up to which the message may be inflated now.
    fn ahead_max(&self, end: End) -> usize {
        let is_kept = !matches!(self.kept, Payload::Parts);
        match end {
            End::No if is_kept => usize::try_from(self.wire_bytes)
                .unwrap_or(usize::MAX)
                .saturating_mul(INFLATE_AHEAD_RATIO)
                .saturating_add(INFLATE_AHEAD_BYTES),
            _ => usize::MAX,
        }
    }

    /// Reserves memory for `now` bytes and for some of those that are to come: few at first, more once some have come.
    fn reserve(&mut self, now: usize, expected: u64) {
        let believed = if self.bytes >= RESERVE_UNSEEN_BYTES {
            RESERVE_ANNOUNCED_BYTES.max(self.bytes)
        } else {
            RESERVE_UNSEEN_BYTES
        };
        let announced = usize::try_from(expected)
            .unwrap_or(usize::MAX)
            .saturating_add(now);
        let wanted = announced.min(believed).max(now);
        match &mut self.kept {
            Payload::Text(text) if text.capacity() - text.len() < wanted => text.reserve(wanted),
            Payload::Binary(binary) if binary.bytes.capacity() - binary.len < wanted => {
                let ready = binary.bytes.len() - binary.len;
                binary.bytes.reserve(wanted - ready);
            }
            _ => {}
        }
    }
}

/// Moves what is behind the first `lead` bytes to the beginning, and unmasks it there, in pieces of [`MOVE_BYTES`]. With a
/// `lead` of 0 it unmasks everything at once.
fn pull(bytes: &mut [u8], lead: usize, mut unmask: impl FnMut(&mut [u8])) {
    if lead == 0 {
        return unmask(bytes);
    }
    let end = bytes.len() - lead;
    for start in (0..end).step_by(MOVE_BYTES) {
        let piece = start..end.min(start + MOVE_BYTES);
        bytes.copy_within(piece.start + lead..piece.end + lead, start);
        unmask(&mut bytes[piece]);
    }
}

impl Backlog {
    fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    fn waiting(&self) -> &[u8] {
        &self.bytes[self.inflated..]
    }

    fn append(&mut self, payload: &[u8]) {
        // On average each byte is moved at most once.
        if self.inflated > self.bytes.len() / 2 {
            self.bytes.drain(..self.inflated);
            self.inflated = 0;
        }
        self.bytes.extend_from_slice(payload);
    }

    /// Marks all but the last `left` bytes as inflated.
    fn keep(&mut self, left: usize) {
        match left {
            0 => *self = Self::default(),
            _ => self.inflated = self.bytes.len() - left,
        }
    }
}

impl Binary {
    fn append(&mut self, payload: &[u8]) {
        let ready = &mut self.bytes[self.len..];
        let (here, beyond) = payload.split_at(payload.len().min(ready.len()));
        ready[..here.len()].copy_from_slice(here);
        self.bytes.extend_from_slice(beyond);
        self.len += payload.len();
    }

    /// Returns room for some of the `expected` bytes, within what is reserved.
    fn room(&mut self, expected: u64) -> &mut [u8] {
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        let begin = self.len + self.lead();
        let reserved = self.bytes.capacity() - begin;
        let step = reserved.min(expected).min(DIRECT_STEP_BYTES);
        if self.bytes.len() < begin + step {
            self.bytes.resize(begin + step, 0);
        }
        let room = &mut self.bytes[begin..];
        let len = room.len().min(expected);
        &mut room[..len]
    }

    /// Adds `len` bytes that were written into [`Binary::room`] to the payload.
    fn settle(&mut self, len: usize, unmask: impl FnMut(&mut [u8])) {
        let lead = self.lead();
        let target = &mut self.bytes[self.len..];
        self.len += len;
        pull(&mut target[..lead + len], lead, unmask);
    }

    /// Returns how far behind its place in the message a read puts its bytes: 0 or [`LEAD_BYTES`].
    ///
    /// Processors that copy with `rep movsb` do so at a sixteenth of their speed if, modulo the size of a page, the target is
    /// up to fifteen bytes behind the source (measured on AMD's Zen 4). This happens when a local sender's kernel has put a
    /// frame with the longest header at the beginning of a page, and the allocator has put our memory sixteen bytes behind
    /// the beginning of one, as it does with what it maps. A few bytes further on the copy is fast. Unmasking passes over
    /// the bytes anyway and moves them to their place.
    fn lead(&self) -> usize {
        let into_page = self.bytes.as_ptr().addr() % PAGE_BYTES;
        match into_page > HEAD_BYTES_MAX && into_page < HEAD_BYTES_MAX + 16 {
            true => LEAD_BYTES,
            false => 0,
        }
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.len);
        self.bytes
    }
}

impl From<InvalidUtf8> for ProtocolError {
    fn from(_: InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_payload_behind_its_place_is_moved_there_and_unmasked() {
        for len in [0, 1, 63, 64, 65, MOVE_BYTES, 3 * MOVE_BYTES + 5] {
            for lead in [0, LEAD_BYTES] {
                let payload: Vec<u8> = (0..len).map(|index| (index * 7 / 5) as u8).collect();
                let mut bytes = vec![0xaa; lead];
                bytes.extend_from_slice(&payload);
                let key = [1, 2, 3, 4];
                crate::mask::mask(&mut bytes[lead..], key);
                pull(&mut bytes, lead, |piece| crate::mask::mask(piece, key));
                assert!(bytes[..len] == payload, "{len} bytes, {lead} ahead");
            }
        }
    }
}
