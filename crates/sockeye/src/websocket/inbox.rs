//! What has been received and `recv` has not yet taken.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sockeye_proto::{Event, Message, MessageKind};

use crate::{
    closed::Closed,
    connection::{Cork, InputMessage, ReplyBatch, Room, Session, Sink},
    error::Error,
    settings::Settings,
    websocket::message_queue::{Item, MessageQueue},
};

/// A ping, pong or Close frame as it arrives: see [`crate::WebSocket::on_control`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control<'a> {
    /// A ping, with its payload of at most 125 bytes. It has been answered.
    Ping(&'a [u8]),
    /// A pong, with its payload of at most 125 bytes.
    Pong(&'a [u8]),
    /// A Close frame. It has been answered.
    Close(sockeye_proto::CloseFrame<'a>),
}

/// A closure of the program that is called with each control frame.
pub(crate) type Observer = Box<dyn FnMut(Control<'_>) + Send>;

/// What has been received and `recv` has not yet taken, in order. Reading pauses while it is at its limit,
/// [`Settings::inbox_bytes_max`].
#[derive(Default)]
pub(crate) struct Inbox {
    /// `Some` while something waits. It comes from the thread's spare queue and goes back there.
    message_queue: Option<Box<MessageQueue>>,
    /// The payload bytes of all items, and [`ITEM_BYTES`] for each.
    bytes: usize,
    bytes_max: usize,
    error: Option<Error>,
    /// Whether the program has found the inbox empty since the last item came.
    idle: bool,
    /// Whether what comes is dropped: the connection is being closed.
    discards: bool,
    observer: Option<Observer>,
    /// Whether the inbox answers heartbeats of the application ([`Settings::app_heartbeat`]).
    answers_heartbeats: bool,
    /// Whether the last part that came is not the last one of its message.
    is_within_parts: bool,
}

/// Bytes. What an item counts besides its payload, so that empty messages are limited too.
const ITEM_BYTES: usize = 64;

impl Inbox {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            bytes_max: settings.inbox_bytes_max,
            answers_heartbeats: settings.app_heartbeat.is_some(),
            ..Self::default()
        }
    }

    pub(crate) fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.message_queue.is_none()
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Item> {
        let Some(message_queue) = &mut self.message_queue else {
            self.idle = true;
            return None;
        };
        let item = message_queue.pop()?;
        self.idle = false;
        self.bytes -= cost(item.len());
        if message_queue.is_empty()
            && let Some(message_queue) = self.message_queue.take()
        {
            message_queue.recycle();
        }
        Some(item)
    }

    /// Takes a short message if others wait behind it and taking it changes nothing else: reading isn't paused, and the
    /// inbox doesn't become empty.
    #[inline]
    pub(crate) fn pop_within_batch(&mut self) -> Option<Message<'static>> {
        if !self.has_much_room() {
            return None;
        }
        let message = self.message_queue.as_mut()?.pop_within_batch()?;
        self.bytes -= cost(message.len());
        Some(message)
    }

    /// Returns whether half of the limit is free, so that waking the driver to read on is worth its cost.
    pub(crate) fn has_much_room(&self) -> bool {
        self.bytes <= self.bytes_max / 2
    }

    pub(crate) fn error(&mut self) -> Option<Error> {
        self.error.take()
    }

    pub(crate) fn discard(&mut self) {
        self.discards = true;
        self.message_queue = None;
        self.bytes = 0;
    }

    /// Answers `message` if it is a heartbeat of the application; returns `None` if it isn't.
    #[inline(never)]
    fn answer(&self, session: &Session, message: &Message<'_>) -> Option<Room> {
        let pong = session.answer_to_heartbeat(message)?;
        let mut writer = session.shared().lock_in_order();
        writer.reply(&pong);
        Some(match writer.has_room() {
            true => self.room(),
            false => Room::None,
        })
    }

    /// Keeps a short message, unless it is a heartbeat of the application.
    fn handle_brief(&mut self, session: &Session, message: Message<'_>) -> Room {
        if self.answers_heartbeats
            && let Some(room) = self.answer(session, &message)
        {
            return room;
        }
        self.push_with(message.len(), |message_queue| {
            message_queue.push_message(message);
        })
    }

    fn room(&self) -> Room {
        match self.has_room() {
            true => Room::Left,
            false => Room::None,
        }
    }

    /// Lets `push` add an item of `len` bytes to the queue, unless the inbox discards.
    #[inline]
    fn push_with(&mut self, len: usize, push: impl FnOnce(&mut MessageQueue)) -> Room {
        if !self.discards {
            self.bytes += cost(len);
            push(
                self.message_queue
                    .get_or_insert_with(MessageQueue::spare_or_new),
            );
        }
        self.room()
    }
}

/// Returns what an item with a payload of `len` bytes counts.
fn cost(len: usize) -> usize {
    ITEM_BYTES + len
}

impl Sink for Inbox {
    #[inline]
    fn handle_message<'b>(
        &mut self,
        session: &Session,
        message: InputMessage<'_, 'b>,
        _: &mut ReplyBatch<'b>,
    ) -> Room {
        let owned = match message {
            InputMessage::Brief(message) => return self.handle_brief(session, message),
            InputMessage::Lasting(message, pool) => pool.own(message),
            InputMessage::Owned(message, _) => message,
        };
        let item = Item::Message(owned);
        self.push_with(item.len(), |message_queue| message_queue.push(item))
    }

    fn handle_event(&mut self, session: &Session, event: Event<'_>) -> Room {
        let control = match event {
            Event::Message(_) => return self.room(),
            Event::Part(part) => {
                let is_whole = part.last && !self.is_within_parts;
                self.is_within_parts = !part.last;
                if self.answers_heartbeats
                    && is_whole
                    && part.kind == MessageKind::Text
                    && let Ok(text) = str::from_utf8(part.payload)
                    && let Some(room) = self.answer(session, &Message::from(text))
                {
                    return room;
                }
                let item = Item::Part {
                    kind: part.kind,
                    payload: part.payload.to_vec(),
                    last: part.last,
                };
                return self.push_with(item.len(), |message_queue| message_queue.push(item));
            }
            Event::Ping(payload) => Control::Ping(payload),
            Event::Pong(payload) => Control::Pong(payload),
            Event::Close(frame) => Control::Close(frame),
        };
        if let Some(observer) = &mut self.observer {
            observer(control);
        }
        self.room()
    }

    fn handle_error(&mut self, _: &Session, error: Error) {
        self.error.get_or_insert(error);
    }

    fn handle_closed(&mut self, _: &Session, _: &Closed) {}

    fn handle_panic(&mut self) {
        let observer = self.observer.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(observer)));
    }

    fn has_room(&self) -> bool {
        // An empty inbox takes one item, however small its limit is.
        self.is_empty() || self.bytes < self.bytes_max
    }

    fn held_bytes(&self) -> usize {
        self.bytes
    }

    fn shed(&mut self) {
        self.discard();
    }

    fn is_idle(&self) -> bool {
        self.discards || (self.idle && self.is_empty())
    }

    fn cork(&self) -> Cork {
        if self.is_empty() {
            Cork::Off
        } else {
            Cork::Inbox
        }
    }
}
