//! What a server sends to one client: packets with their attachments, whole or not at all.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use sockeye_proto::CloseCode;
use tokio::sync::Notify;

use super::{
    args::{self, ArgsError},
    packet::{ServerPacketKind, write},
};
use crate::connection::{Session, TrySendError};

/// An encoded packet, which may be sent to many.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    text: Arc<str>,
    attachments: Vec<Bytes>,
}

/// Sends packets to one client. All its namespaces share it.
pub(super) struct PacketSender {
    session: Session,
    outbox_bytes_max: usize,
    /// Held while the messages of one packet are sent, so that no other stands between them.
    order: Mutex<()>,
    /// Told when the program has disconnected one of the client's sockets.
    ended: Notify,
}

/// What a packet of JSON is.
#[derive(Clone, Copy, Debug)]
pub(super) enum JsonKind<'a> {
    Event(&'a str),
    Ack(u64),
}

/// Why a packet can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendError {
    Full,
    Closed,
}

impl Encoded {
    /// Encodes an event.
    ///
    /// # Errors
    ///
    /// The arguments are no JSON.
    pub(super) fn event(
        namespace: &str,
        name: &str,
        id: Option<u64>,
        event_args: &impl Serialize,
    ) -> Result<Self, ArgsError> {
        let (mut values, attachments) = args::encode(event_args)?;
        values.insert(0, Value::from(name));
        let kind = ServerPacketKind::Event(attachments.len());
        Ok(Self::new(kind, namespace, id, &values, attachments))
    }

    /// Encodes an ack.
    ///
    /// # Errors
    ///
    /// The arguments are no JSON.
    pub(super) fn ack(
        namespace: &str,
        id: u64,
        ack_args: &impl Serialize,
    ) -> Result<Self, ArgsError> {
        let (values, attachments) = args::encode(ack_args)?;
        let kind = ServerPacketKind::Ack(attachments.len());
        Ok(Self::new(kind, namespace, Some(id), &values, attachments))
    }

    /// Encodes an event or an ack whose arguments are JSON already: a list without its brackets.
    pub(super) fn from_json(
        namespace: &str,
        kind: JsonKind<'_>,
        json: &str,
        attachments: Vec<Bytes>,
    ) -> Self {
        let count = attachments.len();
        let (kind, id, data) = match kind {
            JsonKind::Event(name) => {
                let name = Value::from(name);
                let comma = if json.is_empty() { "" } else { "," };
                (
                    ServerPacketKind::Event(count),
                    None,
                    format!("[{name}{comma}{json}]"),
                )
            }
            JsonKind::Ack(id) => (ServerPacketKind::Ack(count), Some(id), format!("[{json}]")),
        };
        Self {
            text: write(kind, namespace, id, &data).into(),
            attachments,
        }
    }

    /// Encodes a packet whose data are JSON already.
    pub(super) fn plain(kind: ServerPacketKind, namespace: &str, data: &str) -> Self {
        Self {
            text: write(kind, namespace, None, data).into(),
            attachments: Vec::new(),
        }
    }

    fn new(
        kind: ServerPacketKind,
        namespace: &str,
        id: Option<u64>,
        values: &[Value],
        attachments: Vec<Bytes>,
    ) -> Self {
        // JSON values can always be written.
        let data = serde_json::to_string(values).unwrap_or_default();
        Self {
            text: write(kind, namespace, id, &data).into(),
            attachments,
        }
    }

    fn len(&self) -> usize {
        self.text.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }
}

impl PacketSender {
    pub(super) fn new(session: Session) -> Self {
        let outbox_bytes_max = session.shared().negotiated().settings.outbox_bytes_max;
        Self {
            session,
            outbox_bytes_max,
            order: Mutex::new(()),
            ended: Notify::new(),
        }
    }

    /// Notes that the program has disconnected a socket.
    pub(super) fn handle_ended(&self) {
        self.ended.notify_one();
    }

    /// Waits until the program has disconnected a socket.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Sends a packet now.
    pub(super) fn send(&self, packet: &Encoded) -> Result<(), SendError> {
        let _order = self.order.lock();
        let waiting = self.session.buffered_bytes();
        if waiting > 0 && waiting.saturating_add(packet.len()) > self.outbox_bytes_max {
            return Err(SendError::Full);
        }
        self.try_send(Arc::clone(&packet.text))?;
        for attachment in &packet.attachments {
            if let Err(error) = self.try_send(attachment.clone()) {
                // Half a packet would mislead the client, which connects anew instead.
                self.close(CloseCode::TRY_AGAIN_LATER);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Returns whether nothing waits for the client.
    pub(super) fn is_idle(&self) -> bool {
        self.buffered_bytes() == 0
    }

    /// Returns the bytes that wait for the client.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.session.buffered_bytes()
    }

    /// Closes the connection, with all its namespaces. The client connects anew.
    pub(super) fn close(&self, code: CloseCode) {
        self.session.close(code, "");
    }

    fn try_send(
        &self,
        message: impl Into<sockeye_proto::Message<'static>>,
    ) -> Result<(), SendError> {
        let sent = self.session.try_send(message);
        sent.map_err(|error| match error {
            TrySendError::Full(_) => SendError::Full,
            TrySendError::Closed(_) => SendError::Closed,
        })
    }
}
