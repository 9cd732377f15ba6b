//! Joins the packets of a client with their attachments, and checks what they hold.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    args::has_valid_placeholders,
    packet::{BrokenPacket, PacketKind, TextPacket, is_reserved},
};

/// Joins the packets of one client with their attachments.
///
/// Give it each message by [`Decoder::handle_text`] or [`Decoder::handle_binary`]; each may complete a packet. After an error the
/// connection is closed.
#[derive(Debug)]
pub(super) struct Decoder {
    /// A packet that has come without all its attachments.
    unfinished: Option<(Packet, usize)>,
    /// Bytes of attachments that are held for one packet.
    attachment_bytes_max: usize,
}

/// A packet of a client.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Packet {
    pub(super) namespace: String,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Connect(Map<String, Value>),
    Disconnect,
    Event {
        name: String,
        id: Option<u64>,
        args: Vec<Value>,
        attachments: Vec<Bytes>,
    },
    Ack {
        id: u64,
        args: Vec<Value>,
        attachments: Vec<Bytes>,
    },
}

impl Decoder {
    pub(super) fn new(attachment_bytes_max: usize) -> Self {
        Self {
            unfinished: None,
            attachment_bytes_max,
        }
    }

    /// Handles a text message. Returns the packet that it completes.
    pub(super) fn handle_text(&mut self, text: &str) -> Result<Option<Packet>, BrokenPacket> {
        if self.unfinished.is_some() {
            return Err(BrokenPacket);
        }
        let head = TextPacket::parse(text)?;
        let packet = Packet {
            namespace: head.namespace.to_owned(),
            content: content(&head)?,
        };
        if head.attachments == 0 {
            return Ok(Some(packet));
        }
        self.unfinished = Some((packet, head.attachments));
        Ok(None)
    }

    /// Handles a binary message: an attachment. Returns the packet that it completes.
    pub(super) fn handle_binary(&mut self, data: Bytes) -> Result<Option<Packet>, BrokenPacket> {
        let (mut packet, missing) = self.unfinished.take().ok_or(BrokenPacket)?;
        let (Content::Event { attachments, .. } | Content::Ack { attachments, .. }) =
            &mut packet.content
        else {
            return Err(BrokenPacket);
        };
        attachments.push(data);
        if attachments.iter().map(Bytes::len).sum::<usize>() > self.attachment_bytes_max {
            return Err(BrokenPacket);
        }
        if missing == 1 {
            return Ok(Some(packet));
        }
        self.unfinished = Some((packet, missing - 1));
        Ok(None)
    }
}

/// Checks what a packet holds.
fn content(head: &TextPacket<'_>) -> Result<Content, BrokenPacket> {
    let list = || serde_json::from_str::<Vec<Value>>(head.data).map_err(|_| BrokenPacket);
    match head.kind {
        PacketKind::Connect if head.id.is_none() => Ok(Content::Connect(match head.data {
            "" => Map::new(),
            data => serde_json::from_str(data).map_err(|_| BrokenPacket)?,
        })),
        PacketKind::Disconnect if head.id.is_none() && head.data.is_empty() => {
            Ok(Content::Disconnect)
        }
        PacketKind::Event => {
            let mut args = list()?;
            if args.is_empty() || !has_valid_placeholders(&args, head.attachments) {
                return Err(BrokenPacket);
            }
            let name = match args.remove(0) {
                Value::String(name) if !is_reserved(&name) => name,
                Value::Number(name) => name.to_string(),
                _ => return Err(BrokenPacket),
            };
            Ok(Content::Event {
                name,
                id: head.id,
                args,
                attachments: Vec::new(),
            })
        }
        PacketKind::Ack => {
            let args = list()?;
            if !has_valid_placeholders(&args, head.attachments) {
                return Err(BrokenPacket);
            }
            Ok(Content::Ack {
                id: head.id.ok_or(BrokenPacket)?,
                args,
                attachments: Vec::new(),
            })
        }
        PacketKind::Connect | PacketKind::Disconnect => Err(BrokenPacket),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decoder() -> Decoder {
        Decoder::new(10)
    }

    #[test]
    fn a_packet_is_complete_with_its_last_attachment() {
        let mut decoder = decoder();
        let text =
            "52-/x,7[\"a\",{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}]";
        assert_eq!(decoder.handle_text(text), Ok(None));
        assert_eq!(decoder.handle_binary(Bytes::from_static(b"1")), Ok(None));
        let packet = decoder
            .handle_binary(Bytes::from_static(b"2"))
            .unwrap()
            .unwrap();
        assert_eq!(packet.namespace, "/x");
        let Content::Event {
            name,
            id,
            args,
            attachments,
        } = packet.content
        else {
            panic!("no event");
        };
        assert_eq!((&*name, id, args.len()), ("a", Some(7), 2));
        assert_eq!(attachments, [&b"1"[..], b"2"]);
        // The next packet begins anew.
        assert!(decoder.handle_text("2[\"b\"]").unwrap().is_some());
    }

    #[test]
    fn messages_out_of_order_are_broken() {
        assert!(decoder().handle_binary(Bytes::new()).is_err());
        let mut decoder = decoder();
        decoder
            .handle_text("51-[\"a\",{\"_placeholder\":true,\"num\":0}]")
            .unwrap();
        // socketioxide#357: a text where an attachment was due was looked at for ever.
        assert!(decoder.handle_text("2[\"b\"]").is_err());
    }

    #[test]
    fn attachments_have_a_limit_of_bytes() {
        // GHSA-677m-j7p3-52f9 (CVE-2026-33151), CVE-2026-48804.
        let mut decoder = decoder();
        decoder.handle_text("52-[\"a\"]").unwrap();
        assert_eq!(
            decoder.handle_binary(Bytes::from_static(&[0; 10])),
            Ok(None)
        );
        assert!(decoder.handle_binary(Bytes::from_static(&[0])).is_err());
    }

    #[test]
    fn what_a_packet_holds_is_checked() {
        for text in [
            "2",
            "2{}",
            "2[]",
            "2abc[\"a\"]",
            "2[\"a\"",
            // GHSA-cqmj-92xf-r6r9 (CVE-2023-32695): a name of another type ended the process.
            "2[{\"toString\":\"a\"}]",
            "2[null]",
            // GHSA-25hc-qcg6-38wj (CVE-2024-38355): clients sent events that are the server's own.
            "2[\"connect\"]",
            "2[\"disconnect\"]",
            "2[\"disconnecting\"]",
            "2[\"connect_error\"]",
            "2[\"newListener\"]",
            "2[\"removeListener\"]",
            "3[1]",
            "31{}",
            "0[]",
            "0\"a\"",
            "01{}",
            "1{}",
            "51-[\"a\",{\"_placeholder\":true,\"num\":1}]",
        ] {
            assert_eq!(decoder().handle_text(text), Err(BrokenPacket), "{text}");
        }
        // An event may be a number.
        let packet = decoder().handle_text("2[1,\"a\"]").unwrap().unwrap();
        let Content::Event { name, args, .. } = packet.content else {
            panic!("no event");
        };
        assert_eq!((&*name, args), ("1", vec![json!("a")]));
    }
}
