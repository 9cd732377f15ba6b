//! The receiving half of a connection: bytes to events.

use alloc::{boxed::Box, sync::Arc};
use core::ops::Range;

use crate::{
    CloseCode, CloseFrame, Kind, Limits, Message, ProtocolError, Role, Violation,
    assembler::{Assembler, Delivery, INFLATE_STEP_BYTES},
    decoder::{Chunk, Decoder, Input},
    extension::{DeflateParams, End, Inflater, Pool, Progress},
    frame::{CONTROL_BYTES_MAX, CompressedBit, FrameHead, Opcode},
};

/// Bytes. Compressed input per part: deflate grows data at most 1,032 times, so a part of a bomb
/// stays near 4 MiB.
const COMPRESSED_PART_BYTES_MAX: usize = 4 << 10;

/// What the peer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// A piece of a message, where [`Delivery::Parts`] was asked for.
    Part(Part<'a>),
    /// A ping. Answer it with a pong of the same payload ([`crate::Sender::answer`]).
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong(&'a [u8]),
    /// The peer's Close frame: the last event. Answer it ([`crate::Sender::answer`]).
    Close(CloseFrame<'a>),
}

/// A piece of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The kind of the whole message.
    pub kind: Kind,
    /// Text may be cut within a character; it is checked all the same.
    pub payload: &'a [u8],
    /// Whether the message ends here.
    pub last: bool,
}

/// The receiving half of a connection.
///
/// Call [`Receiver::poll_event`] with each input until it gives `None`: then all of the input is
/// eaten and nothing of it is needed any more. After an error or after [`Event::Close`] all further
/// input is eaten and ignored (RFC 6455 sections 7.1.7 and 1.4).
///
/// Between messages it owns no buffer; a message that lies whole in the input is handed out from
/// there; only an unfinished one owns memory.
pub struct Receiver {
    decoder: Decoder,
    assembler: Assembler,
    inflater: Option<Box<Inflater>>,
    limits: Arc<Limits>,
    /// A control frame that did not come in one piece.
    control: Option<Box<SplitControl>>,
    delivery: Delivery,
    /// After Close or an error.
    ended: bool,
}

#[derive(Default)]
struct SplitControl {
    /// `bytes[..len]` have come; len <= 125.
    len: u8,
    /// 5 × 25 = 125; arrays over 32 have no default.
    bytes: [[u8; 25]; CONTROL_BYTES_MAX / 25],
}

/// Where an event's payload lies. Borrowed only at the end, so that the search may go on.
enum Found {
    Nothing,
    Message {
        kind: Kind,
        range: Range<usize>,
    },
    Inflated {
        kind: Kind,
    },
    Assembled(Message<'static>),
    Part {
        kind: Kind,
        range: Range<usize>,
        last: bool,
    },
    InflatedPart {
        kind: Kind,
        last: bool,
    },
    Control {
        opcode: Opcode,
        range: Range<usize>,
    },
    SplitControl {
        opcode: Opcode,
    },
}

impl Receiver {
    /// The receiving half at the end `role`, after the handshake agreed on `deflate`.
    #[must_use]
    pub fn new(role: Role, limits: Arc<Limits>, deflate: Option<DeflateParams>) -> Self {
        let bit = match deflate {
            Some(_) => CompressedBit::Known,
            None => CompressedBit::Unknown,
        };
        Self {
            decoder: Decoder::new(role.peer(), bit),
            assembler: Assembler::default(),
            inflater: deflate.map(|params| Box::new(params.inflater(role))),
            limits,
            control: None,
            delivery: Delivery::Whole,
            ended: false,
        }
    }

    /// Says how the messages that begin from now on are handed out. The one under way, if any,
    /// stays as it is.
    pub fn deliver(&mut self, delivery: Delivery) {
        self.delivery = delivery;
    }

    /// The next thing that the peer did. `None`: the input is used up.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or went over a limit. Send a Close frame with
    /// [`ProtocolError::close_code`]; nothing more will be received.
    #[inline]
    pub fn poll_event<'e>(
        &'e mut self,
        input: &'e mut Input<'_>,
        pool: &'e mut Pool,
    ) -> Result<Option<Event<'e>>, ProtocolError> {
        // Nobody borrows the last event any more.
        if self.control.is_some() && !self.decoder.is_within_control() {
            self.control = None;
        }
        if self.ended {
            input.discard();
            return Ok(None);
        }
        let found = match self.search(input, pool) {
            Ok(found) => found,
            Err(error) => return self.fail(input, error),
        };
        Ok(Some(match found {
            Found::Nothing => return Ok(None),
            Found::Message {
                kind: Kind::Binary,
                range,
            } => Event::Message(Message::from(input.eaten(range))),
            Found::Message {
                kind: Kind::Text,
                range,
            } => match simdutf8::basic::from_utf8(input.eaten(range)) {
                Ok(text) => Event::Message(Message::from(text)),
                Err(_) => {
                    self.ended = true;
                    return Err(ProtocolError::InvalidUtf8);
                }
            },
            Found::Inflated { kind: Kind::Binary } => {
                Event::Message(Message::from(pool.scratch.as_slice()))
            }
            Found::Inflated { kind: Kind::Text } => {
                match simdutf8::basic::from_utf8(&pool.scratch) {
                    Ok(text) => Event::Message(Message::from(text)),
                    Err(_) => {
                        self.ended = true;
                        return Err(ProtocolError::InvalidUtf8);
                    }
                }
            }
            Found::Assembled(message) => Event::Message(message),
            Found::Part { kind, range, last } => Event::Part(Part {
                kind,
                payload: input.eaten(range),
                last,
            }),
            Found::InflatedPart { kind, last } => Event::Part(Part {
                kind,
                payload: &pool.scratch,
                last,
            }),
            Found::Control { opcode, range } => {
                return control_event(opcode, input.eaten(range), &mut self.ended).map(Some);
            }
            Found::SplitControl { opcode } => {
                let control = self
                    .control
                    .as_deref()
                    .map_or(&[][..], SplitControl::payload);
                return control_event(opcode, control, &mut self.ended).map(Some);
            }
        }))
    }

    /// Bytes of payload that an unfinished message or control frame owns.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let control = self.control.as_ref().map_or(0, |_| CONTROL_BYTES_MAX);
        control + self.assembler.buffered_bytes()
    }

    /// Whether the peer stopped between two messages, not within one.
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        self.decoder.is_between_frames() && self.assembler.delivery().is_none()
    }

    /// Whether nothing more will be received: after Close or an error.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    #[cold]
    fn fail<'e>(
        &mut self,
        input: &mut Input<'_>,
        error: ProtocolError,
    ) -> Result<Option<Event<'e>>, ProtocolError> {
        self.ended = true;
        input.discard();
        Err(error)
    }

    #[inline]
    fn search(&mut self, input: &mut Input<'_>, pool: &mut Pool) -> Result<Found, ProtocolError> {
        loop {
            let bytes_max = self.chunk_bytes_max();
            let (assembler, limits) = (&self.assembler, &*self.limits);
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
                self.handle_control(&chunk, input)
            } else if chunk.is_whole_message() {
                self.handle_whole(&chunk, input, pool)?
            } else {
                self.handle_piece(&chunk, input, pool)?
            };
            if !matches!(found, Found::Nothing) {
                return Ok(found);
            }
        }
    }

    fn chunk_bytes_max(&self) -> usize {
        let delivery = self.assembler.delivery().unwrap_or(self.delivery);
        match (&self.inflater, delivery) {
            (Some(_), Delivery::Parts) => COMPRESSED_PART_BYTES_MAX,
            _ => usize::MAX,
        }
    }

    /// The common case: one frame, whole in the input, is the whole message.
    #[inline]
    fn handle_whole(
        &mut self,
        chunk: &Chunk,
        input: &Input<'_>,
        pool: &mut Pool,
    ) -> Result<Found, ProtocolError> {
        if self.delivery == Delivery::Parts {
            return self.handle_piece(chunk, input, pool);
        }
        let kind = chunk.kind();
        if !chunk.head.compressed {
            let range = chunk.range.clone();
            return Ok(Found::Message { kind, range });
        }
        let Some(inflater) = &mut self.inflater else {
            return Ok(Found::Nothing);
        };
        let max = self.limits.message_bytes_max;
        let mut payload = input.eaten(chunk.range.clone());
        let mut scratch = pool.take_scratch();
        let step = max.saturating_add(1).min(INFLATE_STEP_BYTES);
        let progress = inflater.inflate(pool, &mut payload, End::Yes, &mut scratch, step);
        if progress == Ok(Progress::End) && scratch.len() <= max {
            pool.scratch = scratch;
            return Ok(Found::Inflated { kind });
        }
        // Too much for one step, over the limit or corrupt: as if it had come in pieces.
        self.assembler.begin(&chunk.head, Delivery::Whole);
        let checked = self.assembler.handle_payload(&scratch, 0, max);
        pool.scratch = scratch;
        checked?;
        if progress.is_err() {
            return Err(ProtocolError::InvalidDeflate);
        }
        self.assembler
            .handle_compressed(payload, End::Yes, max, inflater, pool)?;
        Ok(match self.assembler.finish()? {
            Some(message) => Found::Assembled(message),
            None => Found::Nothing,
        })
    }

    /// A piece of a message that is fragmented, cut by the input's end, or handed out in parts.
    fn handle_piece(
        &mut self,
        chunk: &Chunk,
        input: &Input<'_>,
        pool: &mut Pool,
    ) -> Result<Found, ProtocolError> {
        if chunk.first {
            if chunk.head.opcode == Opcode::Continuation {
                self.assembler.begin_continuation();
            } else {
                self.assembler.begin(&chunk.head, self.delivery);
            }
        }
        let kind = self.assembler.kind();
        let parts = self.assembler.delivery() == Some(Delivery::Parts);
        let last = chunk.last && chunk.head.fin;
        let max = self.limits.message_bytes_max;
        let payload = input.eaten(chunk.range.clone());
        let bytes = match &mut self.inflater {
            Some(inflater) if self.assembler.is_compressed() => {
                let end = if last { End::Yes } else { End::No };
                self.assembler
                    .handle_compressed(payload, end, max, inflater, pool)?;
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
            let range = chunk.range.clone();
            Found::Part { kind, range, last }
        })
    }

    fn handle_control(&mut self, chunk: &Chunk, input: &Input<'_>) -> Found {
        let opcode = chunk.head.opcode;
        if chunk.first {
            self.control = None;
            if chunk.last {
                let range = chunk.range.clone();
                return Found::Control { opcode, range };
            }
        }
        let control = self.control.get_or_insert_default();
        control.extend(input.eaten(chunk.range.clone()));
        if chunk.last {
            Found::SplitControl { opcode }
        } else {
            Found::Nothing
        }
    }
}

