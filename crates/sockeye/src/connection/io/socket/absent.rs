//! A type without a value in place of a worker's socket, for builds without the feature `server`.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd},
};

/// Has no value: this build has none.
pub(crate) enum Socket {}

impl Socket {
    pub(super) fn shutdown(&self) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn set_reset_on_close(&self) -> io::Result<()> {
        match *self {}
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}

pub(super) fn receive(socket: &Socket, _buffer: &mut [u8]) -> io::Result<usize> {
    match *socket {}
}

pub(super) fn is_at_end(socket: &Socket) -> bool {
    match *socket {}
}

pub(super) fn send(socket: &Socket, _bytes: &[u8]) -> io::Result<usize> {
    match *socket {}
}

pub(super) fn send_last(socket: &Socket, _bytes: &[u8]) -> io::Result<usize> {
    match *socket {}
}

pub(super) fn send_slices(socket: &Socket, _slices: &[IoSlice<'_>]) -> io::Result<usize> {
    match *socket {}
}
