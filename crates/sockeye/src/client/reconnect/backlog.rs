//! The queue itself: a pure function of the time.

use std::{collections::VecDeque, time::Duration};

use sockeye_proto::Message;

use crate::client::reconnect::{
    event::{Dropped, Reason},
    queue::{Overflow, Queue},
};

/// Messages that wait for a connection, and those that were given up and wait to be reported.
///
/// Orders: [`Backlog::push`], [`Backlog::put_back`], [`Backlog::end`]; output: [`Backlog::pop`],
/// [`Backlog::poll_dropped`]; [`Backlog::poll_timeout`] says when [`Backlog::handle_timeout`] is due.
#[derive(Debug)]
pub(super) struct Backlog {
    queue: Queue,
    waiting: VecDeque<Waiting>,
    /// The payloads of `waiting`.
    waiting_bytes: usize,
    dropped: VecDeque<Dropped>,
    /// The payloads of `dropped`.
    dropped_bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    message: Message<'static>,
    /// `None`: whenever.
    expires_at: Option<Duration>,
}

impl Backlog {
    pub(super) fn new(queue: Queue) -> Self {
        Self {
            queue,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            dropped: VecDeque::new(),
            dropped_bytes: 0,
        }
    }

    /// Takes a message, or says no.
    pub(super) fn push(&mut self, message: &Message<'_>, now: Duration) -> Result<(), Full> {
        self.handle_timeout(now);
        let bytes = message.len();
        // Reports that nobody fetches are memory too.
        let unread = self.dropped.len() >= self.queue.messages_max.max(1)
            || self.dropped_bytes > self.queue.bytes_max;
        if unread || bytes > self.queue.bytes_max || self.queue.messages_max == 0 {
            return Err(Full);
        }
        if !self.has_room(bytes) && self.queue.overflow == Overflow::Reject {
            return Err(Full);
        }
        while !self.has_room(bytes) {
            let Some(oldest) = self.take() else { break };
            self.give_up(oldest.message, Reason::Displaced);
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back(Waiting {
            message: message.clone().into_owned(),
            expires_at: self.queue.time_to_live.map(|time| now.saturating_add(time)),
        });
        Ok(())
    }

    /// The oldest message that is still wanted.
    pub(super) fn pop(&mut self, now: Duration) -> Option<Message<'static>> {
        self.handle_timeout(now);
        self.take().map(|waiting| waiting.message)
    }

    /// A message that was popped and came to no connection goes first again. It was wanted when it was
    /// popped, so it is not late now.
    pub(super) fn put_back(&mut self, message: Message<'static>) {
        self.waiting_bytes += message.len();
        self.waiting.push_front(Waiting {
            message,
            expires_at: None,
        });
    }

    /// Gives up what has waited too long.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        while self.poll_timeout().is_some_and(|due| due <= now) {
            let Some(expired) = self.take() else { break };
            self.give_up(expired.message, Reason::Expired);
        }
    }

    /// When the oldest message will have waited too long.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        // All live equally long, so the oldest goes first.
        self.waiting.front().and_then(|waiting| waiting.expires_at)
    }

    /// The next message that was given up.
    pub(super) fn poll_dropped(&mut self) -> Option<Dropped> {
        let dropped = self.dropped.pop_front()?;
        self.dropped_bytes -= dropped.message.len();
        Some(dropped)
    }

    /// There will be no connection any more.
    pub(super) fn end(&mut self) {
        while let Some(waiting) = self.take() {
            self.give_up(waiting.message, Reason::Ended);
        }
    }

    /// Whether a message of so many bytes has to wait, or somebody has to go for it.
    pub(super) fn is_full_for(&self, bytes: usize) -> bool {
        !self.has_room(bytes)
    }

    /// Whether there is something to report.
    pub(super) fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Messages that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.waiting.len() < self.queue.messages_max
            && self.waiting_bytes + bytes <= self.queue.bytes_max
    }

    fn take(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        self.waiting_bytes -= waiting.message.len();
        Some(waiting)
    }

    fn give_up(&mut self, message: Message<'static>, reason: Reason) {
        self.dropped_bytes += message.len();
        self.dropped.push_back(Dropped { message, reason });
    }
}

