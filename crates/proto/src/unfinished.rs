//! What a receiver keeps of a header, a frame or a message that lies in more than one input.

use alloc::boxed::Box;
use core::time::Duration;

use crate::{
    Limits, Message, Part, ProtocolError, ReadState,
    assembler::{Assembler, Delivery},
    decoder::{Chunk, Decoder, FrameRules, Input},
    event::Found,
    extension::{End, Inflater, Pool},
    frame::{CONTROL_BYTES_MAX, FrameHead, Opcode},
    mask,
};

/// How fast an unfinished message arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Fast enough, or there is no unfinished message.
    Enough,
    /// Within [`Limits::message_timeout`] it brought less than [`Limits::message_rate_min`] demands. Close with
    /// [`crate::CloseCode::POLICY_VIOLATION`]; [`crate::Connection::handle_timeout`] does so itself.
    TooSlow,
}

/// A header, a frame or a message that lies in more than one input.
pub(crate) struct Unfinished {
    decoder: Decoder,
    assembler: Assembler,
    /// A control frame that arrived in more than one piece.
    control: Option<Box<SplitControl>>,
    /// Whether bytes of a message have come since `take_progress` was called last.
    has_advanced: bool,
    /// How much had come at the beginning of the current period of [`Limits::message_timeout`].
    sample: Option<PaceSample>,
}

/// How much of a message had come at some time.
#[derive(Clone, Copy)]
struct PaceSample {
    at: Duration,
    /// Payload bytes, as sent.
    bytes: u64,
}

#[derive(Default)]
struct SplitControl {
    /// `bytes[..len]` has come; len <= 125.
    len: u8,
    /// 5 × 25 = 125 bytes. An array of more than 32 elements has no `Default`.
    bytes: [[u8; 25]; CONTROL_BYTES_MAX / 25],
}

impl Unfinished {
    pub(crate) fn new(rules: FrameRules) -> Self {
        Self {
            decoder: Decoder::new(rules),
            assembler: Assembler::default(),
            control: None,
            has_advanced: false,
            sample: None,
        }
    }

    pub(crate) fn take_progress(&mut self) -> bool {
        core::mem::take(&mut self.has_advanced)
    }

    pub(crate) fn is_between_messages(&self) -> bool {
        self.decoder.is_between_frames() && self.assembler.delivery().is_none()
    }

    pub(crate) fn control_payload(&self) -> &[u8] {
        (self.control.as_deref()).map_or(&[], SplitControl::payload)
    }

    /// Frees the control frame of the last event, which is no longer borrowed.
    pub(crate) fn release_control(&mut self) {
        if !self.decoder.is_within_control() {
            self.control = None;
        }
    }

    /// Returns the bytes of memory for payload that is kept.
    pub(crate) fn buffered_bytes(&self) -> usize {
        let control = self.control.as_ref().map_or(0, |_| CONTROL_BYTES_MAX);
        control + self.assembler.buffered_bytes()
    }

