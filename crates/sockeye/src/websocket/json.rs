//! Messages that are JSON, in the loop style.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, ErrorKind},
    websocket::websocket::WebSocket,
};

impl WebSocket {
    /// Receives the next message, text or binary, and parses it as JSON; `None` as from [`WebSocket::recv`].
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidData`]: the message isn't JSON, or not of this type. It has been taken, and the
    ///   connection stays open: the program decides whether to go on or to close, for instance with 1007.
    /// - The others as [`WebSocket::recv`]; those have [`Error::closed`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, no message is lost: the next call gives it.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use sockeye::{Error, WebSocket};
    ///
    /// #[derive(Deserialize)]
    /// struct Add {
    ///     left: i64,
    ///     right: i64,
    /// }
    ///
    /// #[derive(Serialize)]
    /// struct Sum {
    ///     sum: i64,
    /// }
    ///
    /// async fn adder(mut websocket: WebSocket) -> Result<(), Error> {
    ///     while let Some(Add { left, right }) = websocket.recv_json().await? {
    ///         websocket.send_json(&Sum { sum: left + right }).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn recv_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        let Some(message) = self.recv().await? else {
            return Ok(None);
        };
        match serde_json::from_slice(message.as_bytes()) {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                let invalid = Error::new(
                    ErrorKind::InvalidData,
                    "the message isn't the JSON asked for",
                );
                Err(invalid.with_source(error))
            }
        }
    }

    /// Sends a value as JSON in a text message, waiting for room in the outbox: see
    /// [`Session::send_json`](crate::Session::send_json).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidData`] if the value doesn't become JSON; otherwise as [`WebSocket::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`WebSocket::send`].
    pub fn send_json<'s, T: Serialize + ?Sized>(
        &'s self,
        value: &T,
    ) -> impl Future<Output = Result<(), Error>> + use<'s, T> {
        self.session().send_json(value)
    }
}
