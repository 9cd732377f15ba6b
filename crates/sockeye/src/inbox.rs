//! What has been received and not yet taken.

use std::{cell::Cell, collections::VecDeque};

use sockeye_proto::{Event, Kind, Message, extension::Pool};

use crate::{
    Closed, Error, Session,
    driver::{Room, Sink},
    replies::Replies,
    wire::Cork,
};

/// A ping, pong or Close frame as it arrives, for those who want to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control<'a> {
    /// A ping; it is answered already.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// A Close frame; it is answered already.
    Close(sockeye_proto::CloseFrame<'a>),
}

/// The observer of control frames.
pub(crate) type Observer = Box<dyn FnMut(Control<'_>) + Send>;

/// What has been received and not yet taken, in order. Over its limit reading pauses.
#[derive(Default)]
pub(crate) struct Inbox {
    items: VecDeque<Item>,
    /// The sum of the payloads, and [`ITEM_BYTES`] for each item.
    bytes: usize,
    bytes_max: usize,
    error: Option<Error>,
    /// Whether the program has taken all, and come back for more.
    idle: bool,
    /// Nobody wants what comes: the connection is being closed.
    discards: bool,
    observer: Option<Observer>,
}

/// Bytes. What an item costs besides its payload, so that many empty ones are bounded too.
const ITEM_BYTES: usize = 64;

/// Items. Places that a thread lends.
const LENT_ITEMS_MAX: usize = 1024;

thread_local! {
    /// Empty: places that the thread lends, so that an idle inbox has none, and those of a conversation cost
    /// no allocation.
    static PLACES: Cell<VecDeque<Item>> = const { Cell::new(VecDeque::new()) };
}

pub(crate) enum Item {
    Message(Message<'static>),
    Part {
        kind: Kind,
        payload: Vec<u8>,
        last: bool,
    },
}

impl Inbox {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            ..Self::default()
        }
    }

    pub(crate) fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn pop(&mut self) -> Option<Item> {
        let Some(item) = self.items.pop_front() else {
            self.idle = true;
            return None;
        };
        self.idle = false;
        self.bytes -= item.cost();
        if self.items.is_empty() {
            self.return_places();
        }
        Some(item)
    }

    /// Whether half of the bound is free: worth a task of its own that reads on.
    pub(crate) fn has_much_room(&self) -> bool {
        self.bytes <= self.bytes_max / 2
    }

    pub(crate) fn error(&mut self) -> Option<Error> {
        self.error.take()
    }

    pub(crate) fn has_error(&self) -> bool {
        self.error.is_some()
    }

    pub(crate) fn discard(&mut self) {
        self.discards = true;
        self.items = VecDeque::new();
        self.bytes = 0;
    }

    fn room(&self) -> Room {
        match self.has_room() {
            true => Room::Left,
            false => Room::None,
        }
    }

    fn push(&mut self, item: Item) {
        if !self.discards {
            self.bytes += item.cost();
            if self.items.capacity() == 0 {
                self.items = PLACES.take();
            }
            self.items.push_back(item);
        }
    }

    /// Nothing waits: the places for items go back to the thread.
    fn return_places(&mut self) {
        let items = std::mem::take(&mut self.items);
        if items.capacity() <= LENT_ITEMS_MAX {
            PLACES.set(items);
        }
    }
}

impl Item {
    fn cost(&self) -> usize {
        ITEM_BYTES
            + match self {
                Self::Message(message) => message.len(),
                Self::Part { payload, .. } => payload.len(),
            }
    }
}

impl Sink for Inbox {
    fn handle_message(&mut self, _: &Session, message: Message<'_>, _: &mut Replies<'_>) -> Room {
        self.push(Item::Message(message.into_owned()));
        self.room()
    }

    fn handle_event(&mut self, _: &Session, event: Event<'_>) -> Room {
        let control = match event {
            Event::Message(_) => return self.room(),
            Event::Part(part) => {
                self.push(Item::Part {
                    kind: part.kind,
                    payload: part.payload.to_vec(),
                    last: part.last,
                });
                return self.room();
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

    fn handle_lasting<'b>(
        &mut self,
        session: &Session,
        message: Message<'b>,
        replies: &mut Replies<'b>,
    ) -> Room {
        self.handle_message(session, message, replies)
    }

    fn handle_large<'b>(
        &mut self,
        _: &Session,
        message: Message<'static>,
        _: &mut Pool,
        _: &mut Replies<'b>,
    ) -> Room {
        self.push(Item::Message(message));
        self.room()
    }

    fn handle_error(&mut self, _: &Session, error: Error) {
        self.error.get_or_insert(error);
    }

    fn handle_closed(&mut self, _: &Session, _: &Closed) {}

    fn has_room(&self) -> bool {
        // One item may always come, however small the bound.
        self.items.is_empty() || self.bytes < self.bytes_max
    }

    fn is_idle(&self) -> bool {
        self.discards || (self.idle && self.items.is_empty())
    }

    fn cork(&self) -> Cork {
        if self.items.is_empty() {
            Cork::Off
        } else {
            Cork::Inbox
        }
    }
}
