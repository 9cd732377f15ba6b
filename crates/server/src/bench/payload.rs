//! What is sent, made once: a message is a window on one long text.

use std::{borrow::Cow, str::Utf8Error};

use sockeye::{Message, MessageKind};

/// What an echo run sends: generated messages, or the same one again and again.
///
/// Generated: a long text of which each message of an echo run is a window. No two windows near each other are equal,
/// so an answer that is somebody else's, late or damaged shows, and sending copies nothing.
pub(crate) struct Payload {
    source: Source,
    /// Bytes of a message.
    bytes: usize,
    /// Messages that differ: 1 if it is always the same.
    windows: usize,
}

/// What messages are windows of.
enum Source {
    Text(String),
    Binary(Vec<u8>),
}

impl Payload {
    /// Messages of this size.
    pub(crate) fn generated(bytes: usize, kind: MessageKind) -> Self {
        let text = noise(bytes + WINDOWS);
        Self {
            source: match kind {
                MessageKind::Text => Source::Text(text),
                MessageKind::Binary => Source::Binary(text.into_bytes()),
            },
            bytes,
            windows: WINDOWS,
        }
    }

    /// This message each time. Fails if a text is not UTF-8.
    pub(crate) fn given(message: Vec<u8>, kind: MessageKind) -> Result<Self, Utf8Error> {
        let bytes = message.len();
        let source = match kind {
            MessageKind::Text => {
                Source::Text(String::from_utf8(message).map_err(|error| error.utf8_error())?)
            }
            MessageKind::Binary => Source::Binary(message),
        };
        Ok(Self {
            source,
            bytes,
            windows: 1,
        })
    }

    /// The message with this number of a connection.
    pub(crate) fn message(&self, connection: usize, number: u64) -> Message<'_> {
        let window = (connection
            .wrapping_mul(STRIDE)
            .wrapping_add(number as usize))
            % self.windows;
        let window = window..window + self.bytes;
        match &self.source {
            Source::Text(text) => Message::Text(Cow::Borrowed(&text[window])),
            Source::Binary(bytes) => Message::Binary(Cow::Borrowed(&bytes[window])),
        }
    }
}

/// Letters without a pattern.
fn noise(bytes: usize) -> String {
    let mut noise = 0x9E37_79B9_7F4A_7C15_u64;
    (0..bytes)
        .map(|_| {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(LETTERS[(noise >> 58) as usize])
        })
        .collect()
}

/// A publication of a fan-out run: it says which run it belongs to and its number.
pub(crate) struct Stamp {
    run: u64,
    kind: MessageKind,
    filler: String,
}

impl Stamp {
    pub(crate) fn new(run: u64, bytes: usize, kind: MessageKind) -> Self {
        Self {
            run,
            kind,
            filler: noise(bytes - STAMP_BYTES),
        }
    }

    pub(crate) fn message(&self, number: u64) -> Message<'static> {
        let text = format!("{:016x}{number:016x}{}", self.run, self.filler);
        match self.kind {
            MessageKind::Text => Message::from(text),
            MessageKind::Binary => Message::from(text.into_bytes()),
        }
    }

    /// Which publication this is.
    pub(crate) fn read(&self, message: &Message<'_>) -> Read {
        let bytes = message.as_bytes();
        let field = |from: usize| {
            let digits = bytes.get(from..from + STAMP_BYTES / 2)?;
            u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
        };
        match (field(0), field(STAMP_BYTES / 2)) {
            (Some(run), Some(number)) if run == self.run => {
                let whole =
                    message.kind() == self.kind && bytes[STAMP_BYTES..] == *self.filler.as_bytes();
                if whole {
                    Read::Number(number)
                } else {
                    Read::Damaged
                }
            }
            _ => Read::Foreign,
        }
    }
}

/// What a receiver of a fan-out run finds in a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Number(u64),
    /// Ours, but not as it was sent.
    Damaged,
    /// Somebody else talks in this room.
    Foreign,
}

/// Bytes. Two numbers of 16 hexadecimal digits.
pub(crate) const STAMP_BYTES: usize = 32;

/// Windows before they come round again: more than are ever in flight on a connection.
const WINDOWS: usize = 8192;

/// Apart enough that connections opened one after the other don't send the same.
const STRIDE: usize = 127;

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_differ_and_repeat_themselves_exactly() {
        let payload = Payload::generated(20, MessageKind::Text);
        assert_eq!(payload.message(3, 9), payload.message(3, 9));
        assert_ne!(payload.message(3, 9), payload.message(3, 10));
        assert_ne!(payload.message(3, 9), payload.message(4, 9));
        assert_eq!(payload.message(3, u64::MAX).len(), 20);
    }

    #[test]
    fn a_given_message_is_sent_as_it_is() {
        let text = Payload::given(b"h\xc3\xa9".to_vec(), MessageKind::Text).unwrap();
        assert_eq!(text.message(3, 9), "hé".into());
        assert!(Payload::given(b"\xff".to_vec(), MessageKind::Text).is_err());
        let binary = Payload::given(b"\xff".to_vec(), MessageKind::Binary).unwrap();
        assert_eq!(binary.message(3, 10), b"\xff".into());
    }

    #[test]
    fn a_publication_is_told_from_a_damaged_and_a_foreign_one() {
        let stamp = Stamp::new(7, 40, MessageKind::Text);
        assert_eq!(stamp.message(5).len(), 40);
        assert_eq!(stamp.read(&stamp.message(5)), Read::Number(5));
        let text = stamp.message(5).as_text().unwrap().to_owned();
        assert_eq!(stamp.read(&text[..39].into()), Read::Damaged);
        assert_eq!(stamp.read(&text.as_bytes().into()), Read::Damaged);
        assert_eq!(
            stamp.read(&Stamp::new(8, 40, MessageKind::Text).message(5)),
            Read::Foreign
        );
        assert_eq!(stamp.read(&"hello".into()), Read::Foreign);
    }
}
