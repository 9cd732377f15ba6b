//! The sockets that the service manager passes: `sd_listen_fds(3)` of systemd.

use std::{
    net::TcpListener,
    os::{fd::AsFd, unix::net::UnixListener},
};

use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt::AcceptConn};

/// The sockets that the service manager has passed to this process, as far as no listener has taken them.
#[derive(Debug, Default)]
pub(crate) struct PassedSockets(Vec<PassedSocket>);

#[derive(Debug)]
struct PassedSocket {
    /// The number of its descriptor, from 3 on.
    number: usize,
    /// From `FileDescriptorName=` of its unit, by default the unit's name.
    name: Option<String>,
    socket: Result<PassedListener, String>,
}

/// A socket that listens already.
#[derive(Debug)]
pub(crate) enum PassedListener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl PassedSockets {
    /// Takes the sockets that `LISTEN_FDS` counts, if `LISTEN_PID` is this process. Must be called once, before other
    /// threads start, since it removes both variables.
    ///
    /// # Errors
    ///
    /// `LISTEN_FDS` isn't a number, or is above [`SOCKETS_MAX`].
    pub(crate) fn from_env() -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok();
        let process = variable("LISTEN_PID").and_then(|process| process.parse().ok());
        if process != Some(std::process::id()) {
            return Ok(Self::default());
        }
        let count = variable("LISTEN_FDS").unwrap_or_default();
        match count.parse::<usize>() {
            Ok(0..=SOCKETS_MAX) => {}
            _ => {
                return Err(format!(
                    "LISTEN_FDS={count}: not a number up to {SOCKETS_MAX}"
                ));
            }
        }
        let names = variable("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').map(ToOwned::to_owned);
        let mut passed = ListenFd::from_env();
        let sockets = (0..passed.len()).map(|index| PassedSocket {
            number: FIRST + index,
            name: names.next().filter(|name| !name.is_empty()),
            socket: take(&mut passed, index),
        });
        Ok(Self(sockets.collect()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes every socket with this name, or the one with this descriptor.
    ///
    /// # Errors
    ///
    /// There is none, or it isn't a stream socket that listens. In one line.
    pub(crate) fn take(&mut self, wanted: &str) -> Result<Vec<PassedListener>, String> {
        let is_wanted = |passed: &PassedSocket| {
            passed.name.as_deref() == Some(wanted) || passed.number.to_string() == wanted
        };
        let (found, rest) = std::mem::take(&mut self.0).into_iter().partition(is_wanted);
        self.0 = rest;
        let found: Vec<PassedSocket> = found;
        match found.is_empty() {
            true => Err(format!("the service manager passes no socket {wanted}")),
            false => found.into_iter().map(PassedSocket::into_listener).collect(),
        }
    }

    /// Takes all that are left.
    ///
    /// # Errors
    ///
    /// One isn't a stream socket that listens. In one line.
    pub(crate) fn take_all(&mut self) -> Result<Vec<PassedListener>, String> {
        let sockets = std::mem::take(&mut self.0).into_iter();
        sockets.map(PassedSocket::into_listener).collect()
    }

    /// Returns the descriptors that are left, with their names, in one line.
    pub(crate) fn shown(&self) -> String {
        let shown = self.0.iter().map(|passed| match &passed.name {
            Some(name) => format!("{} ({name})", passed.number),
            None => passed.number.to_string(),
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}

impl PassedSocket {
    fn into_listener(self) -> Result<PassedListener, String> {
        let number = self.number;
        self.socket
            .map_err(|error| format!("descriptor {number} of the service manager: {error}"))
    }
}

/// Takes one descriptor, whose type shows whether it is TCP or Unix.
fn take(passed: &mut ListenFd, index: usize) -> Result<PassedListener, String> {
    let tcp = passed.take_tcp_listener(index).ok().flatten();
    let (socket, listens) = match tcp {
        Some(tcp) => {
            let listens = is_listening(&tcp);
            (PassedListener::Tcp(tcp), listens)
        }
        None => {
            let unix = passed.take_unix_listener(index).ok().flatten();
            let unix = unix.ok_or("not a stream socket of TCP or Unix")?;
            let listens = is_listening(&unix);
            (PassedListener::Unix(unix), listens)
        }
    };
    match listens {
        true => Ok(socket),
        // A unit with Accept=yes passes connections.
        false => Err("the socket doesn't listen; set Accept=no in its unit".to_owned()),
    }
}

fn is_listening(socket: &impl AsFd) -> bool {
    getsockopt(socket, AcceptConn).unwrap_or(false)
}

/// `SD_LISTEN_FDS_START`.
const FIRST: usize = 3;

/// Sockets. More than a unit has, and a number that a typing error reaches.
const SOCKETS_MAX: usize = 256;
