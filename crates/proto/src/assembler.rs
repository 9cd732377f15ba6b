//! Frames to messages: fragments joined, inflated, checked for UTF-8, counted against the limits.

use alloc::{string::String, vec::Vec};

use crate::{
    Limits, Message, MessageKind, ProtocolError, Violation,
    extension::{End, Inflater, Pool, Progress, emptied},
    frame::{FrameHead, HEAD_BYTES_MAX, Opcode},
    utf8::{InvalidUtf8, SplitChar, Utf8Checker},
};

/// Bytes. What one step of inflation may give, so that a small compressed message is inflated into
/// the thread's buffer and handed out from there.
pub(crate) const INFLATE_STEP_BYTES: usize = 64 << 10;

/// Bytes. How far a compressed message is inflated ahead of its end, whatever has come of it: enough to find out soon
/// that most are wrong, if they are.
const INFLATE_AHEAD_BYTES: usize = 64 << 10;

/// How many bytes are inflated ahead of a message's end for each compressed one that has come: as many as text and
/// data usually give, so that most messages are inflated as they come. What gives more waits as it came. Otherwise a
/// few kilobytes that never end would hold as much memory as the largest message.
const INFLATE_AHEAD_RATIO: usize = 8;

/// Bytes. With room for less, ahead of a message's end, inflation waits: for a few bytes it costs too much.
const AHEAD_STEP_BYTES: usize = 16 << 10;

/// Bytes. What a message may reserve before any of it has come: a lie in a header costs no more.
const RESERVE_UNSEEN_BYTES: usize = 64 << 10;

/// Bytes. What a message may reserve once some of it has come: beyond it a message
/// reserves as much again as it has, so that no header can ask for memory that isn't there.
const RESERVE_ANNOUNCED_BYTES: usize = 1 << 20;

/// Bytes of payload that a frame must still bring so that its message is built in recycled memory and
/// read into directly. To copy less costs less than the read that is spared by taking it along with
/// whatever follows.
const DIRECT_BYTES_MIN: u64 = 32 << 10;

/// Bytes. What is made ready at a time to be read into: zeroed first if nobody has used it before, which
/// should happen in the nearer caches.
const DIRECT_STEP_BYTES: usize = 256 << 10;

/// Bytes. How far behind its place in the message a payload is put that is read into directly and would lie
/// badly: see [`Binary::lead`].
const LEAD_BYTES: usize = 64;

/// Bytes. The smallest of the kernel's pages.
const PAGE_BYTES: usize = 4 << 10;

/// Bytes. What is moved to its place and unmasked at a time, within the nearest cache. A multiple of the
/// masking key's length.
const MOVE_BYTES: usize = 16 << 10;

/// How messages are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// When they are whole.
    #[default]
    Whole,
    /// As their bytes arrive; the connection keeps none of them.
    Parts,
}

/// The message under way, if any.
///
/// ```text
///            first frame, not final             final frame
///   (none) ─────────────────────────> OpenMessage ─────────────────> (none)
///      └── a whole frame: never opens     └─ more frames ─┘
/// ```
#[derive(Default)]
pub(crate) struct Assembler {
    open: Option<OpenMessage>,
}

struct OpenMessage {
    kind: MessageKind,
    compressed: bool,
    /// Continuation frames begun; <= `Limits::fragments_max`.
    continuations: u32,
    /// Payload bytes after inflation, handed out or kept; <= `Limits::message_bytes_max`.
    bytes: usize,
    /// Payload bytes as they came.
    wire_bytes: u64,
    /// Of a compressed message: what isn't inflated yet.
    backlog: Backlog,
    utf8: Utf8Checker,
    gathered: Payload,
}

/// Where the payload is kept.
enum Payload {
    /// Nowhere: it is handed out as it comes.
    Parts,
    /// Whole characters only; the begin of the next one is in `OpenMessage::utf8`.
    Text(String),
    Binary(Binary),
}

