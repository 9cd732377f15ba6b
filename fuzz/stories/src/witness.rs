//! Who writes down what a receiver gives.

use sockeye_proto::{Event, Input, Limits, MessageKind, ProtocolError, Receiver, extension::Pool};

/// An event, owned. A message in parts is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Message(MessageKind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
}

/// Who writes down what a receiver gives.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Witness {
    pub seen: Vec<Seen>,
    pub error: Option<ProtocolError>,
    /// The parts of a message that has not ended.
    parts: Vec<u8>,
}

impl Witness {
    /// Gives the receiver all these bytes, and whatever it sees to `answer` too.
    pub fn feed(
        &mut self,
        receiver: &mut Receiver,
        bytes: &mut [u8],
        limits: &Limits,
        pool: &mut Pool,
        mut answer: impl FnMut(&Event<'_>),
    ) {
        let mut input = Input::new(bytes);
        loop {
            match receiver.poll_event(&mut input, pool, limits) {
                Ok(Some(event)) => {
                    assert_eq!(self.error, None, "an event after an error");
                    answer(&event);
                    self.note(&event, limits);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(self.error.replace(error), None, "an error after an error");
                }
            }
        }
        assert!(input.is_empty(), "bytes were not eaten");
        // A vector doubles as it grows, and keeps a first frame's 64 KiB in any case.
        // Beside it there may be a context and a window for inflating.
        let bytes_max = 2 * limits.message_bytes_max + (64 << 10) + 125 + (80 << 10);
        assert!(receiver.buffered_bytes() <= bytes_max);
    }

    fn note(&mut self, event: &Event<'_>, limits: &Limits) {
        let ended = matches!(self.seen.last(), Some(Seen::Close(..)));
        assert!(!ended, "an event after Close");
        match event {
            Event::Message(message) => {
                assert!(message.len() <= limits.message_bytes_max);
                let bytes = message.as_bytes().to_vec();
                self.seen.push(Seen::Message(message.kind(), bytes));
            }
            Event::Part(part) => {
                self.parts.extend_from_slice(part.payload);
                assert!(self.parts.len() <= limits.message_bytes_max);
                if part.last {
                    let bytes = std::mem::take(&mut self.parts);
                    let is_right =
                        part.kind == MessageKind::Binary || str::from_utf8(&bytes).is_ok();
                    assert!(is_right, "text that is not UTF-8");
                    self.seen.push(Seen::Message(part.kind, bytes));
                }
            }
            Event::Ping(payload) => self.seen.push(Seen::Ping(payload.to_vec())),
            Event::Pong(payload) => self.seen.push(Seen::Pong(payload.to_vec())),
            Event::Close(frame) => {
                let reason = frame.reason.to_owned();
                self.seen.push(Seen::Close(frame.code.as_u16(), reason));
            }
        }
    }

    /// What was seen and how it ended; not how much of an unfinished message was.
    pub fn into_story(self) -> (Vec<Seen>, Option<ProtocolError>) {
        (self.seen, self.error)
    }
}
