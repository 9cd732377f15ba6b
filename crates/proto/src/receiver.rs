//! The receiving half of a connection: bytes to events.

use alloc::boxed::Box;
use core::time::Duration;

use crate::{
    CloseFrame, Event, Limits, Message, MessageKind, Pace, Part, ProtocolError, ReadState, Role,
    assembler::{Assembler, Delivery, INFLATE_STEP_BYTES},
    decoder::{self, FrameRules, Input, WholeFrame},
    event::Found,
    extension::{DeflateParams, End, Inflater, Pool, Progress},
    frame::{CompressedBit, FrameHead, Opcode},
    mask,
    unfinished::Unfinished,
};

/// The receiving half of a connection.
///
/// Call [`Receiver::poll_event`] with each input until it gives `None`: then all of the input is
/// eaten and nothing of it is needed any more. After an error or after [`Event::Close`] all further
/// input is eaten and ignored (RFC 6455 sections 7.1.7 and 1.4).
///
/// Between messages it owns nothing but, under context takeover, the window; a message that lies whole in the input is handed out from
/// there; only an unfinished one owns memory.
pub struct Receiver {
    /// `None` between messages, unless the last event was a control frame out of several inputs.
    unfinished: Option<Box<Unfinished>>,
    inflater: Option<Box<Inflater>>,
    rules: FrameRules,
    state: RecvState,
}

/// What becomes of the messages that begin from now on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RecvState {
    Whole,
    Parts,
    /// After Close or an error: nothing is heard any more.
    Ended,
}

impl Receiver {
    /// The receiving half at the end `role`, after the handshake agreed on `deflate`.
    #[must_use]
    pub fn new(role: Role, deflate: Option<DeflateParams>) -> Self {
        let bit = match deflate {
            Some(_) => CompressedBit::Known,
            None => CompressedBit::Unknown,
        };
        Self {
            unfinished: None,
            inflater: deflate.map(|params| Box::new(params.inflater(role))),
            rules: FrameRules {
                sender: role.peer(),
                bit,
            },
            state: RecvState::Whole,
        }
    }

    /// Says how the messages that begin from now on are handed out. The one under way, if any,
    /// stays as it is.
    pub fn deliver(&mut self, delivery: Delivery) {
        if self.state != RecvState::Ended {
            self.state = match delivery {
                Delivery::Whole => RecvState::Whole,
                Delivery::Parts => RecvState::Parts,
            };
        }
    }

