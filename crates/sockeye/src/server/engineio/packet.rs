//! The packets of Engine.IO 4, as clients write them and as they get them.

use std::{borrow::Cow, collections::VecDeque};

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::server::polling::Outbound;

/// A packet of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClientPacket<'p> {
    Close,
    /// Only a probe of a WebSocket sends one.
    Ping(&'p str),
    Pong,
    Text(&'p str),
    Binary(Vec<u8>),
    Upgrade,
    Noop,
}

/// Bytes that are no packet of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BrokenPacket;

impl<'p> ClientPacket<'p> {
    /// Parses a text message of a WebSocket.
    pub(super) fn parse(text: &'p str) -> Result<Self, BrokenPacket> {
        let kind = text.as_bytes().first().ok_or(BrokenPacket)?;
        // The byte of each kind is ASCII, so that the rest begins with a character.
        let data = text.get(1..).ok_or(BrokenPacket)?;
        match kind {
            b'1' => Ok(Self::Close),
            b'2' => Ok(Self::Ping(data)),
            b'3' => Ok(Self::Pong),
            b'4' => Ok(Self::Text(data)),
            b'5' => Ok(Self::Upgrade),
            b'6' => Ok(Self::Noop),
            _ => Err(BrokenPacket),
        }
    }

    /// Parses a packet of a payload, where binary data are base64.
    fn parse_encoded(text: &'p str) -> Result<Self, BrokenPacket> {
        match text.strip_prefix('b') {
            Some(data) => Ok(Self::Binary(decode(data)?)),
            None => Self::parse(text),
        }
    }
}

/// Returns the packets of the body of a POST, in time that grows with its length alone.
pub(super) fn payload(
    body: &[u8],
) -> Result<impl Iterator<Item = Result<ClientPacket<'_>, BrokenPacket>>, BrokenPacket> {
    let text = str::from_utf8(body).map_err(|_| BrokenPacket)?;
    Ok(text.split(SEPARATOR).map(ClientPacket::parse_encoded))
}

/// A packet of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerPacket {
    Ping,
    /// With its first byte.
    Text(String),
    Binary(Vec<u8>),
}

impl ServerPacket {
    fn len(&self) -> usize {
        match self {
            Self::Ping => 1,
            Self::Text(text) => text.len(),
            Self::Binary(data) => data.len(),
        }
    }

    /// Appends it to a payload.
    fn push_encoded(&self, body: &mut Vec<u8>) {
        match self {
            Self::Ping => body.push(b'2'),
            Self::Text(text) => body.extend_from_slice(text.as_bytes()),
            Self::Binary(data) => {
                body.push(b'b');
                body.extend_from_slice(LENIENT.encode(data).as_bytes());
            }
        }
    }
}

/// Returns the payload of these packets.
pub(super) fn encode(packets: &[ServerPacket]) -> Vec<u8> {
    let mut body = Vec::with_capacity(packets.iter().map(ServerPacket::len).sum::<usize>() + 16);
    for (index, packet) in packets.iter().enumerate() {
        if index > 0 {
            body.push(SEPARATOR as u8);
        }
        packet.push_encoded(&mut body);
    }
    body
}

/// Packets that wait for a receiver: those of an answer, and at most what one write of the session brought beyond it.
#[derive(Default)]
pub(super) struct PacketQueue {
    packets: VecDeque<ServerPacket>,
    bytes: usize,
}

impl PacketQueue {
    pub(super) fn push_ping(&mut self) {
        self.push(ServerPacket::Ping);
    }

    fn push(&mut self, packet: ServerPacket) {
        self.bytes += packet.len();
        self.packets.push_back(packet);
    }
}

impl Outbound for PacketQueue {
    type Batch = Vec<ServerPacket>;

    fn push_text(&mut self, text: &str) {
        let mut packet = String::with_capacity(text.len() + 1);
        packet.push('4');
        packet.push_str(text);
        self.push(ServerPacket::Text(packet));
    }

    fn push_binary(&mut self, payload: &[u8]) {
        self.push(ServerPacket::Binary(payload.to_vec()));
    }

    fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    fn has_room(&self, batch_bytes_max: usize) -> bool {
        self.packets.len() < PACKETS_MAX && self.bytes < batch_bytes_max
    }

    fn take_batch(&mut self, batch_bytes_max: usize) -> Vec<ServerPacket> {
        let mut batch = Vec::with_capacity(self.packets.len().min(PACKETS_MAX));
        let mut bytes = 0;
        while batch.len() < PACKETS_MAX && bytes < batch_bytes_max {
            let Some(packet) = self.packets.pop_front() else {
                break;
            };
            bytes += packet.len();
            batch.push(packet);
        }
        self.bytes -= bytes;
        if self.packets.is_empty() {
            self.packets = VecDeque::new();
        }
        batch
    }
}

