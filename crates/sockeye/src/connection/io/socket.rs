//! A socket that a worker's poller watches.

use std::{
    io::{self, IoSlice, Write as _},
    net::Shutdown,
    time::Duration,
};

pub(crate) use mio::net::TcpStream;
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags},
};
use socket2::SockRef;

/// Calls recv(2) directly. The C library's function checks in every call whether the thread is being
/// cancelled, which takes 60 of the 450 instructions that a message may cost.
#[inline(always)]
pub(super) fn receive(socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let (len, _) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
    Ok(len)
}

/// Returns whether all that the peer has sent is read, and nothing more comes.
pub(super) fn is_at_end(socket: &TcpStream) -> bool {
    match rustix::net::recv(socket, &mut [0_u8], RecvFlags::PEEK) {
        Ok((len, _)) => len == 0,
        Err(error) => error != Errno::AGAIN && error != Errno::INTR,
    }
}

/// Calls send(2) directly. A peer that is gone gives an error instead of a signal.
#[inline(always)]
pub(super) fn send(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    send_with(socket, bytes, SendFlags::empty())
}

/// Sends the last bytes. Linux holds them until the socket is closed, so that one packet carries both.
pub(super) fn send_last(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    send_with(socket, bytes, LAST)
}

/// Sends from several places.
#[inline(always)]
pub(super) fn send_slices(socket: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut socket = socket;
    socket.write_vectored(slices)
}

/// Ends the sending direction.
pub(super) fn shutdown(socket: &TcpStream) -> io::Result<()> {
    socket.shutdown(Shutdown::Write)
}

/// Has the kernel discard unsent bytes and reset the connection when the socket is closed.
pub(super) fn set_reset_on_close(socket: &TcpStream) -> io::Result<()> {
    SockRef::from(socket).set_linger(Some(Duration::ZERO))
}

#[inline(always)]
fn send_with(socket: &TcpStream, bytes: &[u8], flags: SendFlags) -> io::Result<usize> {
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