    /// The next thing that the peer did. `None`: the input is used up.
    ///
    /// The limits are the caller's, because thousands of connections have the same; give the same
    /// ones each time.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or went over a limit. Send a Close frame with
    /// [`ProtocolError::close_code`]; nothing more will be received.
    #[inline(always)] // Into the caller's loop: half of the instructions.
    pub fn poll_event<'e>(
        &'e mut self,
        input: &'e mut Input<'_>,
        pool: &'e mut Pool,
        limits: &Limits,
    ) -> Result<Option<Event<'e>>, ProtocolError> {
        match self.poll_short(input, limits) {
            Some(message) => message.map(|message| Some(Event::Message(message))),
            None if input.is_empty() && self.unfinished.is_none() => Ok(None),
            None => self.poll_further(input, pool, limits),
        }
    }

    /// What [`Receiver::poll_event`] does for all but short messages.
    #[inline(never)]
    fn poll_further<'e>(
        &'e mut self,
        input: &'e mut Input<'_>,
        pool: &'e mut Pool,
        limits: &Limits,
    ) -> Result<Option<Event<'e>>, ProtocolError> {
        match self.poll_long(input, limits) {
            Some(message) => message.map(|message| Some(Event::Message(message))),
            None => self.poll_other(input, pool, limits),
        }
    }

    /// The next message, if it is what most are that a server hears: short, in one frame, not compressed and
    /// whole in the input. `None`: go on with [`Receiver::poll_long`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::poll_event`].
    #[inline(always)] // As above.
    pub(crate) fn poll_short<'e>(
        &mut self,
        input: &mut Input<'e>,
        limits: &Limits,
    ) -> Option<Result<Message<'e>, ProtocolError>> {
        if self.unfinished.is_some() || !self.hears_plain_messages() {
            return None;
        }
        let bytes_max = limits.single_frame_message_bytes();
        let (first, key, payload) = input.take_short_message(bytes_max)?;
        Some(self.plain_message(first, key, payload))
    }

    /// The same for a message that isn't short. `None`: go on with [`Receiver::poll_other`]; together the
    /// three are [`Receiver::poll_event`], but what the first two hand out lives as long as the input.
    ///
    /// # Errors
    ///
    /// As [`Receiver::poll_event`].
    #[inline]
    pub(crate) fn poll_long<'e>(
        &mut self,
        input: &mut Input<'e>,
        limits: &Limits,
    ) -> Option<Result<Message<'e>, ProtocolError>> {
        if self.unfinished.is_some() || !self.hears_plain_messages() {
            return None;
        }
        let bytes_max = limits.single_frame_message_bytes();
        let (first, key, payload) = input.take_long_message(bytes_max)?;
        Some(self.plain_message(first, key, payload))
    }

    /// Whatever isn't a whole message in one frame: see [`Receiver::poll_short`].
    ///
    /// # Errors
    ///
    /// As [`Receiver::poll_event`].
    #[inline(never)]
    pub(crate) fn poll_other<'e>(
        &'e mut self,
        input: &'e mut Input<'_>,
        pool: &'e mut Pool,
        limits: &Limits,
    ) -> Result<Option<Event<'e>>, ProtocolError> {
        let found = match self.search(input, pool, limits) {
            Ok(found) => found,
            Err(error) => return self.fail(input, error),
        };
        Ok(Some(match found {
            Found::Nothing => return Ok(None),
            Found::Message {
                kind: MessageKind::Binary,
                payload,
            } => Event::Message(Message::from(payload)),
            Found::Message {
                kind: MessageKind::Text,
                payload,
            } => match simdutf8::basic::from_utf8(payload) {
                Ok(text) => Event::Message(Message::from(text)),
                Err(_) => return self.fail(input, ProtocolError::InvalidUtf8),
            },
            Found::Inflated {
                kind: MessageKind::Binary,
            } => Event::Message(Message::from(pool.scratch.as_slice())),
            Found::Inflated {
                kind: MessageKind::Text,
            } => match simdutf8::basic::from_utf8(&pool.scratch) {
                Ok(text) => Event::Message(Message::from(text)),
                Err(_) => return self.fail(input, ProtocolError::InvalidUtf8),
            },
            Found::Assembled(message) => Event::Message(message),
            Found::Part(part) => Event::Part(part),
            Found::InflatedPart { kind, last } => Event::Part(Part {
                kind,
                payload: &pool.scratch,
                last,
            }),
            Found::Control { opcode, payload } => {
                return control_event(opcode, payload, &mut self.state).map(Some);
            }
            Found::SplitControl { opcode } => {
                let state = &mut self.state;
                let control = match &self.unfinished {
                    Some(unfinished) => unfinished.control_payload(),
                    None => &[],
                };
                return control_event(opcode, control, state).map(Some);
            }
        }))
    }

    /// Where the next bytes from the peer may be put, instead of into an input: the memory of a large
    /// binary message that is under way. They need no copy then. `None`: give the next bytes as input.
    ///
    /// To be asked when an input is used up. Put any number of bytes at the begin of the slice, then
    /// call [`Receiver::commit`].
    #[inline]
    pub(crate) fn payload_buffer(&mut self) -> Option<&mut [u8]> {
        self.unfinished.as_mut()?.payload_buffer()
    }

    /// `len` bytes were put where [`Receiver::payload_buffer`] said. The message, if it is whole now; give its
    /// memory back to the pool when it is handled ([`Pool::recycle`]).
    ///
    /// # Panics
    ///
    /// If there was no room for so many.
    pub(crate) fn commit(&mut self, len: usize) -> Option<Message<'static>> {
        let message = self.unfinished.as_mut()?.commit(len)?;
        self.unfinished = None;
        Some(message)
    }

    /// Bytes that the peer has made it own: the payload of an unfinished message or control frame, a context
    /// that inflates one, and between messages the window of a peer whose context is taken over.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let unfinished = self.unfinished.as_ref();
        let inflater = self.inflater.as_ref();
        unfinished.map_or(0, |unfinished| unfinished.buffered_bytes())
            + inflater.map_or(0, |inflater| inflater.held_bytes())
    }

    /// Bytes of memory that it holds: [`Receiver::buffered_bytes`], and what inflation needs to go on, which under
    /// context takeover is up to 32 KiB between messages, too.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let inflater = self.inflater.as_ref();
        self.buffered_bytes() + inflater.map_or(0, |inflater| inflater.held_bytes())
    }

    /// Whether [`Receiver::held_bytes`] may be more than 0. Cheaper than to ask that.
    #[must_use]
    #[inline]
    pub fn may_hold(&self) -> bool {
        self.unfinished.is_some() || self.inflater.is_some()
    }

    /// Looks how the message or frame comes on that isn't whole yet, if there is one; to be called some times within
    /// each [`Limits::message_timeout`]. `read_state`: whether all that has come was read since the last look.
    pub fn handle_timeout(
        &mut self,
        now: Duration,
        read_state: ReadState,
        limits: &Limits,
    ) -> Pace {
        match &mut self.unfinished {
            Some(unfinished) => unfinished.handle_timeout(now, read_state, limits),
            None => Pace::Enough,
        }
    }

    /// Whether it owns anything: some of a message, or of a frame, has come.
    #[must_use]
    #[inline]
    pub fn is_unfinished(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Whether any bytes of an unfinished message have come since this was asked last. Those of control frames
    /// between them are none.
    pub fn take_progress(&mut self) -> bool {
        (self.unfinished.as_mut()).is_some_and(|unfinished| unfinished.take_progress())
    }

    /// Whether the peer stopped between two messages, not within one.
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        (self.unfinished.as_ref()).is_none_or(|unfinished| unfinished.is_between_messages())
    }

    /// Receives nothing more: all further input is eaten and ignored, and the memory for it is free.
    pub fn end(&mut self) {
        self.state = RecvState::Ended;
        self.unfinished = None;
        self.inflater = None;
    }

    /// Whether nothing more will be received: after Close, an error or [`Receiver::end`].
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state == RecvState::Ended
    }

    #[cold]
    fn fail<'e>(
        &mut self,
        input: &mut Input<'_>,
        error: ProtocolError,
    ) -> Result<Option<Event<'e>>, ProtocolError> {
        self.end();
        input.discard();
        Err(error)
    }

    /// Whether a whole message of a client would be handed out as it is.
    #[inline(always)]
    fn hears_plain_messages(&self) -> bool {
        self.state == RecvState::Whole && self.rules.sender == Role::Client
    }

    #[inline(always)]
    fn plain_message<'e>(
        &mut self,
        first: u8,
        key: [u8; 4],
        payload: &'e mut [u8],
    ) -> Result<Message<'e>, ProtocolError> {
        if first == decoder::BINARY {
            mask::mask(payload, key);
            return Ok(Message::from(&*payload));
        }
        match mask::mask_text(payload, key) {
            Some(text) => Ok(Message::from(text)),
            None => {
                self.state = RecvState::Ended;
                Err(ProtocolError::InvalidUtf8)
            }
        }
    }

    #[inline]
    fn search<'i>(
        &mut self,
        input: &mut Input<'i>,
        pool: &mut Pool,
        limits: &Limits,
    ) -> Result<Found<'i>, ProtocolError> {
        if self.unfinished.is_none() && self.state == RecvState::Whole {
            let admit = |head: &FrameHead| {
                if head.opcode.is_control() {
                    return Ok(true);
                }
                Assembler::default().admit(head, limits)?;
                Ok(head.fin)
            };
            if let Some(frame) = self.rules.whole_frame(input, admit)? {
                return self.handle_whole(&frame, pool, limits);
            }
        }
        self.search_on(input, pool, limits)
    }

    /// The rest of what [`Receiver::search`] does: whatever isn't a whole message in one frame.
    #[inline(never)]
    fn search_on<'i>(
        &mut self,
        input: &mut Input<'i>,
        pool: &mut Pool,
        limits: &Limits,
    ) -> Result<Found<'i>, ProtocolError> {
        let delivery = match self.state {
            RecvState::Whole => Delivery::Whole,
            RecvState::Parts => Delivery::Parts,
            RecvState::Ended => {
                self.unfinished = None;
                input.discard();
                return Ok(Found::Nothing);
            }
        };
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.release_control();
        } else if input.is_empty() {
            return Ok(Found::Nothing);
        }
        let unfinished = self
            .unfinished
            .get_or_insert_with(|| Box::new(Unfinished::new(self.rules)));
        let found = unfinished.search(input, &mut self.inflater, delivery, pool, limits)?;
        if !matches!(found, Found::SplitControl { .. }) && unfinished.is_between_messages() {
            self.unfinished = None;
        }
        Ok(found)
    }

    /// The common case: one frame, whole in the input, is the whole message, or a control frame.
    #[inline]
    fn handle_whole<'i>(
        &mut self,
        frame: &WholeFrame<'i>,
        pool: &mut Pool,
        limits: &Limits,
    ) -> Result<Found<'i>, ProtocolError> {
        let WholeFrame { head, payload } = frame;
        let kind = match head.opcode {
            Opcode::Text => MessageKind::Text,
            Opcode::Binary => MessageKind::Binary,
            opcode => return Ok(Found::Control { opcode, payload }),
        };
        if !head.compressed {
            return Ok(Found::Message { kind, payload });
        }
        self.handle_compressed(head, payload, kind, pool, limits)
    }

    #[inline(never)]
    fn handle_compressed<'i>(
        &mut self,
        head: &FrameHead,
        mut payload: &[u8],
        kind: MessageKind,
        pool: &mut Pool,
        limits: &Limits,
    ) -> Result<Found<'i>, ProtocolError> {
        let Some(inflater) = &mut self.inflater else {
            return Ok(Found::Nothing);
        };
        let max = limits.message_bytes_max;
        let mut scratch = pool.take_scratch();
        let step = max.saturating_add(1).min(INFLATE_STEP_BYTES);
        let progress = inflater.inflate(pool, &mut payload, End::Yes, &mut scratch, step);
        if progress == Ok(Progress::End) && scratch.len() <= max {
            pool.scratch = scratch;
            return Ok(Found::Inflated { kind });
        }
        // Too much for one step, over the limit or corrupt: as if it had come in pieces.
        let mut assembler = Assembler::default();
        assembler.begin(head, Delivery::Whole, pool);
        let checked = assembler.handle_payload(&scratch, 0, max);
        pool.scratch = scratch;
        checked?;
        if progress.is_err() {
            return Err(ProtocolError::InvalidDeflate);
        }
        assembler.handle_compressed(payload, End::Yes, End::Yes, max, inflater, pool)?;
        Ok(match assembler.finish()? {
            Some(message) => Found::Assembled(message),
            None => Found::Nothing,
        })
    }
}

fn control_event<'e>(
    opcode: Opcode,
    payload: &'e [u8],
    state: &mut RecvState,
) -> Result<Event<'e>, ProtocolError> {
    match opcode {
        Opcode::Ping => Ok(Event::Ping(payload)),
        Opcode::Close => {
            *state = RecvState::Ended;
            CloseFrame::parse(payload).map(Event::Close)
        }
        _ => Ok(Event::Pong(payload)),
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn an_idle_receiver_is_three_words() {
        // Every idle connection of a server has one in its record, and ten thousand connections are
        // to cost no more than 272 bytes each in all: two pointers to what most don't have, and flags.
        assert!(size_of::<Receiver>() <= 24);
    }
}