/// Compressed payload that is inflated later.
#[derive(Default)]
struct Backlog {
    /// `bytes[inflated..]` waits.
    bytes: Vec<u8>,
    /// 0 <= inflated <= bytes.len()
    inflated: usize,
}

/// A binary payload that may be written to beyond its end.
#[derive(Default)]
struct Binary {
    /// Behind the payload: zeros, or what is left of another message. Never handed out.
    bytes: Vec<u8>,
    /// 0 <= len <= bytes.len(); the payload is `bytes[..len]`.
    len: usize,
}

impl Assembler {
    /// Whether a message is under way, and how it is being handed out.
    pub(crate) fn delivery(&self) -> Option<Delivery> {
        self.open.as_ref().map(|open| match open.gathered {
            Payload::Parts => Delivery::Parts,
            _ => Delivery::Whole,
        })
    }

    /// Whether the open message is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.compressed)
    }

    /// Judges a data frame by its header, before its payload (RFC 6455 section 5.4).
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
        // A compressed length says nothing of the message's, which inflation will find.
        if !compressed && head.len > limits.message_bytes_max.saturating_sub(bytes) as u64 {
            return Err(ProtocolError::MessageTooBig);
        }
        Ok(())
    }

    /// A message begins that is not whole in its first frame, or not whole in the input.
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
            gathered: match (delivery, kind) {
                (Delivery::Parts, _) => Payload::Parts,
                (Delivery::Whole, MessageKind::Text) => Payload::Text(emptied(memory)),
                (Delivery::Whole, MessageKind::Binary) => Payload::Binary(Binary {
                    bytes: memory,
                    len: 0,
                }),
            },
        });
    }

    /// A continuation of the open message begins.
    pub(crate) fn begin_continuation(&mut self) {
        if let Some(open) = &mut self.open {
            open.continuations += 1;
        }
    }

    /// Keeps or checks the next payload bytes. `expected` more are announced.
    pub(crate) fn handle_payload(
        &mut self,
        payload: &[u8],
        expected: u64,
        message_bytes_max: usize,
    ) -> Result<(), ProtocolError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        // What comes first counts: bad text before the limit, or the limit.
        if !open.compressed {
            open.wire_bytes += payload.len() as u64;
        }
        let room = message_bytes_max.saturating_sub(open.bytes);
        let (payload, beyond) = payload.split_at(payload.len().min(room));
        open.bytes += payload.len();
        open.reserve(payload.len(), expected);
        match &mut open.gathered {
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

    /// Inflates the next payload bytes. In parts, what came out lies in `pool.scratch`; in whole
    /// messages it is kept here, and what is far ahead of the message's end isn't inflated yet. At the end of each
    /// frame it is inflated as far as may be, so that it doesn't matter how the frame was cut.
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

    /// Inflates `input` until the message is longer than the first of `limits`, or would be longer than the second.
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
            // One byte over the limit is enough to know that it is broken.
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
            // Text before an error is checked before the error is told, so that it doesn't matter
            // how the payload was cut.
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

    /// The message's last byte is in: hands it out if it was kept.
    pub(crate) fn finish(&mut self) -> Result<Option<Message<'static>>, ProtocolError> {
        let Some(mut open) = self.open.take() else {
            return Ok(None);
        };
        if open.kind == MessageKind::Text {
            open.utf8.finish()?;
        }
        Ok(match open.gathered {
            Payload::Parts => None,
            Payload::Text(text) => Some(Message::from(text)),
            Payload::Binary(binary) => Some(Message::from(binary.into_bytes())),
        })
    }

    /// Where the next payload bytes may be put as they come, if they are to lie there as they are.
    /// `expected` more are announced.
    pub(crate) fn payload_buffer(&mut self, expected: u64) -> Option<&mut [u8]> {
        let Some(open) = &mut self.open else {
            return None;
        };
        if open.compressed || expected < DIRECT_BYTES_MIN {
            return None;
        }
        open.reserve(0, expected.saturating_add(LEAD_BYTES as u64));
        match &mut open.gathered {
            Payload::Binary(binary) => Some(binary.room(expected)),
            _ => None,
        }
    }

    /// `len` bytes were put where [`Assembler::payload_buffer`] said: shows them to `unmask`, in pieces of a multiple
    /// of four bytes but for the last, and keeps them.
    pub(crate) fn commit(&mut self, len: usize, unmask: impl FnMut(&mut [u8])) {
        if let Some(open) = &mut self.open
            && let Payload::Binary(binary) = &mut open.gathered
        {
            binary.settle(len, unmask);
            open.bytes += len;
            open.wire_bytes += len as u64;
        }
    }

    /// The kind of the open message.
    pub(crate) fn kind(&self) -> MessageKind {
        self.open
            .as_ref()
            .map_or(MessageKind::Binary, |open| open.kind)
    }

    /// Payload bytes of the open message that have come, as on the wire; 0 if none is open.
    pub(crate) fn wire_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.wire_bytes)
    }

    /// Bytes of memory for the payload that is kept, as far as it has been touched: what is reserved beyond costs nothing.
    pub(crate) fn buffered_bytes(&self) -> usize {
        let Some(open) = &self.open else {
            return 0;
        };
        let gathered = match &open.gathered {
            Payload::Parts => 0,
            Payload::Text(text) => text.len(),
            Payload::Binary(binary) => binary.bytes.len(),
        };
        gathered + open.backlog.bytes.len()
    }
}

