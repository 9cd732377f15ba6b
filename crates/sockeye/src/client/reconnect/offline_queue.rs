//! The messages that wait for a connection: a pure function of time.

use std::{collections::VecDeque, time::Duration};

use sockeye_proto::Message;

use crate::client::reconnect::{
    event::{Dropped, Reason},
    queue::{Overflow, Queue},
};

/// Messages that wait for a connection, and those that were given up and wait to be reported.
///
/// Orders: [`OfflineQueue::push`], [`OfflineQueue::put_back`], [`OfflineQueue::end`]. Outputs: [`OfflineQueue::pop`],
/// [`OfflineQueue::poll_dropped`]. [`OfflineQueue::poll_timeout`] returns when [`OfflineQueue::handle_timeout`] is due.
///
/// ```text
///   push ──> waiting ── pop ──────> the connection ── put_back (to the front of waiting)
///    │          │
///    v          └── displaced, expired, ended ──> dropped ── poll_dropped ──> Event::Dropped
///   Full: refused
/// ```
#[derive(Debug)]
pub(super) struct OfflineQueue {
    options: Queue,
    waiting: VecDeque<QueuedMessage>,
    /// The payload bytes of `waiting`.
    waiting_bytes: usize,
    dropped: VecDeque<Dropped>,
    /// The payload bytes of `dropped`.
    dropped_bytes: usize,
}

#[derive(Debug)]
struct QueuedMessage {
    message: Message<'static>,
    /// `None` if it may wait for any time.
    expires_at: Option<Duration>,
}

impl OfflineQueue {
    pub(super) fn new(options: Queue) -> Self {
        Self {
            options,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            dropped: VecDeque::new(),
            dropped_bytes: 0,
        }
    }

    /// Adds a message.
    ///
    /// # Errors
    ///
    /// [`Full`] if it doesn't fit and the oldest messages don't make room.
    pub(super) fn push(&mut self, message: &Message<'_>, now: Duration) -> Result<(), Full> {
        self.handle_timeout(now);
        let bytes = message.len();
        // Dropped messages that the program hasn't fetched use memory too.
        let unread = self.dropped.len() >= self.options.messages_max.max(1)
            || self.dropped_bytes > self.options.bytes_max;
        if unread || bytes > self.options.bytes_max || self.options.messages_max == 0 {
            return Err(Full);
        }
        if !self.has_room(bytes) && self.options.overflow == Overflow::Reject {
            return Err(Full);
        }
        while !self.has_room(bytes) {
            let Some(oldest) = self.take() else { break };
            self.drop_message(oldest.message, Reason::Displaced);
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back(QueuedMessage {
            message: message.clone().into_owned(),
            expires_at: self
                .options
                .time_to_live
                .map(|time| now.saturating_add(time)),
        });
        Ok(())
    }

    /// Takes the oldest message that hasn't expired.
    pub(super) fn pop(&mut self, now: Duration) -> Option<Message<'static>> {
        self.handle_timeout(now);
        self.take().map(|waiting| waiting.message)
    }

    /// Puts a message that a connection didn't take back to the front. It hadn't expired when it was popped, so it
    /// doesn't expire now.
    pub(super) fn put_back(&mut self, message: Message<'static>) {
        self.waiting_bytes += message.len();
        self.waiting.push_front(QueuedMessage {
            message,
            expires_at: None,
        });
    }

    /// Drops the messages that have waited too long.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        while self.poll_timeout().is_some_and(|due| due <= now) {
            let Some(expired) = self.take() else { break };
            self.drop_message(expired.message, Reason::Expired);
        }
    }

    /// Returns when the oldest message expires.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        // All messages have the same time to live, so the oldest expires first.
        self.waiting.front().and_then(|waiting| waiting.expires_at)
    }

    /// Takes the next message that was dropped.
    pub(super) fn poll_dropped(&mut self) -> Option<Dropped> {
        let dropped = self.dropped.pop_front()?;
        self.dropped_bytes -= dropped.message.len();
        Some(dropped)
    }

    /// Drops all messages: there will be no connection any more.
    pub(super) fn end(&mut self) {
        while let Some(waiting) = self.take() {
            self.drop_message(waiting.message, Reason::Ended);
        }
    }

    /// Returns whether there is no room for a message of so many bytes.
    pub(super) fn is_full_for(&self, bytes: usize) -> bool {
        !self.has_room(bytes)
    }

    /// Returns whether a dropped message waits to be fetched.
    pub(super) fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Returns the number of messages that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.waiting.len() < self.options.messages_max
            && self.waiting_bytes + bytes <= self.options.bytes_max
    }

    fn take(&mut self) -> Option<QueuedMessage> {
        let waiting = self.waiting.pop_front()?;
        self.waiting_bytes -= waiting.message.len();
        Some(waiting)
    }

    fn drop_message(&mut self, message: Message<'static>, reason: Reason) {
        self.dropped_bytes += message.len();
        self.dropped.push_back(Dropped { message, reason });
    }
}

