//! The payloads, made once: each message is a window on one long text.

use std::str::Utf8Error;

use sockeye::{Message, MessageKind};

/// The messages of an echo run: generated ones, or one given message.
///
/// A generated message is a window on a long text. Windows near each other differ, so that a wrong, late or damaged answer is
/// found, and sending copies nothing.
pub(crate) struct Payload {
    source: Source,
    /// Bytes of a message.
    bytes: usize,
    /// The number of different messages: 1 if all are the same.
    windows: usize,
}

/// The text on which messages are windows.
enum Source {
    Text(String),
    Binary(Vec<u8>),
}

impl Payload {
    /// Generates messages of this size.
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

    /// Uses this message each time. Fails if a text is not UTF-8.
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

    /// Returns the message with this number of a connection.
    pub(crate) fn message(&self, connection: usize, number: u64) -> Message<'_> {
        let window = (connection
            .wrapping_mul(STRIDE)
            .wrapping_add(number as usize))
            % self.windows;
        let window = window..window + self.bytes;
        match &self.source {
            Source::Text(text) => Message::from(&text[window]),
            Source::Binary(bytes) => Message::from(&bytes[window]),
        }
    }
}

/// Returns random letters.
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

/// The publications of a fan-out run. Each has the run's id and a number.
pub(crate) struct Stamp {
    run: u64,
    /// `run` as it is written.
    id: String,
    kind: MessageKind,
    filler: String,
}

impl Stamp {
    pub(crate) fn new(run: u64, bytes: usize, kind: MessageKind) -> Self {
        Self {
            run,
            id: format!("{run:016x}"),
            kind,
            filler: noise(bytes - STAMP_BYTES),
        }
    }

    /// Returns the text of the publication with this number.
    pub(crate) fn text(&self, number: u64) -> String {
        format!("{:016x}{number:016x}{}", self.run, self.filler)
    }

    pub(crate) fn message(&self, number: u64) -> Message<'static> {
        let text = self.text(number);
        match self.kind {
            MessageKind::Text => Message::from(text),
            MessageKind::Binary => Message::from(text.into_bytes()),
        }
    }

    /// Returns which publication a text within other bytes is.
    pub(crate) fn find(&self, bytes: &[u8]) -> Read {
        let Some(begin) = memchr::memmem::find(bytes, self.id.as_bytes()) else {
            return Read::Foreign;
        };
        let number = begin + STAMP_BYTES / 2..begin + STAMP_BYTES;
        let number = bytes.get(number).and_then(|digits| {
            let digits = str::from_utf8(digits).ok()?;
            u64::from_str_radix(digits, 16).ok()
        });
        let filler = bytes.get(begin + STAMP_BYTES..begin + STAMP_BYTES + self.filler.len());
        match number {
            Some(number) if filler == Some(self.filler.as_bytes()) => Read::Number(number),
            _ => Read::Damaged,
        }
    }

    /// Returns which publication a message is.
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

/// The content of a message that a receiver of a fan-out run gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Number(u64),
    /// A publication of this run that was changed.
    Damaged,
    /// A message of another client in the room.
    Foreign,
}

/// Bytes. Two numbers of 16 hexadecimal digits.
pub(crate) const STAMP_BYTES: usize = 32;

/// Windows before they repeat: more than are ever in flight on a connection.
const WINDOWS: usize = 8192;

/// Distance between the windows of two connections, so that they don't send the same.
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
    fn a_publication_is_found_within_other_bytes() {
        let stamp = Stamp::new(7, 40, MessageKind::Text);
        let text = stamp.text(5);
        let around = format!("{{\"data\":\"{text}\"}}");
        assert_eq!(stamp.find(around.as_bytes()), Read::Number(5));
        assert_eq!(stamp.find(&text.as_bytes()[..39]), Read::Damaged);
        assert_eq!(stamp.find(b"{}"), Read::Foreign);
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
