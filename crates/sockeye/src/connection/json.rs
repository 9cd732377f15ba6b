//! Messages that are JSON, on their way out.

use serde::Serialize;
use sockeye_proto::Message;

use crate::{
    connection::session::Session,
    error::{Error, ErrorKind},
};

impl Session {
    /// Sends a value as JSON in a text message, waiting for room in the outbox: see [`Session::send`]. The value is
    /// serialized before this returns, so that the future doesn't borrow it.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidData`]: the value doesn't become JSON, such as a map whose keys aren't strings.
    ///   Nothing was sent.
    /// - [`ErrorKind::Closed`]: the connection is closing or closed.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing of the message was sent.
    ///
    /// ```
    /// use serde::Serialize;
    /// use sockeye::{Error, Session};
    ///
    /// #[derive(Serialize)]
    /// struct Price {
    ///     symbol: &'static str,
    ///     cents: u32,
    /// }
    ///
    /// async fn quote(session: &Session) -> Result<(), Error> {
    ///     session.send_json(&Price { symbol: "FISH", cents: 1250 }).await
    /// }
    /// ```
    pub fn send_json<'s, T: Serialize + ?Sized>(
        &'s self,
        value: &T,
    ) -> impl Future<Output = Result<(), Error>> + use<'s, T> {
        let message = to_json(value);
        async move { self.send(message?).await }
    }

    /// Sends a value as JSON in a text message now, or returns why not: see [`Session::try_send`].
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidData`]: the value doesn't become JSON.
    /// - [`ErrorKind::Limit`]: the outbox has no room.
    /// - [`ErrorKind::Closed`]: the connection is closing or closed.
    ///
    /// ```
    /// use sockeye::{Error, Session};
    ///
    /// fn count(session: &Session, online: u32) -> Result<(), Error> {
    ///     session.try_send_json(&online)
    /// }
    /// ```
    pub fn try_send_json<T: Serialize + ?Sized>(&self, value: &T) -> Result<(), Error> {
        Ok(self.try_send(to_json(value)?)?)
    }
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Message<'static>, Error> {
    match serde_json::to_string(value) {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            let invalid = Error::new(ErrorKind::InvalidData, "no JSON of this value");
            Err(invalid.with_source(error))
        }
    }
}
