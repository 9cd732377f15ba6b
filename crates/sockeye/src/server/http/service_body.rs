//! The body of a response: the text of a refusal, or what the program's fallback makes.

use std::{
    error::Error as StdError,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

#[cfg(feature = "sockjs")]
use crate::server::sockjs::SockJsBody;

/// The body of a response of [`HttpService`](super::http_service::HttpService).
pub(crate) enum ServiceBody {
    /// All of it, in one piece. Empty when that was taken.
    Bytes(Bytes),
    #[cfg(feature = "sockjs")]
    SockJs(SockJsBody),
    /// What the fallback answers.
    #[cfg(feature = "axum")]
    Axum(axum::body::Body),
}

impl From<Vec<u8>> for ServiceBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl Body for ServiceBody {
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    #[cfg_attr(
        not(any(feature = "axum", feature = "sockjs")),
        expect(unused_variables, reason = "bytes are there at once")
    )]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            #[cfg(feature = "sockjs")]
            Self::SockJs(body) => {
                let polled = Pin::new(body).poll_frame(cx);
                polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
            #[cfg(feature = "axum")]
            Self::Axum(body) => {
                let polled = Pin::new(body).poll_frame(cx);
                polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            #[cfg(feature = "sockjs")]
            Self::SockJs(body) => body.is_end_stream(),
            #[cfg(feature = "axum")]
            Self::Axum(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            #[cfg(feature = "sockjs")]
            Self::SockJs(body) => body.size_hint(),
            #[cfg(feature = "axum")]
            Self::Axum(body) => body.size_hint(),
        }
    }
}
