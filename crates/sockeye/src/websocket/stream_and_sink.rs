//! `Stream` and `Sink`, for the combinators of crate `futures`.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_sink::Sink;
use sockeye_proto::Message;

use crate::{error::Error, websocket::websocket::WebSocket};

/// The messages that [`WebSocket::recv`] returns, until the connection has ended. An end that isn't normal is one last
/// error. A wait costs one wake-up more than in `recv`.
///
/// # Example
///
/// ```
/// use futures_util::{SinkExt, StreamExt as _};
/// use sockeye::{Error, WebSocket};
///
/// /// Answers each message with itself, from two halves.
/// async fn echo(websocket: WebSocket) -> Result<(), Error> {
///     let (sink, stream) = websocket.split();
///     stream.forward(sink).await
/// }
///
/// async fn ask(websocket: &mut WebSocket) -> Result<usize, Error> {
///     SinkExt::send(websocket, "how long?".into()).await?;
///     let answer = websocket.next().await.transpose()?;
///     Ok(answer.map_or(0, |message| message.len()))
/// }
/// ```
impl Stream for WebSocket {
    type Item = Result<Message<'static>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Result::transpose)
    }
}

/// The outbox as a sink. The sink holds one message beyond [`crate::Settings::outbox_bytes_max`] until the outbox has
/// room.
///
/// `flush` is ready when the outbox has taken all messages, as [`WebSocket::send`] is. The connection writes them
/// without another call. `close` closes with 1000. It is ready when the socket has taken the Close frame, and doesn't
/// wait for the peer's: the stream still returns messages until the peer has answered.
///
/// # Errors
///
/// [`crate::ErrorKind::Closed`] if the connection is closing or closed. Closing it again isn't an error.
impl Sink<Message<'static>> for WebSocket {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let (session, sink) = self.sink();
        sink.poll_ready(session, cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message<'static>) -> Result<(), Error> {
        let (session, sink) = self.sink();
        sink.start_send(session, message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let (session, sink) = self.sink();
        sink.poll_flush(session, cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let (session, sink) = self.sink();
        sink.poll_close(session, cx)
    }
}
