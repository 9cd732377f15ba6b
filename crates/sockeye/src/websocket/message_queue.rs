//! A queue of received items, with the memory for short messages.

use std::{cell::Cell, collections::VecDeque};

use sockeye_proto::{Message, MessageKind};

use crate::connection::{SHORT_BYTES_END, buffers};

/// Items. The capacity up to which a thread keeps an empty queue for reuse.
const SPARE_ITEMS_MAX: usize = 1024;

/// Bytes, for the short messages of each kind. The capacity up to which a thread keeps an empty queue for reuse.
const SPARE_BYTES_MAX: usize = 32 << 10;

thread_local! {
    /// An empty queue that the next inbox of this thread takes. An idle inbox has no queue, and a busy one allocates none.
    static SPARE: Cell<Option<Box<MessageQueue>>> = const { Cell::new(None) };
}

pub(crate) enum Item {
    Message(Message<'static>),
    Part {
        kind: MessageKind,
        payload: Vec<u8>,
        last: bool,
    },
}

/// Received items in the order in which they came. The payloads of short messages share two buffers, one for each
/// kind. The inbox that owns the queue limits its size.
///
/// ```text
///   slots   Short(Text, 2) │ Short(Binary, 3) │ Item(Message) │ Short(Text, 1)
///              │                  │               └ a long message, or a part: it owns its payload
///   text     "hi" ────────────────┼────────────────────────────── "x"
///   bytes                      1, 2, 3
/// ```
#[derive(Default)]
pub(crate) struct MessageQueue {
    slots: VecDeque<QueueSlot>,
    /// The payloads of short binary messages. `bytes[..bytes_taken]` has been taken.
    bytes: Vec<u8>,
    bytes_taken: usize,
    /// The payloads of short text messages. `text[..text_taken]` has been taken. A `String`, so that UTF-8 isn't
    /// checked a second time.
    text: String,
    text_taken: usize,
}

impl Item {
    /// Returns the bytes of the payload.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Part { payload, .. } => payload.len(),
        }
    }
}

enum QueueSlot {
    /// A short message: its kind, and the bytes of its payload in the buffer of that kind.
    Short(MessageKind, usize),
    Item(Item),
}

impl MessageQueue {
    /// Returns this thread's spare queue, or a new one.
    #[inline]
    pub(crate) fn spare_or_new() -> Box<Self> {
        SPARE.take().unwrap_or_default()
    }

    /// Keeps the empty queue as this thread's spare one, unless it is too large.
    #[inline]
    pub(crate) fn recycle(mut self: Box<Self>) {
        debug_assert!(self.slots.is_empty());
        self.bytes.clear();
        self.text.clear();
        (self.bytes_taken, self.text_taken) = (0, 0);
        if self.slots.capacity() <= SPARE_ITEMS_MAX
            && self.bytes.capacity().max(self.text.capacity()) <= SPARE_BYTES_MAX
        {
            SPARE.set(Some(self));
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
            message if len >= SHORT_BYTES_END => {
                QueueSlot::Item(Item::Message(message.into_owned()))
            }
            Message::Text(text) => {
                self.text.push_str(&text);
                QueueSlot::Short(kind, len)
            }
            Message::Binary(bytes) => {
                self.bytes.extend_from_slice(&bytes);
                QueueSlot::Short(kind, len)
            }
        };
        self.slots.push_back(slot);
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.slots.push_back(QueueSlot::Item(item));
    }

    /// Takes the next item if it is a short message and not the last item.
    #[inline]
    pub(crate) fn pop_within_batch(&mut self) -> Option<Message<'static>> {
        let Some(&QueueSlot::Short(kind, len)) = self.slots.front() else {
            return None;
        };
        if self.slots.len() == 1 {
            return None;
        }
        self.slots.pop_front();
        Some(self.take_short(kind, len))
    }

    /// Takes the next short message of `kind` out of its buffer.
    #[inline]
    fn take_short(&mut self, kind: MessageKind, len: usize) -> Message<'static> {
        match kind {
            MessageKind::Binary => {
                let end = self.bytes_taken + len;
                let message = buffers::binary(&self.bytes[self.bytes_taken..end]);
                self.bytes_taken = end;
                if end > SPARE_BYTES_MAX && end > self.bytes.len() / 2 {
                    self.bytes.drain(..end);
                    self.bytes_taken = 0;
                }
                message
            }
            MessageKind::Text => {
                let end = self.text_taken + len;
                let message = buffers::text(&self.text[self.text_taken..end]);
                self.text_taken = end;
                if end > SPARE_BYTES_MAX && end > self.text.len() / 2 {
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
            QueueSlot::Short(kind, len) => Some(Item::Message(self.take_short(kind, len))),
            QueueSlot::Item(item) => Some(item),
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
    fn within_a_batch_only_short_messages_are_taken_and_never_the_last() {
        let mut message_queue = MessageQueue::default();
        message_queue.push_message(Message::from("one"));
        message_queue.push_message(Message::from(&[2]));
        message_queue.push_message(Message::from(&[3; SHORT_BYTES_END]));
        message_queue.push_message(Message::from("four"));
        assert_eq!(message_queue.pop_within_batch(), Some(Message::from("one")));
        assert_eq!(message_queue.pop_within_batch(), Some(Message::from(&[2])));
        assert_eq!(message_queue.pop_within_batch(), None);
        assert_eq!(
            popped(&mut message_queue),
            Message::from(&[3; SHORT_BYTES_END])
        );
        assert_eq!(message_queue.pop_within_batch(), None);
        assert_eq!(popped(&mut message_queue), Message::from("four"));
    }

    #[test]
    fn a_queue_that_never_empties_does_not_grow() {
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
        assert!(kept <= 4 * SPARE_BYTES_MAX, "{kept}");
    }
}