/// The queue doesn't take it.
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

    fn drain(backlog: &mut Backlog, now: Duration) -> Vec<String> {
        std::iter::from_fn(|| backlog.pop(now))
            .map(|message| message.as_text().unwrap().to_owned())
            .collect()
    }

    fn dropped(backlog: &mut Backlog) -> Vec<(String, Reason)> {
        std::iter::from_fn(|| backlog.poll_dropped())
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
        let mut backlog = Backlog::new(Queue::reject_when_full().messages_max(2).bytes_max(10));
        assert_eq!(backlog.push(&text("12345678901"), ZERO), Err(Full));
        assert_eq!(backlog.push(&text("123456"), ZERO), Ok(()));
        assert_eq!(backlog.push(&text("12345"), ZERO), Err(Full));
        assert_eq!(backlog.push(&text("1234"), ZERO), Ok(()));
        assert_eq!(backlog.push(&text(""), ZERO), Err(Full));
        assert_eq!(drain(&mut backlog, ZERO), ["123456", "1234"]);
        assert_eq!(dropped(&mut backlog), []);
    }

    #[test]
    fn the_oldest_make_room_and_are_reported() {
        let mut backlog = Backlog::new(Queue::drop_oldest().messages_max(3).bytes_max(10));
        for message in ["aa", "bb", "cc", "dd"] {
            backlog.push(&text(message), ZERO).unwrap();
        }
        backlog.push(&text("eeeeeeee"), ZERO).unwrap();
        let displaced = ["aa", "bb", "cc"].map(|text| (text.to_owned(), Reason::Displaced));
        assert_eq!(dropped(&mut backlog), displaced);
        assert_eq!(drain(&mut backlog, ZERO), ["dd", "eeeeeeee"]);
    }

    #[test]
    fn a_message_that_waited_too_long_is_reported_and_not_sent() {
        let seconds = Duration::from_secs;
        let mut backlog = Backlog::new(Queue::default().time_to_live(seconds(5)));
        backlog.push(&text("old"), seconds(0)).unwrap();
        backlog.push(&text("new"), seconds(3)).unwrap();
        assert_eq!(backlog.poll_timeout(), Some(seconds(5)));
        assert_eq!(drain(&mut backlog, seconds(5)), ["new"]);
        assert_eq!(dropped(&mut backlog), [("old".to_owned(), Reason::Expired)]);
    }

    #[test]
    fn without_a_queue_everything_is_refused() {
        let mut backlog = Backlog::new(Queue::none());
        assert_eq!(backlog.push(&text("a"), ZERO), Err(Full));
    }

    proptest! {
        #[test]
        fn every_message_is_refused_sent_or_reported_and_memory_is_bounded(
            oldest: bool,
            messages_max in 0..6_usize,
            live_s in prop::option::of(1..10_u64),
            story in prop::collection::vec((0..4_u8, 0..12_usize), 1..200),
        ) {
            let queue = if oldest { Queue::drop_oldest() } else { Queue::reject_when_full() };
            let mut queue = queue.messages_max(messages_max).bytes_max(30);
            queue.time_to_live = live_s.map(Duration::from_secs);
            let mut backlog = Backlog::new(queue);
            let (mut taken, mut given) = (0, 0);
            for (step, (what, bytes)) in story.into_iter().enumerate() {
                let now = Duration::from_secs(step as u64);
                match what {
                    0 | 1 => taken += u32::from(backlog.push(&vec![0; bytes].into(), now).is_ok()),
                    2 => given += u32::from(backlog.pop(now).is_some()),
                    _ => given += u32::from(backlog.poll_dropped().is_some()),
                }
                prop_assert!(backlog.waiting.len() <= messages_max);
                prop_assert!(backlog.waiting_bytes <= 30);
                prop_assert!(backlog.dropped.len() <= 2 * messages_max);
                prop_assert!(backlog.dropped_bytes <= 60 + 30);
            }
            backlog.end();
            given += std::iter::from_fn(|| backlog.poll_dropped()).count() as u32;
            prop_assert_eq!(taken, given);
            prop_assert_eq!((backlog.waiting_bytes, backlog.dropped_bytes), (0, 0));
        }
    }
}
