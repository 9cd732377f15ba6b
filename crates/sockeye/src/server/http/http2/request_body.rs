//! The body of a request over HTTP/2.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use hyper::body::{Body, Frame};

/// The body of a request over HTTP/2. It reopens the stream's window as it is read.
pub(super) struct RequestBody(pub(super) RecvStream);

impl Body for RequestBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let recv = &mut self.get_mut().0;
        if let Some(data) = ready!(recv.poll_data(cx)) {
            let data = data.and_then(|data| {
                recv.flow_control().release_capacity(data.len())?;
                Ok(data)
            });
            return Poll::Ready(Some(data.map(Frame::data)));
        }
        let trailers = ready!(recv.poll_trailers(cx)).transpose();
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}
