//! A socket that a worker's poller watches.

use std::{
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use mio::{
    Interest, Registry, Token,
    event::Source,
    net::{TcpStream, UnixStream},
};
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags},
};
use socket2::SockRef;

/// A socket that a worker's poller watches. 8 bytes in a release build.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Ends the sending direction.
    pub(super) fn shutdown(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Self::Unix(socket) => socket.shutdown(Shutdown::Write),
        }
    }

    /// Has the kernel discard unsent bytes and reset the connection when the socket is closed. A Unix socket ignores
    /// it: its peer can read what was sent.
    pub(super) fn set_reset_on_close(&self) -> io::Result<()> {
        SockRef::from(self).set_linger(Some(Duration::ZERO))
    }
}

impl AsFd for Socket {
    #[inline(always)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        receive(self, buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        send(self, bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        send_slices(self, slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Socket {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.register(registry, token, interests),
            Self::Unix(socket) => socket.register(registry, token, interests),
        }
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.reregister(registry, token, interests),
            Self::Unix(socket) => socket.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.deregister(registry),
            Self::Unix(socket) => socket.deregister(registry),
        }
    }
}

/// Calls recv(2) directly. The C library's function checks in every call whether the thread is being
/// cancelled, which takes 60 of the 450 instructions that a message may cost.
#[inline(always)]
pub(super) fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let (len, _) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
    Ok(len)
}

/// Returns whether all that the peer has sent is read, and nothing more comes.
pub(super) fn is_at_end(socket: &Socket) -> bool {
    match rustix::net::recv(socket, &mut [0_u8], RecvFlags::PEEK) {
        Ok((len, _)) => len == 0,
        Err(error) => error != Errno::AGAIN && error != Errno::INTR,
    }
}

/// Calls send(2) directly. A peer that is gone gives an error instead of a signal.
#[inline(always)]
pub(super) fn send(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    send_with(socket, bytes, SendFlags::empty())
}

/// Sends the last bytes. Linux holds them until the socket is closed, so that one packet carries both.
pub(super) fn send_last(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    send_with(socket, bytes, LAST)
}

/// Sends from several places.
#[inline(always)]
pub(super) fn send_slices(socket: &Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    match socket {
        Socket::Tcp(socket) => (&*socket).write_vectored(slices),
        Socket::Unix(socket) => (&*socket).write_vectored(slices),
    }
}

#[inline(always)]
fn send_with(socket: &Socket, bytes: &[u8], flags: SendFlags) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, NO_SIGNAL | flags)?)
}

#[cfg(target_os = "linux")]
const LAST: SendFlags = SendFlags::MORE;

#[cfg(not(target_os = "linux"))]
const LAST: SendFlags = SendFlags::empty();

#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;

/// Apple's systems have no such flag. Rust's runtime ignores the signal, unless a C program has started.
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: SendFlags = SendFlags::empty();
