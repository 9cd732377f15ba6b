//! Connections that a worker hands to tokio.

use tokio::time::Instant;

use crate::{
    connection::{AsyncSocket, Socket},
    handshake::{Refusal, Tls},
    server::{
        admit::{Accepted, Admission, RequestKind},
        first_request::first_request,
    },
};

/// What a worker knows of a connection that it hands to tokio.
pub(crate) enum ToTokio {
    /// The request is refused.
    Refused(Refusal),
    /// The request asks for a WebSocket, and either the decision takes time or the route leads to a conversation. The
    /// bytes came after the head.
    Upgrade(Admission, Vec<u8>),
    /// The request asks for something else. The bytes are all that came, the head among them.
    Other(RequestKind, Vec<u8>),
}

impl ToTokio {
    pub(crate) async fn run(self, socket: Socket, deadline: Instant, accepted: Accepted) {
        let stream = match AsyncSocket::from_worker(socket) {
            Ok(stream) => stream,
            Err(error) => return tracing::error!(%error, "tokio can't register a socket"),
        };
        match self {
            Self::Refused(refusal) => first_request::send_refusal(stream, &refusal).await,
            Self::Upgrade(admission, leftover) => {
                first_request::finish_admission(stream, admission, leftover, accepted).await;
            }
            Self::Other(first, bytes) => {
                first_request::serve(stream, bytes, first, Tls::No, deadline, accepted).await;
            }
        }
    }
}
