//! What can carry a WebSocket.

use tokio::io::{AsyncRead, AsyncWrite};

/// What can carry a WebSocket: any ordered, reliable stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}
