//! Time limits for the phases of dialling.

use std::{fmt::Display, future::Future, time::Duration};

use tokio::time::timeout;

use crate::error::{Error, ErrorKind};

/// Time limits for the phases of dialling. That of the opening handshake is in [`crate::Limits`], since servers have it
/// too.
#[derive(Clone, Debug)]
pub(crate) struct Timeouts {
    pub(crate) resolve: Duration,
    /// For each address.
    pub(crate) connect: Duration,
    pub(crate) proxy: Duration,
    pub(crate) tls: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // A resolver asks its second server after 5 s.
            resolve: Duration::from_secs(10),
            // Three SYNs: at 0, 1 and 3 s; the fourth would be at 7 s.
            connect: Duration::from_secs(7),
            // The proxy itself may have to try several addresses.
            proxy: Duration::from_secs(20),
            tls: Duration::from_secs(10),
        }
    }
}

/// Runs one phase. `what` names the phase and the peer in the error.
pub(crate) async fn within<T>(
    limit: Duration,
    what: impl Display,
    phase: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match timeout(limit, phase).await {
        Ok(result) => result,
        Err(_) => Err(took_too_long(limit, what)),
    }
}

pub(crate) fn took_too_long(limit: Duration, what: impl Display) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!("{what} took longer than {limit:?}"),
    )
}
