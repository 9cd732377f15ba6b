//! Received items in the order in which they came, and the memory for them.

use std::{cell::Cell, collections::VecDeque};

use sockeye_proto::{Message, MessageKind};

use crate::connection::{SHORT_BYTES_END, buffers};

/// Items. What a shelf that a thread lends may have places for.
const LENT_ITEMS_MAX: usize = 1024;

/// Bytes. What it may have room for: the short messages of each kind.
const LENT_BYTES_MAX: usize = 32 << 10;

thread_local! {
    /// Empty: so that an idle inbox has none, and that of a busy one costs no allocation.
    static SHELF: Cell<Option<Box<MessageQueue>>> = const { Cell::new(None) };
}

pub(crate) enum Item {
    Message(Message<'static>),
    Part {
        kind: MessageKind,
        payload: Vec<u8>,
        last: bool,
    },
}

/// Received items in the order in which they came, and the memory for them. It doesn't judge its own size:
/// its owner does.
#[derive(Default)]
pub(crate) struct MessageQueue {
    slots: VecDeque<Slot>,
    /// The payloads of the short messages that are binary; `bytes[..bytes_taken]` are taken.
    bytes: Vec<u8>,
    bytes_taken: usize,
    /// The same for text, which stays known to be UTF-8.
    text: String,
    text_taken: usize,
}

impl Item {
    /// Payload bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Part { payload, .. } => payload.len(),
        }
    }
}

enum Slot {
    /// A short message of so many bytes.
    Short(MessageKind, usize),
    Item(Item),
}

impl MessageQueue {
    /// The thread's, or a new one.
    #[inline]
    pub(crate) fn lent() -> Box<Self> {
        SHELF.take().unwrap_or_default()
    }

    /// Gives it back, empty.
    #[inline]
    pub(crate) fn give_back(mut self: Box<Self>) {
        debug_assert!(self.slots.is_empty());
        self.bytes.clear();
        self.text.clear();
        (self.bytes_taken, self.text_taken) = (0, 0);
        if self.slots.capacity() <= LENT_ITEMS_MAX
            && self.bytes.capacity().max(self.text.capacity()) <= LENT_BYTES_MAX
        {
            SHELF.set(Some(self));
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    #[inline]
    pub(crate) fn push_message(&mut self, message: Message<'_>) {
        let (kind, len) = (message.kind(), message.len());
        let slot = match message {
            message if len >= SHORT_BYTES_END => Slot::Item(Item::Message(message.into_owned())),
            Message::Text(text) => {
                self.text.push_str(&text);
                Slot::Short(kind, len)
            }
            Message::Binary(bytes) => {
                self.bytes.extend_from_slice(&bytes);
                Slot::Short(kind, len)
            }
        };
        self.slots.push_back(slot);
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.slots.push_back(Slot::Item(item));
    }

    /// Takes a short message, if that is what comes next and isn't the last.
    #[inline]
    pub(crate) fn pop_amid(&mut self) -> Option<Message<'static>> {
        let Some(&Slot::Short(kind, len)) = self.slots.front() else {
            return None;
        };
        if self.slots.len() == 1 {
            return None;
        }
        self.slots.pop_front();
        Some(self.take_short(kind, len))
    }

    /// The next of the short messages.
    #[inline]
    fn take_short(&mut self, kind: MessageKind, len: usize) -> Message<'static> {
        match kind {
            MessageKind::Binary => {
                let end = self.bytes_taken + len;
                let message = buffers::binary(&self.bytes[self.bytes_taken..end]);
                self.bytes_taken = end;
                if end > LENT_BYTES_MAX && end > self.bytes.len() / 2 {
                    self.bytes.drain(..end);
                    self.bytes_taken = 0;
                }
                message
            }
            MessageKind::Text => {
                let end = self.text_taken + len;
                let message = buffers::text(&self.text[self.text_taken..end]);
                self.text_taken = end;
                if end > LENT_BYTES_MAX && end > self.text.len() / 2 {
                    self.text.drain(..end);
                    self.text_taken = 0;
                }
                message
            }
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Item> {
        match self.slots.pop_front()? {
            Slot::Short(kind, len) => Some(Item::Message(self.take_short(kind, len))),
            Slot::Item(item) => Some(item),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popped(message_queue: &mut MessageQueue) -> Message<'static> {
        match message_queue.pop() {
            Some(Item::Message(message)) => message,
            _ => panic!("a message was pushed"),
        }
    }

    #[test]
    fn messages_of_every_length_and_kind_keep_their_order() {
        let mut message_queue = MessageQueue::default();
        let lengths = [0, 1, SHORT_BYTES_END - 1, SHORT_BYTES_END, 3, 0];
        for len in lengths {
            message_queue.push_message(Message::from(&vec![7; len]));
            message_queue.push_message(Message::from("é".repeat(len).as_str()));
        }
        for len in lengths {
            assert_eq!(popped(&mut message_queue), Message::from(vec![7; len]));
            assert_eq!(popped(&mut message_queue), Message::from("é".repeat(len)));
        }
        assert!(message_queue.pop().is_none());
    }

    #[test]
    fn amid_a_batch_only_short_messages_are_taken_and_never_the_last() {
        let mut message_queue = MessageQueue::default();
        message_queue.push_message(Message::from("one"));
        message_queue.push_message(Message::from(&[2]));
        message_queue.push_message(Message::from(&[3; SHORT_BYTES_END]));
        message_queue.push_message(Message::from("four"));
        assert_eq!(message_queue.pop_amid(), Some(Message::from("one")));
        assert_eq!(message_queue.pop_amid(), Some(Message::from(&[2])));
        assert_eq!(message_queue.pop_amid(), None);
        assert_eq!(
            popped(&mut message_queue),
            Message::from(&[3; SHORT_BYTES_END])
        );
        assert_eq!(message_queue.pop_amid(), None);
        assert_eq!(popped(&mut message_queue), Message::from("four"));
    }

    #[test]
    fn a_shelf_that_never_empties_does_not_grow() {
        let mut message_queue = MessageQueue::default();
        let text = "é".repeat(500);
        message_queue.push_message(Message::from(&text));
        message_queue.push_message(Message::from(text.as_bytes()));
        for _ in 0..10_000 {
            message_queue.push_message(Message::from(&text));
            message_queue.push_message(Message::from(text.as_bytes()));
            assert_eq!(popped(&mut message_queue), Message::from(&text));
            assert_eq!(popped(&mut message_queue), Message::from(text.as_bytes()));
        }
        let kept = message_queue
            .bytes
            .capacity()
            .max(message_queue.text.capacity());
        assert!(kept <= 4 * LENT_BYTES_MAX, "{kept}");
    }
}
