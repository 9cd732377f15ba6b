//! `Stream` and `Sink`, for programs that work with the combinators of crate `futures`.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_sink::Sink;
use sockeye_proto::Message;

use crate::{error::Error, websocket::websocket::WebSocket};

/// The messages, as from [`WebSocket::recv`], until the connection has ended: an end that isn't normal is one last
/// error. Polled through a stream, a wait costs one wake-up more than in `recv`.
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

/// The outbox as a sink. One message more than [`crate::Settings::outbox_bytes_max`] allows waits in the sink, until
/// the outbox has room.
///
/// `flush` is ready once the outbox has taken all, as [`WebSocket::send`] is: the connection writes it without
/// being asked. `close` closes with 1000 and is ready once the socket has taken the Close frame, without waiting for
/// the peer's; messages still come from the stream until the peer has answered.
///
/// # Errors
///
/// [`crate::ErrorKind::Closed`] once the connection is closing or closed. To `close` again is no error.
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
