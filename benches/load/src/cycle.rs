//! The messages: a few different ones, encoded once, sent over and over.

use clap::ValueEnum;

/// What the messages consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Payload {
    /// Bytes without meaning.
    Binary,
    /// English.
    Ascii,
    /// Chinese: three bytes for nearly every letter.
    NonAscii,
}

/// How the messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// In frames: masked on the way there, not on the way back.
    WebSocket,
    /// As they are for a WebSocket, but the server sends back what it got, byte for byte.
    Raw,
}

/// The messages in the order in which every connection sends them, and what has to come back.
#[derive(Debug)]
pub(crate) struct Cycle {
    /// The frames of the cycle, then its beginning again, so that every write is one slice.
    pub(crate) sent: Vec<u8>,
    /// The same for what comes back, so that everything that one read gives is compared in one go.
    pub(crate) expected: Vec<u8>,
    /// Bytes of each frame on the way there. They repeat when all are through.
    pub(crate) lengths: Vec<usize>,
    /// Bytes of one frame on the way back.
    pub(crate) expected_frame: usize,
}

impl Cycle {
    pub(crate) fn new(payload: Payload, bytes: usize, wire: Wire) -> Self {
        let frames = (CYCLE_BYTES / bytes.max(1)).clamp(2, FRAMES_MAX);
        let mut sent = Vec::new();
        let mut lengths = Vec::new();
        let mut expected = Vec::new();
        for index in 0..frames {
            let message = message(payload, bytes, index);
            let mask = [0x37, 0xfa, index as u8 ^ 0x21, 0x3d];
            let start = sent.len();
            push_frame(&mut sent, payload, &message, Some(mask));
            lengths.push(sent.len() - start);
            match wire {
                Wire::WebSocket => push_frame(&mut expected, payload, &message, None),
                Wire::Raw => expected.extend_from_slice(&sent[start..]),
            }
        }
        Self::of(sent, lengths, expected)
    }

    /// Of frames that are there already, all of which come back in the same length.
    pub(crate) fn of(mut sent: Vec<u8>, lengths: Vec<usize>, mut expected: Vec<u8>) -> Self {
        let expected_frame = expected.len() / lengths.len();
        repeat_beginning(&mut sent, WRITE_BYTES_MAX);
        repeat_beginning(&mut expected, READ_BYTES_MAX);
        Self {
            sent,
            expected,
            lengths,
            expected_frame,
        }
    }

    /// How many frames there are before they repeat.
    pub(crate) fn frames(&self) -> usize {
        self.lengths.len()
    }

    /// Bytes after which what is sent repeats.
    pub(crate) fn sent_bytes(&self) -> usize {
        self.lengths.iter().sum()
    }
}

/// The payload of message number `index`; all have the same length.
pub(crate) fn message(payload: Payload, bytes: usize, index: usize) -> Vec<u8> {
    match payload {
        Payload::Binary => {
            // xorshift: anything that neither repeats nor compresses will do.
            let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(index as u64 + 1);
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            };
            (0..bytes).map(|_| next()).collect()
        }
        Payload::Ascii => text(ENGLISH, bytes, index),
        Payload::NonAscii => text(CHINESE, bytes, index),
    }
}

/// `bytes` bytes of the text, from another letter on for each `index`; what a letter is too long for is filled with dots.
fn text(source: &str, bytes: usize, index: usize) -> Vec<u8> {
    let mut text = String::with_capacity(bytes);
    for letter in source.chars().cycle().skip(index) {
        if text.len() + letter.len_utf8() > bytes {
            break;
        }
        text.push(letter);
    }
    while text.len() < bytes {
        text.push('.');
    }
    text.into_bytes()
}

/// Appends one whole message as one frame (RFC 6455 section 5.2).
pub(crate) fn push_frame(
    out: &mut Vec<u8>,
    payload: Payload,
    message: &[u8],
    mask: Option<[u8; 4]>,
) {
    let opcode = if payload == Payload::Binary { 2 } else { 1 };
    push_frame_with(out, 0x80 | opcode, message, mask);
}

/// The same with the first byte given: FIN, RSV1 and opcode.
pub(crate) fn push_frame_with(out: &mut Vec<u8>, first: u8, message: &[u8], mask: Option<[u8; 4]>) {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    out.push(first);
    match message.len() {
        length @ ..126 => out.push(masked | length as u8),
        length @ ..0x1_0000 => {
            out.push(masked | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(masked | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    match mask {
        Some(mask) => {
            out.extend_from_slice(&mask);
            let masked = message.iter().zip(mask.iter().cycle());
            out.extend(masked.map(|(byte, mask)| byte ^ mask));
        }
        None => out.extend_from_slice(message),
    }
}

/// Makes the beginning follow the end, at least `bytes` of it.
fn repeat_beginning(cycle: &mut Vec<u8>, bytes: usize) {
    let period = cycle.len();
    cycle.reserve_exact(bytes);
    while cycle.len() < period + bytes {
        let missing = period + bytes - cycle.len();
        cycle.extend_from_within(..missing.min(period));
    }
}

/// Bytes. A cycle of small messages lies in the first cache, so that the load generator stays cheap.
const CYCLE_BYTES: usize = 8 << 10;

/// Messages. Enough that one that is lost, doubled or in the wrong place is noticed.
const FRAMES_MAX: usize = 16;

/// Bytes of one write: sixteen messages of 16 KiB.
pub(crate) const WRITE_BYTES_MAX: usize = 257 << 10;

/// Bytes of one read.
pub(crate) const READ_BYTES_MAX: usize = 256 << 10;

const ENGLISH: &str =
    "Sockeye salmon swim both ways in one river; a message goes up and its echo comes down. ";

const CHINESE: &str = "红鲑鱼在同一条河里逆流而上，也顺流而下；消息上行，回声下行。";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_length_asked_for_and_differ() {
        for payload in [Payload::Binary, Payload::Ascii, Payload::NonAscii] {
            for bytes in [20, 125, 1024] {
                let first = message(payload, bytes, 0);
                assert_eq!(first.len(), bytes);
                assert_ne!(first, message(payload, bytes, 1));
                if payload != Payload::Binary {
                    assert!(std::str::from_utf8(&first).is_ok());
                }
            }
        }
    }

    #[test]
    fn a_cycle_holds_frames_of_both_directions() {
        let cycle = Cycle::new(Payload::Binary, 125, Wire::WebSocket);
        assert_eq!((cycle.lengths[0], cycle.expected_frame), (131, 127));
        assert_eq!(cycle.expected[..2], [0x82, 125]);
        assert_eq!(cycle.sent[..2], [0x82, 0x80 | 125]);
        assert_eq!(
            cycle.expected[..64],
            cycle.expected[cycle.expected_frame * cycle.frames()..][..64]
        );
        let long = Cycle::new(Payload::Ascii, 1 << 20, Wire::WebSocket);
        assert_eq!(long.expected_frame, (1 << 20) + 10);
        assert_eq!(Cycle::new(Payload::Ascii, 20, Wire::Raw).expected_frame, 26);
    }
}
