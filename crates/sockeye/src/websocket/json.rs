//! Messages that are JSON, in the loop style.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, ErrorKind},
    websocket::websocket::WebSocket,
};

impl WebSocket {
    /// Waits for the next message, text or binary, and parses it as JSON; returns `None` when [`WebSocket::recv`] does.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidData`] if the message isn't JSON of this type. The message has been taken, and the
    ///   connection stays open: the program decides whether to go on or to close, for instance with 1007.
    /// - The errors of [`WebSocket::recv`], which have [`Error::closed`].
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it is ready loses no message: the next call returns it.
    ///
    /// # Example
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

    /// Sends a value as JSON in a text message. Waits for room in the outbox: see
    /// [`Session::send_json`](crate::Session::send_json).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidData`] if the value can't be written as JSON, and the errors of [`WebSocket::send`].
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it is ready has sent nothing.
    pub fn send_json<'s, T: Serialize + ?Sized>(
        &'s self,
        value: &T,
    ) -> impl Future<Output = Result<(), Error>> + use<'s, T> {
        self.session().send_json(value)
    }
}
