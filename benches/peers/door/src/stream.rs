//! An echo over a stream and sink of messages: the best that such a library allows.

use futures_util::{FutureExt as _, Sink, SinkExt as _, Stream, StreamExt as _};

/// Sends back every message that `is_data`, and flushes once for all that had come together: most peers would
/// write once per message otherwise, which is a tenth of the speed where several are under way.
///
/// # Errors
///
/// The stream's or the sink's.
pub async fn echo<W, M, E>(mut websocket: W, is_data: impl Fn(&M) -> bool) -> Result<(), E>
where
    W: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    while let Some(message) = websocket.next().await {
        let mut next = Some(message);
        while let Some(message) = next.take() {
            let message = message?;
            if is_data(&message) {
                websocket.feed(message).await?;
            }
            next = websocket.next().now_or_never().flatten();
        }
        websocket.flush().await?;
    }
    Ok(())
}
