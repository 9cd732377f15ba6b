//! How a WebSocket ended.

use std::fmt;

use sockeye_proto::{CloseCode, Printable};

/// How a WebSocket ended, and who ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The code of the end that closed first; 1005 if the Close frame had none, 1006 if there was no Close
    /// frame.
    pub code: CloseCode,
    /// The reason of the end that closed first.
    pub reason: String,
    /// Who ended it.
    pub by: Side,
    /// The code that this end sent.
    pub sent: Option<CloseCode>,
    /// The code that the peer sent, 1005 for a Close frame without one.
    pub received: Option<CloseCode>,
}

/// One of the two ends, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// This end.
    Us,
    /// The other end.
    Peer,
    /// The network: the connection failed.
    Network,
}

impl Closed {
    /// Returns whether both ends sent a Close frame (RFC 6455 section 7.1.4), the browser's `wasClean`.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.sent.is_some() && self.received.is_some()
    }

    /// Returns whether it ended normally: with 1000, with 1001 or without a code (1005), whichever end
    /// closed, and the peer sent no other code. After any other end [`crate::WebSocket::recv`] fails.
    #[must_use]
    pub fn is_normal(&self) -> bool {
        let is_normal = |code| {
            matches!(
                code,
                CloseCode::NORMAL | CloseCode::GOING_AWAY | CloseCode::NO_STATUS
            )
        };
        is_normal(self.code) && self.received.is_none_or(is_normal)
    }
}

/// Writes one line; the reason as [`Printable`] shows it.
impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            Side::Us => "us",
            Side::Peer => "the peer",
            Side::Network => "the network",
        };
        write!(f, "closed by {by} with {}", self.code)?;
        if !self.reason.is_empty() {
            write!(f, " ({})", Printable(&self.reason))?;
        }
        Ok(())
    }
}

/// How a session ended, for statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a Close frame in each direction.
    Clean,
    /// This end has ended it.
    EndCause(EndCause),
    /// In any other way.
    Unclean,
}

impl Ending {
    pub(crate) fn of(closed: &Closed) -> Self {
        match closed.is_clean() {
            true => Self::Clean,
            false => Self::Unclean,
        }
    }
}

/// Why this end has ended a connection: a timeout, or short memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndCause {
    /// The peer gave no sign of life.
    Silent,
    /// The peer took none of the bytes that wait for it.
    Stalled,
    /// The peer has sent no message for too long.
    Idle,
    /// The connection has lasted as long as it may.
    Expired,
    /// The peer sent a message too slowly.
    Unfinished,
    /// The connection was among the largest holders when memory was short.
    Shed,
}

impl EndCause {
    /// Returns the reason that [`crate::Closed`] shows.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Silent => "no sign of life",
            Self::Stalled => "reads nothing",
            Self::Idle => "idle",
            Self::Expired => "lifetime",
            Self::Unfinished => "message too slow",
            Self::Shed => "short of memory",
        }
    }

    /// Returns the side that ends the connection.
    pub(crate) fn side(self) -> Side {
        match self {
            Self::Silent => Side::Network,
            Self::Stalled | Self::Idle | Self::Expired | Self::Unfinished | Self::Shed => Side::Us,
        }
    }

    /// Returns the close code for the peer, where a Close frame can be sent.
    pub(crate) fn code(self) -> CloseCode {
        match self {
            Self::Unfinished => CloseCode::POLICY_VIOLATION,
            Self::Shed => CloseCode::TRY_AGAIN_LATER,
            _ => CloseCode::GOING_AWAY,
        }
    }
}