/// The queue has no room for the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ZERO: Duration = Duration::ZERO;

    fn text(text: &str) -> Message<'_> {
        Message::from(text)
    }

    fn drain(queue: &mut OfflineQueue, now: Duration) -> Vec<String> {
        std::iter::from_fn(|| queue.pop(now))
            .map(|message| message.as_text().unwrap().to_owned())
            .collect()
    }

    fn dropped(queue: &mut OfflineQueue) -> Vec<(String, Reason)> {
        std::iter::from_fn(|| queue.poll_dropped())
            .map(|dropped| {
                (
                    dropped.message.as_text().unwrap().to_owned(),
                    dropped.reason,
                )
            })
            .collect()
    }

    #[test]
    fn a_full_queue_refuses() {
        let mut queue = OfflineQueue::new(Queue::reject_when_full().messages_max(2).bytes_max(10));
        assert_eq!(queue.push(&text("12345678901"), ZERO), Err(Full));
        assert_eq!(queue.push(&text("123456"), ZERO), Ok(()));
        assert_eq!(queue.push(&text("12345"), ZERO), Err(Full));
        assert_eq!(queue.push(&text("1234"), ZERO), Ok(()));
        assert_eq!(queue.push(&text(""), ZERO), Err(Full));
        assert_eq!(drain(&mut queue, ZERO), ["123456", "1234"]);
        assert_eq!(dropped(&mut queue), []);
    }

    #[test]
    fn the_oldest_make_room_and_are_reported() {
        let mut queue = OfflineQueue::new(Queue::drop_oldest().messages_max(3).bytes_max(10));
        for message in ["aa", "bb", "cc", "dd"] {
            queue.push(&text(message), ZERO).unwrap();
        }
        queue.push(&text("eeeeeeee"), ZERO).unwrap();
        let displaced = ["aa", "bb", "cc"].map(|text| (text.to_owned(), Reason::Displaced));
        assert_eq!(dropped(&mut queue), displaced);
        assert_eq!(drain(&mut queue, ZERO), ["dd", "eeeeeeee"]);
    }

    #[test]
    fn a_message_that_waited_too_long_is_reported_and_not_sent() {
        let seconds = Duration::from_secs;
        let mut queue = OfflineQueue::new(Queue::default().time_to_live(seconds(5)));
        queue.push(&text("old"), seconds(0)).unwrap();
        queue.push(&text("new"), seconds(3)).unwrap();
        assert_eq!(queue.poll_timeout(), Some(seconds(5)));
        assert_eq!(drain(&mut queue, seconds(5)), ["new"]);
        assert_eq!(dropped(&mut queue), [("old".to_owned(), Reason::Expired)]);
    }

    #[test]
    fn without_a_queue_everything_is_refused() {
        let mut queue = OfflineQueue::new(Queue::none());
        assert_eq!(queue.push(&text("a"), ZERO), Err(Full));
    }

    proptest! {
        #[test]
        fn every_message_is_refused_sent_or_reported_and_memory_is_bounded(
            oldest: bool,
            messages_max in 0..6_usize,
            live_s in prop::option::of(1..10_u64),
            story in prop::collection::vec((0..4_u8, 0..12_usize), 1..200),
        ) {
            let options = if oldest { Queue::drop_oldest() } else { Queue::reject_when_full() };
            let mut options = options.messages_max(messages_max).bytes_max(30);
            options.time_to_live = live_s.map(Duration::from_secs);
            let mut queue = OfflineQueue::new(options);
            let (mut taken, mut given) = (0, 0);
            for (step, (what, bytes)) in story.into_iter().enumerate() {
                let now = Duration::from_secs(step as u64);
                match what {
                    0 | 1 => taken += u32::from(queue.push(&vec![0; bytes].into(), now).is_ok()),
                    2 => given += u32::from(queue.pop(now).is_some()),
                    _ => given += u32::from(queue.poll_dropped().is_some()),
                }
                prop_assert!(queue.waiting.len() <= messages_max);
                prop_assert!(queue.waiting_bytes <= 30);
                prop_assert!(queue.dropped.len() <= 2 * messages_max);
                prop_assert!(queue.dropped_bytes <= 60 + 30);
            }
            queue.end();
            given += std::iter::from_fn(|| queue.poll_dropped()).count() as u32;
            prop_assert_eq!(taken, given);
            prop_assert_eq!((queue.waiting_bytes, queue.dropped_bytes), (0, 0));
        }
    }
}
