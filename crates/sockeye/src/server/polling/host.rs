//! The server in which sessions over HTTP count.

use std::sync::Arc;

use crate::{
    connection::Connections,
    error::{Error, ErrorKind},
    handshake::{Refusal, Request, RequestInfo},
    server::registry::{Registration, Registry},
};

/// The server in which sessions count.
pub(crate) trait SessionHost: Sync {
    /// Counts one more session, for the server and for the address of its client.
    ///
    /// # Errors
    ///
    /// The server is ending, or has no room for another one; or the address has too many.
    fn count_session(&self, info: &RequestInfo) -> Result<Registration, Refusal>;

    /// Returns the answer to a page of another origin, and logs it with `advice`.
    fn refuse_origin(&self, request: &Request, advice: &str) -> Refusal;
}

/// The sessions inside WebSockets. The WebSocket alone counts for the server.
#[derive(Default)]
pub(crate) struct Uncounted {
    registry: Arc<Registry>,
    connections: Connections,
}

impl Uncounted {
    /// Returns the registration of one more session.
    ///
    /// # Errors
    ///
    /// Kind `Limit` if there are more than can be counted.
    pub(crate) fn registration(&self) -> Result<Registration, Error> {
        let permit = self.connections.admit(usize::MAX);
        let permit = permit.ok_or_else(|| Error::new(ErrorKind::Limit, "too many sessions"))?;
        Ok(Registration::new(
            Arc::clone(&self.registry),
            Arc::new(permit),
        ))
    }
}
