//! A type without a value in place of TLS on a worker's socket, for builds without workers or without TLS.

use std::io::{self, IoSlice, Read};

use crate::connection::io::socket::Socket;

/// Has no value: this build has none.
pub(crate) enum TlsSocket {}

impl TlsSocket {
    pub(crate) fn socket(&self) -> &Socket {
        match *self {}
    }

    pub(crate) fn socket_mut(&mut self) -> &mut Socket {
        match *self {}
    }

    pub(crate) fn shutdown(&mut self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn write_vectored(&mut self, _slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match *self {}
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match *self {}
    }
}

impl Read for TlsSocket {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }
}
