//! The receiving half of a connection: bytes in, events out.

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
/// Call [`Receiver::poll_event`] with each input until it returns `None`: then all of the input is consumed, and its memory
/// may be used again. After an error or after [`Event::Close`] all further input is ignored (RFC 6455 sections 7.1.7 and 1.4).
///
/// Memory: a message that lies whole in the input is handed out from there. Between messages the receiver owns only the
/// window of a peer whose context is taken over; an unfinished message owns memory up to [`Limits::message_bytes_max`].
pub struct Receiver {
    /// `None` between messages, unless the last event was a control frame that came in more than one input.
    unfinished: Option<Box<Unfinished>>,
    inflater: Option<Box<Inflater>>,
    rules: FrameRules,
    state: RecvState,
}

/// How the messages that begin from now on are received.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RecvState {
    Whole,
    Parts,
    /// Not at all, after a Close frame or an error.
    Ended,
}

impl Receiver {
    /// Creates the receiving half of the end `role`. `deflate` is what the handshake agreed on.
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

    /// Sets how the messages that begin from now on are handed out. An unfinished message is not affected. Default
    /// [`Delivery::Whole`].
    pub fn deliver(&mut self, delivery: Delivery) {
        if self.state != RecvState::Ended {
            self.state = match delivery {
                Delivery::Whole => RecvState::Whole,
                Delivery::Parts => RecvState::Parts,
            };
        }
    }

    /// Returns the next thing that the peer did, or `None` if all of the input is consumed.
    ///
    /// The limits are an argument, because thousands of connections have the same. They must be the same in every call.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or exceeded a limit. Send a Close frame with [`ProtocolError::close_code`]
    /// ([`crate::Sender::fail`]). Nothing more is received.
    #[inline(always)] // Inlining into the caller's loop saves half of the instructions.
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

    /// Does the work of [`Receiver::poll_event`] for all but short messages.
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

    /// See [`crate::driver::poll_short`].
    #[inline(always)] // Inlining into the caller's loop saves half of the instructions.
    pub(crate) fn poll_short<'e>(
        &mut self,
        input: &mut Input<'e>,
        limits: &Limits,
    ) -> Option<Result<Message<'e>, ProtocolError>> {
        if self.unfinished.is_some() || !self.takes_plain_messages() {
            return None;
        }
        let bytes_max = limits.single_frame_message_bytes();
        let (first, key, payload) = input.take_short_message(bytes_max)?;
        Some(self.plain_message(first, key, payload))
    }

    /// See [`crate::driver::poll_long`].
    #[inline]
    pub(crate) fn poll_long<'e>(
        &mut self,
        input: &mut Input<'e>,
        limits: &Limits,
    ) -> Option<Result<Message<'e>, ProtocolError>> {
        if self.unfinished.is_some() || !self.takes_plain_messages() {
            return None;
        }
        let bytes_max = limits.single_frame_message_bytes();
        let (first, key, payload) = input.take_long_message(bytes_max)?;
        Some(self.plain_message(first, key, payload))
    }

    /// See [`crate::driver::poll_other`].
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

    /// See [`crate::driver::payload_buffer`].
    #[inline]
    pub(crate) fn payload_buffer(&mut self) -> Option<&mut [u8]> {
        self.unfinished.as_mut()?.payload_buffer()
    }

    /// See [`crate::driver::commit`].
    pub(crate) fn commit(&mut self, len: usize) -> Option<Message<'static>> {
        let message = self.unfinished.as_mut()?.commit(len)?;
        self.unfinished = None;
        Some(message)
    }

    /// Returns the bytes of memory that the peer has made this half own: the payload of an unfinished message or control
    /// frame, the context that inflates it, and between messages the window of a peer whose context is taken over.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let unfinished = self.unfinished.as_ref();
        let inflater = self.inflater.as_ref();
        unfinished.map_or(0, |unfinished| unfinished.buffered_bytes())
            + inflater.map_or(0, |inflater| inflater.held_bytes())
    }

    /// Returns [`Receiver::buffered_bytes`] and the memory that inflation needs to go on, which with context takeover is up to
    /// 32 KiB, between messages too.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let inflater = self.inflater.as_ref();
        self.buffered_bytes() + inflater.map_or(0, |inflater| inflater.held_bytes())
    }

    /// Returns whether [`Receiver::held_bytes`] may be more than 0. This is cheaper than computing it.
    #[must_use]
    #[inline]
    pub fn may_hold(&self) -> bool {
        self.unfinished.is_some() || self.inflater.is_some()
    }

    /// Judges how fast an unfinished message arrives; call it several times within each [`Limits::message_timeout`].
    ///
    /// `now` is the time since an origin that the caller picks. `read_state` tells whether everything that had arrived was
    /// read since the last call.
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

    /// Returns whether a message, a frame or a header has begun and has not ended.
    #[must_use]
    #[inline]
    pub fn is_unfinished(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Returns whether any payload of an unfinished message has come since the last call. Control frames between its fragments
    /// don't count.
    pub fn take_progress(&mut self) -> bool {
        (self.unfinished.as_mut()).is_some_and(|unfinished| unfinished.take_progress())
    }

    /// Returns whether the next byte from the peer begins a message.
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        (self.unfinished.as_ref()).is_none_or(|unfinished| unfinished.is_between_messages())
    }

    /// Ends reception: frees its memory and ignores all further input.
    pub fn end(&mut self) {
        self.state = RecvState::Ended;
        self.unfinished = None;
        self.inflater = None;
    }

    /// Returns whether reception has ended: after a Close frame, an error or [`Receiver::end`].
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

    /// Returns whether plain messages of a client are handed out whole.
    #[inline(always)]
    fn takes_plain_messages(&self) -> bool {
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

    /// Searches for everything that is not a whole message in one frame.
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

    /// Handles a frame that is whole in the input and is a whole message or a control frame, as most are.
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
        // The message is too long for one step, over the limit or corrupt: go on as if it had come in pieces.
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
        // Each idle connection of a server has one in its record, and ten thousand connections may cost no more than 272
        // bytes each. Two pointers to what most connections don't have, and flags.
        assert!(size_of::<Receiver>() <= 24);
    }
}
