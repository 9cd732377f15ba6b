//! What stands for a worker's socket in a build without the feature `server`, which has no workers.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd},
};

/// There is none.
pub(crate) enum TcpStream {}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}

pub(super) fn receive(socket: &TcpStream, _buffer: &mut [u8]) -> io::Result<usize> {
    match *socket {}
}

pub(super) fn is_at_end(socket: &TcpStream) -> bool {
    match *socket {}
}

pub(super) fn send(socket: &TcpStream, _bytes: &[u8]) -> io::Result<usize> {
    match *socket {}
}

pub(super) fn send_last(socket: &TcpStream, _bytes: &[u8]) -> io::Result<usize> {
    match *socket {}
}

pub(super) fn send_slices(socket: &TcpStream, _slices: &[IoSlice<'_>]) -> io::Result<usize> {
    match *socket {}
}

pub(super) fn shutdown(socket: &TcpStream) -> io::Result<()> {
    match *socket {}
}

pub(super) fn set_reset_on_close(socket: &TcpStream) -> io::Result<()> {
    match *socket {}
}
