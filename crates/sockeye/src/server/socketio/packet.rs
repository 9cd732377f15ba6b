//! One packet of Socket.IO 5 as text: parsed and written.

use std::fmt::Write as _;

/// A packet as it stands in a text message. Binary messages with its attachments may follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextPacket<'p> {
    pub(super) kind: PacketKind,
    /// How many binary messages belong to it.
    pub(super) attachments: usize,
    pub(super) namespace: &'p str,
    pub(super) id: Option<u64>,
    /// JSON, or nothing.
    pub(super) data: &'p str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketKind {
    Connect,
    Disconnect,
    Event,
    Ack,
}

/// A message that is no packet which a client may send here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BrokenPacket;

impl<'p> TextPacket<'p> {
    /// Parses a text message of a client. What `data` is isn't checked here.
    pub(super) fn parse(text: &'p str) -> Result<Self, BrokenPacket> {
        let kind = text.as_bytes().first().ok_or(BrokenPacket)?;
        let (kind, is_binary) = match kind {
            b'0' => (PacketKind::Connect, false),
            b'1' => (PacketKind::Disconnect, false),
            b'2' => (PacketKind::Event, false),
            b'3' => (PacketKind::Ack, false),
            b'5' => (PacketKind::Event, true),
            b'6' => (PacketKind::Ack, true),
            _ => return Err(BrokenPacket),
        };
        let mut rest = &text[1..];
        let attachments = match is_binary {
            true => {
                let (count, after) = rest.split_once('-').ok_or(BrokenPacket)?;
                rest = after;
                let count = number(count)?;
                let count = usize::try_from(count).map_err(|_| BrokenPacket)?;
                if !(1..=ATTACHMENTS_MAX).contains(&count) {
                    return Err(BrokenPacket);
                }
                count
            }
            false => 0,
        };
        let namespace = match rest.starts_with('/') {
            true => {
                let (namespace, after) = rest.split_once(',').unwrap_or((rest, ""));
                rest = after;
                namespace
            }
            false => "/",
        };
        if namespace.len() > NAMESPACE_BYTES_MAX {
            return Err(BrokenPacket);
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (id, data) = rest.split_at(digits);
        Ok(Self {
            kind,
            attachments,
            namespace,
            id: (digits > 0).then(|| number(id)).transpose()?,
            data,
        })
    }
}

/// Parses a decimal number of at most 18 digits.
fn number(text: &str) -> Result<u64, BrokenPacket> {
    let is_number =
        (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    match is_number {
        true => text.parse().map_err(|_| BrokenPacket),
        false => Err(BrokenPacket),
    }
}

/// Returns a packet with `data`, without the byte of Engine.IO.
pub(super) fn write(
    kind: ServerPacketKind,
    namespace: &str,
    id: Option<u64>,
    data: &str,
) -> String {
    let mut text = String::with_capacity(data.len() + namespace.len() + 24);
    let (digit, attachments) = match kind {
        ServerPacketKind::Connect => ('0', 0),
        ServerPacketKind::Disconnect => ('1', 0),
        ServerPacketKind::ConnectError => ('4', 0),
        ServerPacketKind::Event(0) => ('2', 0),
        ServerPacketKind::Ack(0) => ('3', 0),
        ServerPacketKind::Event(count) => ('5', count),
        ServerPacketKind::Ack(count) => ('6', count),
    };
    text.push(digit);
    // Writing to a String can't fail.
    if attachments > 0 {
        let _ = write!(text, "{attachments}-");
    }
    if namespace != "/" {
        text.push_str(namespace);
        text.push(',');
    }
    if let Some(id) = id {
        let _ = write!(text, "{id}");
    }
    text.push_str(data);
    text
}

/// The kind of a packet of the server. Those that can have attachments say how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerPacketKind {
    Connect,
    Disconnect,
    ConnectError,
    Event(usize),
    Ack(usize),
}

/// Returns whether a client may not send an event of this name, because it has a meaning of its own.
pub(super) fn is_reserved(event: &str) -> bool {
    matches!(
        event,
        "connect"
            | "connect_error"
            | "disconnect"
            | "disconnecting"
            | "newListener"
            | "removeListener"
    )
}

/// Attachments of one packet, as in the reference server.
pub(super) const ATTACHMENTS_MAX: usize = 10;

/// Bytes. The reference server has no limit.
const NAMESPACE_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet<'p>(
        kind: PacketKind,
        attachments: usize,
        namespace: &'p str,
        id: Option<u64>,
        data: &'p str,
    ) -> Result<TextPacket<'p>, BrokenPacket> {
        Ok(TextPacket {
            kind,
            attachments,
            namespace,
            id,
            data,
        })
    }

    #[test]
    fn each_part_is_found() {
        use PacketKind::{Ack, Connect, Disconnect, Event};
        for (text, expected) in [
            ("0", packet(Connect, 0, "/", None, "")),
            ("0{\"a\":1}", packet(Connect, 0, "/", None, "{\"a\":1}")),
            ("0/x", packet(Connect, 0, "/x", None, "")),
            ("0/x,{}", packet(Connect, 0, "/x", None, "{}")),
            ("1/x,", packet(Disconnect, 0, "/x", None, "")),
            ("2[\"a\"]", packet(Event, 0, "/", None, "[\"a\"]")),
            ("2/x,12[\"a\"]", packet(Event, 0, "/x", Some(12), "[\"a\"]")),
            ("3456[1]", packet(Ack, 0, "/", Some(456), "[1]")),
            ("52-/x,7[]", packet(Event, 2, "/x", Some(7), "[]")),
            ("61-7[]", packet(Ack, 1, "/", Some(7), "[]")),
        ] {
            assert_eq!(TextPacket::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_no_client_may_send_is_broken() {
        let long = format!("0/{}", "x".repeat(128));
        for text in [
            "",
            "abc",
            "7",
            // Only a server refuses a connection.
            "4{}",
            "\u{e9}",
            "5[]",
            "5-[]",
            // GHSA-2m8v-j782-fhvr (CVE-2026-69185): no attachments where some are announced.
            "50-[]",
            // GHSA-677m-j7p3-52f9 (CVE-2026-33151), CVE-2026-48804: more than can be held.
            "511-[]",
            "599999999999999999999-[]",
            "5+1-[]",
            "29999999999999999999[]",
            // socket.io#4772: names of namespaces had no limit.
            &long,
        ] {
            assert_eq!(TextPacket::parse(text), Err(BrokenPacket), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            namespace in "/[a-z]{0,10}",
            id in proptest::option::of(0..1_000_000_u64),
            attachments in 0..11_usize,
            is_ack in any::<bool>(),
        ) {
            let (kind, read_kind) = match is_ack {
                true => (ServerPacketKind::Ack(attachments), PacketKind::Ack),
                false => (ServerPacketKind::Event(attachments), PacketKind::Event),
            };
            let text = write(kind, &namespace, id, "[\"a\"]");
            let expected = packet(read_kind, attachments, &namespace, id, "[\"a\"]");
            prop_assert_eq!(TextPacket::parse(&text), expected);
        }

        #[test]
        fn no_text_breaks_the_parser(text in "\\PC{0,40}") {
            let _ = TextPacket::parse(&text);
        }
    }
}
