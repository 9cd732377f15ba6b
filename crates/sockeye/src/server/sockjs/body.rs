//! The bodies of responses: one frame, or frames as they come.

use std::{
    convert::Infallible,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    form::{Form, HEARTBEAT},
    receiver::{Receiver, frame_of},
};
use crate::{server::polling::Received, time::later};

/// The body of a response.
pub(crate) enum SockJsBody {
    /// All of it, in one piece. Empty when that was taken.
    Bytes(Bytes),
    Frames(Box<StreamingBody>),
}

impl From<Vec<u8>> for SockJsBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl Body for SockJsBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let polled = match self.get_mut() {
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(std::mem::take(bytes))),
            Self::Frames(frames) => frames.poll_next(cx),
        };
        polled.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Frames(frames) => frames.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Frames(_) => SizeHint::default(),
        }
    }
}

/// A response that brings frames until it is long enough or the session ends. Each frame is a chunk of its own.
pub(crate) struct StreamingBody {
    form: Form,
    prelude: Option<Bytes>,
    /// The frame after it, if the response is the first of a session or the only one after its end.
    frame: Option<Bytes>,
    /// `None` once the response has nothing more to receive.
    receiver: Option<Receiver>,
    /// Bytes of frames that the response may still have.
    bytes_left: usize,
    heartbeat_interval: Duration,
    /// When the last frame was written.
    written: Instant,
    heartbeat: Pin<Box<Sleep>>,
}

impl StreamingBody {
    /// Creates a response that begins with `frame`, and goes on with what `receiver` gets.
    pub(super) fn new(
        form: Form,
        frame: Option<&str>,
        receiver: Option<Receiver>,
        response_bytes_max: usize,
        heartbeat_interval: Duration,
    ) -> Self {
        let frame = frame.map(|frame| Bytes::from(form.write(frame)));
        let frame_bytes = frame.as_ref().map_or(0, Bytes::len);
        let now = Instant::now();
        Self {
            prelude: Some(form.prelude().into()),
            frame,
            form,
            receiver,
            bytes_left: response_bytes_max.saturating_sub(frame_bytes),
            heartbeat_interval,
            written: now,
            heartbeat: Box::pin(sleep_until(later(now, heartbeat_interval))),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(prelude) = self.prelude.take() {
            return Poll::Ready(Some(prelude));
        }
        if let Some(frame) = self.frame.take() {
            return Poll::Ready(Some(frame));
        }
        let Some(receiver) = &self.receiver else {
            return Poll::Ready(None);
        };
        let (frame, is_last) = match receiver.poll_receive(cx) {
            Poll::Ready(received) => {
                let is_last = matches!(received, Received::End(_));
                (frame_of(received), is_last)
            }
            Poll::Pending => match self.poll_heartbeat(cx) {
                Poll::Ready(()) => (HEARTBEAT.to_owned(), false),
                Poll::Pending => return Poll::Pending,
            },
        };
        let written = self.form.write(&frame);
        self.written = Instant::now();
        self.bytes_left = self.bytes_left.saturating_sub(written.len());
        if (is_last || self.bytes_left == 0)
            && let Some(receiver) = self.receiver.take()
        {
            receiver.leave();
        }
        Poll::Ready(Some(written.into()))
    }

    /// Ready when nothing was written for the interval.
    fn poll_heartbeat(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.heartbeat.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let due = later(self.written, self.heartbeat_interval);
            let is_due = due <= now;
            let next = if is_due { now } else { self.written };
            let next = later(next, self.heartbeat_interval);
            self.heartbeat.as_mut().reset(next);
            if is_due {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Returns whether nothing more comes.
    fn is_over(&self) -> bool {
        self.prelude.is_none() && self.frame.is_none() && self.receiver.is_none()
    }
}
