//! Who came to a worker and isn't its business.

use std::net::TcpStream as StdTcpStream;

use tokio::{net::TcpStream, time::Instant};

use crate::{
    handshake::{Refusal, Tls},
    server::{
        admit::{Accepted, Admission, First},
        first_request::first_request,
    },
};

/// Who came to a worker and isn't its business: tokio takes care of it.
pub(crate) enum ToTokio {
    /// Sent away.
    OutboxError(Refusal),
    /// Asks for a WebSocket, and it isn't decided yet, or it doesn't lead to an endpoint. The bytes
    /// that came behind its request.
    Asked(Admission, Vec<u8>),
    /// Asks for something else; all bytes that came.
    Other(First, Vec<u8>),
}

impl ToTokio {
    pub(crate) async fn take_in(self, socket: StdTcpStream, deadline: Instant, accepted: Accepted) {
        let stream = match TcpStream::from_std(socket) {
            Ok(stream) => stream,
            Err(error) => return tracing::error!(%error, "tokio can't watch a socket"),
        };
        match self {
            Self::OutboxError(refusal) => first_request::refuse(stream, &refusal).await,
            Self::Asked(admission, leftover) => {
                first_request::settle(stream, admission, leftover, accepted).await;
            }
            Self::Other(first, bytes) => {
                first_request::serve(stream, bytes, first, Tls::No, deadline, accepted).await;
            }
        }
    }
}