/// Decodes base64 as clients write it: with line breaks (engine.io-server-java#66) and without padding
/// (socket.io-client-swift#1496).
fn decode(text: &str) -> Result<Vec<u8>, BrokenPacket> {
    let is_break = |letter: char| matches!(letter, '\r' | '\n');
    let text = match text.contains(is_break) {
        true => Cow::Owned(text.replace(is_break, "")),
        false => Cow::Borrowed(text),
    };
    LENIENT.decode(&*text).map_err(|_| BrokenPacket)
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Stands between the packets of a payload.
const SEPARATOR: char = '\u{1e}';

/// Packets of an answer. python-engineio refuses more (python-engineio#142).
const PACKETS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packets(body: &[u8]) -> Result<Vec<ClientPacket<'_>>, BrokenPacket> {
        payload(body)?.collect()
    }

    #[test]
    fn a_payload_is_its_packets() {
        use ClientPacket::{Binary, Close, Noop, Ping, Pong, Text, Upgrade};
        for (body, expected) in [
            (&b"4"[..], vec![Text("")]),
            (b"4hello\x1e4\xc3\xa9", vec![Text("hello"), Text("\u{e9}")]),
            (
                b"1\x1e2x\x1e3\x1e5\x1e6",
                vec![Close, Ping("x"), Pong, Upgrade, Noop],
            ),
            (
                b"bAQIDBA==\x1eb",
                vec![Binary(vec![1, 2, 3, 4]), Binary(vec![])],
            ),
        ] {
            assert_eq!(packets(body), Ok(expected), "{body:?}");
        }
    }

    #[test]
    fn base64_with_line_breaks_or_without_padding_is_read() {
        for text in ["bAQIDBA==", "bAQIDBA", "bAQ\r\nIDBA==\n", "bAQIDBB"] {
            let expected = Ok(vec![ClientPacket::Binary(vec![1, 2, 3, 4])]);
            assert_eq!(packets(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_broken() {
        for body in [
            &b""[..],
            b"abc",
            b"0{}",
            b"7",
            b"\x1e4a",
            b"4a\x1e",
            b"\xc3\xa9",
            b"b!",
            b"bA",
            b"bAQ=ID",
        ] {
            assert_eq!(packets(body), Err(BrokenPacket), "{body:?}");
        }
        // Not UTF-8.
        assert!(payload(b"4\xff").is_err());
        // A WebSocket has binary messages instead.
        assert_eq!(ClientPacket::parse("bAQIDBA=="), Err(BrokenPacket));
    }

    #[test]
    fn an_answer_has_sixteen_packets_at_most_and_the_next_one_the_rest() {
        // python-engineio#142: it refuses more.
        let mut queue = PacketQueue::default();
        for number in 0..17 {
            queue.push_text(&number.to_string());
        }
        assert!(!queue.has_room(usize::MAX));
        let first = queue.take_batch(usize::MAX);
        assert_eq!(first.len(), 16);
        assert_eq!(first[15], ServerPacket::Text("415".to_owned()));
        assert_eq!(
            queue.take_batch(usize::MAX),
            [ServerPacket::Text("416".to_owned())]
        );
        assert!(queue.is_empty() && queue.has_room(1));
    }

    #[test]
    fn an_answer_ends_with_the_packet_that_makes_it_long_enough() {
        let mut queue = PacketQueue::default();
        queue.push_text("123456");
        queue.push_binary(&[0; 4]);
        queue.push_ping();
        assert!(queue.has_room(13) && !queue.has_room(12));
        assert_eq!(queue.take_batch(8).len(), 2);
        assert_eq!(queue.take_batch(8), [ServerPacket::Ping]);
    }

    proptest! {
        #[test]
        fn what_a_client_would_write_of_an_answer_is_the_same_messages(
            messages in prop::collection::vec(prop_oneof![
                "[^\u{1e}]{0,40}".prop_map(Ok),
                prop::collection::vec(any::<u8>(), 0..40).prop_map(Err),
            ], 1..16),
        ) {
            let mut queue = PacketQueue::default();
            for message in &messages {
                match message {
                    Ok(text) => queue.push_text(text),
                    Err(data) => queue.push_binary(data),
                }
            }
            let body = encode(&queue.take_batch(usize::MAX));
            let read: Vec<_> = packets(&body).unwrap();
            let expected: Vec<_> = messages.iter().map(|message| match message {
                Ok(text) => ClientPacket::Text(text),
                Err(data) => ClientPacket::Binary(data.clone()),
            }).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn no_bytes_break_the_parser(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = packets(&body);
        }
    }
}