impl Chunk {
    #[inline]
    fn is_whole_message(&self) -> bool {
        self.first && self.last && self.head.fin && self.head.opcode != Opcode::Continuation
    }

    fn kind(&self) -> Kind {
        match self.head.opcode {
            Opcode::Text => Kind::Text,
            _ => Kind::Binary,
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

fn control_event<'e>(
    opcode: Opcode,
    payload: &'e [u8],
    ended: &mut bool,
) -> Result<Event<'e>, ProtocolError> {
    match opcode {
        Opcode::Ping => Ok(Event::Ping(payload)),
        Opcode::Close => {
            *ended = true;
            close_frame(payload).map(Event::Close)
        }
        _ => Ok(Event::Pong(payload)),
    }
}

/// The body of a Close frame (RFC 6455 section 5.5.1): nothing, or a code and a reason in UTF-8.
fn close_frame(body: &[u8]) -> Result<CloseFrame<'_>, ProtocolError> {
    let Some((&code, reason)) = body.split_first_chunk() else {
        return match body {
            [] => Ok(CloseFrame {
                code: CloseCode::NO_STATUS,
                reason: "",
            }),
            _ => Err(ProtocolError::Violation(Violation::CloseBody)),
        };
    };
    let code = CloseCode::new(u16::from_be_bytes(code));
    if !code.is_sendable() {
        return Err(ProtocolError::Violation(Violation::CloseCode));
    }
    let reason = core::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
    Ok(CloseFrame { code, reason })
}