impl OpenMessage {
    /// Up to which length the message may be inflated now.
    fn ahead_max(&self, end: End) -> usize {
        let is_kept = !matches!(self.gathered, Payload::Parts);
        match end {
            End::No if is_kept => usize::try_from(self.wire_bytes)
                .unwrap_or(usize::MAX)
                .saturating_mul(INFLATE_AHEAD_RATIO)
                .saturating_add(INFLATE_AHEAD_BYTES),
            _ => usize::MAX,
        }
    }

    /// Makes room: for little at first, for what is announced once some of it has come.
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
        match &mut self.gathered {
            Payload::Text(text) if text.capacity() - text.len() < wanted => text.reserve(wanted),
            Payload::Binary(binary) if binary.bytes.capacity() - binary.len < wanted => {
                let ready = binary.bytes.len() - binary.len;
                binary.bytes.reserve(wanted - ready);
            }
            _ => {}
        }
    }
}

/// Moves what is behind the first `lead` bytes to their place, and shows it to `unmask` there: in pieces, of
/// [`MOVE_BYTES`] but for the last, unless it lies right already.
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
        // Each byte moves at most once on average.
        if self.inflated > self.bytes.len() / 2 {
            self.bytes.drain(..self.inflated);
            self.inflated = 0;
        }
        self.bytes.extend_from_slice(payload);
    }

    /// All but the last `left` bytes are inflated.
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

    /// Room for some of the bytes that are expected, within what is reserved.
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

    /// `len` bytes were put into [`Binary::room`].
    fn settle(&mut self, len: usize, unmask: impl FnMut(&mut [u8])) {
        let lead = self.lead();
        let target = &mut self.bytes[self.len..];
        self.len += len;
        pull(&mut target[..lead + len], lead, unmask);
    }

    /// How far behind their place bytes are put by a read. Processors that copy with `rep movsb` do it at a
    /// sixteenth of their speed if, modulo the size of a page, the target is up to fifteen bytes behind the
    /// source (measured on AMD's fourth Zen). That is what comes of a masked frame with the longest header
    /// which a local sender's kernel has begun a page with, and of memory sixteen bytes behind a page's begin,
    /// where allocators put what they map. A few bytes on it is harmless, and unmasking, which goes through it
    /// anyway, takes it along to its place.
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
    fn what_lies_ahead_of_its_place_is_pulled_to_it_and_unmasked_there() {
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
