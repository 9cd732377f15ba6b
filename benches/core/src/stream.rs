//! A stream in memory that is ready at once.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Gives the same bytes a number of times, then ends; swallows what is written.
pub(crate) struct Memory {
    wire: Vec<u8>,
    /// 0 <= given <= wire.len()
    given: usize,
    rounds: usize,
}

impl Memory {
    pub(crate) fn new(wire: &[u8], rounds: usize) -> Self {
        Self {
            wire: wire.to_vec(),
            given: 0,
            rounds,
        }
    }

    /// What a read into `room` bytes gives: no more than the rest of the round.
    #[inline]
    fn take(&mut self, room: usize) -> &[u8] {
        if self.given == self.wire.len() {
            self.given = 0;
            self.rounds -= 1;
        }
        if self.rounds == 0 {
            return &[];
        }
        let start = self.given;
        self.given = self.wire.len().min(start + room);
        &self.wire[start..self.given]
    }
}

impl io::Read for Memory {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.take(buffer.len());
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Memory {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = self.get_mut().take(buffer.remaining());
        buffer.put_slice(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl wtx::stream::StreamReader for Memory {
    #[inline]
    async fn read(&mut self, buffer: &mut [u8]) -> wtx::Result<usize> {
        let bytes = self.take(buffer.len());
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl wtx::stream::StreamWriter for Memory {
    async fn write_all(&mut self, _: &[u8]) -> wtx::Result<()> {
        Ok(())
    }

    async fn write_all_vectored(&mut self, _: &[&[u8]]) -> wtx::Result<()> {
        Ok(())
    }
}

/// Runs what never waits.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return done;
        }
    }
}
