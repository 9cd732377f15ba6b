//! Connecting to a Unix socket.

use std::{io, path::Path, time::Duration};

use tokio::{net::UnixStream, time::timeout};

use crate::{
    connection::Stream,
    error::{Error, ErrorKind},
};

/// Connects to a Unix socket.
pub(super) async fn dial(path: &Path, limit: Duration) -> Result<Box<dyn Stream>, Error> {
    let message = || format!("connecting to unix:{} failed", path.display());
    match timeout(limit, UnixStream::connect(path)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(Error::new(ErrorKind::Io, message()).with_source(error)),
        Err(_) => {
            let error = io::Error::new(
                io::ErrorKind::TimedOut,
                format!("took longer than {limit:?}"),
            );
            Err(Error::new(ErrorKind::Timeout, message()).with_source(error))
        }
    }
}