    /// Judges how fast the message arrives. Each period of [`Limits::message_timeout`] is judged by itself: a peer that brought
    /// enough in one period has the whole of the next.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Duration,
        read_state: ReadState,
        limits: &Limits,
    ) -> Pace {
        let bytes = self.assembler.wire_bytes();
        // A message in parts keeps no memory, and while reading is paused the peer is not to blame.
        let is_free = self.is_between_messages()
            || self.assembler.delivery() == Some(Delivery::Parts)
            || read_state == ReadState::Paused;
        let sample = match self.sample {
            Some(sample) if !is_free => sample,
            _ => *self.sample.insert(PaceSample { at: now, bytes }),
        };
        if bytes - sample.bytes >= limits.message_bytes_due() {
            self.sample = Some(PaceSample { at: now, bytes });
        } else if now.saturating_sub(sample.at) >= limits.message_timeout {
            return Pace::TooSlow;
        }
        Pace::Enough
    }

    /// Returns memory into which the next payload bytes may be read directly.
    pub(crate) fn payload_buffer(&mut self) -> Option<&mut [u8]> {
        self.assembler.payload_buffer(self.decoder.expected())
    }

    /// Adds `len` bytes that were read into [`Unfinished::payload_buffer`], and returns the message if they were its last.
    pub(crate) fn commit(&mut self, len: usize) -> Option<Message<'static>> {
        let (key, last) = self.decoder.pass(len);
        self.assembler.commit(len, |payload| {
            if let Some(key) = key {
                mask::mask(payload, key);
            }
        });
        // Only text can be invalid at its end, and text is not read directly.
        if last {
            self.assembler.finish().ok().flatten()
        } else {
            None
        }
    }

    /// Searches the input for the next event.
    pub(crate) fn search<'i>(
        &mut self,
        input: &mut Input<'i>,
        inflater: &mut Option<Box<Inflater>>,
        delivery: Delivery,
        pool: &mut Pool,
        limits: &Limits,
    ) -> Result<Found<'i>, ProtocolError> {
        loop {
            let bytes_max = match (&inflater, self.assembler.delivery().unwrap_or(delivery)) {
                (Some(_), Delivery::Parts) => COMPRESSED_PART_BYTES_MAX,
                _ => usize::MAX,
            };
            let assembler = &self.assembler;
            let admit = |head: &FrameHead| {
                if head.opcode.is_control() {
                    return Ok(());
                }
                assembler.admit(head, limits)
            };
            let Some(chunk) = self.decoder.poll_chunk(input, bytes_max, admit)? else {
                return Ok(Found::Nothing);
            };
            let found = if chunk.head.opcode.is_control() {
                self.handle_control(&chunk)
            } else {
                self.handle_piece(&chunk, inflater, delivery, pool, limits)?
            };
            if !matches!(found, Found::Nothing) {
                return Ok(found);
            }
        }
    }

    /// Handles a piece of a message that is fragmented, split by the end of the input or handed out in parts.
    fn handle_piece<'i>(
        &mut self,
        chunk: &Chunk<'i>,
        inflater: &mut Option<Box<Inflater>>,
        delivery: Delivery,
        pool: &mut Pool,
        limits: &Limits,
    ) -> Result<Found<'i>, ProtocolError> {
        if chunk.first {
            if chunk.head.opcode == Opcode::Continuation {
                self.assembler.begin_continuation();
            } else {
                self.assembler.begin(&chunk.head, delivery, pool);
            }
        }
        let kind = self.assembler.kind();
        let parts = self.assembler.delivery() == Some(Delivery::Parts);
        let last = chunk.last && chunk.head.fin;
        let max = limits.message_bytes_max;
        let payload = chunk.payload;
        self.has_advanced |= !payload.is_empty();
        let bytes = match inflater {
            Some(inflater) if self.assembler.is_compressed() => {
                let frame_end = if chunk.last { End::Yes } else { End::No };
                let end = if last { End::Yes } else { End::No };
                self.assembler
                    .handle_compressed(payload, frame_end, end, max, inflater, pool)?;
                pool.scratch.len()
            }
            _ => {
                let expected = chunk.head.len - payload.len() as u64;
                self.assembler.handle_payload(payload, expected, max)?;
                payload.len()
            }
        };
        let compressed = self.assembler.is_compressed();
        if last && let Some(message) = self.assembler.finish()? {
            return Ok(Found::Assembled(message));
        }
        if !parts || (bytes == 0 && !last) {
            return Ok(Found::Nothing);
        }
        Ok(if compressed {
            Found::InflatedPart { kind, last }
        } else {
            Found::Part(Part {
                kind,
                payload,
                last,
            })
        })
    }

    fn handle_control<'i>(&mut self, chunk: &Chunk<'i>) -> Found<'i> {
        let opcode = chunk.head.opcode;
        if chunk.first {
            self.control = None;
            if chunk.last {
                let payload = chunk.payload;
                return Found::Control { opcode, payload };
            }
        }
        self.control.get_or_insert_default().extend(chunk.payload);
        if chunk.last {
            Found::SplitControl { opcode }
        } else {
            Found::Nothing
        }
    }
}

impl SplitControl {
    fn extend(&mut self, bytes: &[u8]) {
        let start = self.len as usize;
        self.bytes.as_flattened_mut()[start..start + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }

    fn payload(&self) -> &[u8] {
        &self.bytes.as_flattened()[..self.len as usize]
    }
}

/// Bytes. The compressed input of one part. Deflate expands data at most 1,032 times, so that the largest part has about
/// 4 MiB.
const COMPRESSED_PART_BYTES_MAX: usize = 4 << 10;
