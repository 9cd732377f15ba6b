//! How a conversation ended, as an exit code and a line on stderr.

use std::{process::ExitCode, time::Duration};

use sockeye::{CloseCode, Closed, Error, ErrorKind, Side};

use crate::dial::{printable, reason, with_causes};

/// Bad usage, as clap has it.
pub(crate) const USAGE: u8 = 2;
const OTHER_CLOSE: u8 = 1;
const NOT_CONNECTED: u8 = 3;
const PROTOCOL: u8 = 4;

/// The connection was open and is not any more.
pub(crate) fn closed(closed: &Closed) -> ExitCode {
    let by = match closed.by {
        Side::Us => "closed",
        Side::Peer => "closed by the server",
        _ => "connection lost",
    };
    match (closed.by, closed.code) {
        // We close with these only to say what the peer did wrong; our reason names it.
        (Side::Us, CloseCode::PROTOCOL_ERROR | CloseCode::INVALID_PAYLOAD) => say(
            PROTOCOL,
            &format!("the server broke the protocol: {}", closed.reason),
        ),
        (Side::Us, CloseCode::MESSAGE_TOO_BIG) => say(
            PROTOCOL,
            &format!(
                "the server sent more than --max-message allows: {}",
                closed.reason
            ),
        ),
        // A Close frame without a code is how many servers say that all is well.
        (Side::Us, _)
        | (
            Side::Peer,
            CloseCode::NORMAL
            | CloseCode::GOING_AWAY
            | CloseCode::SERVICE_RESTART
            | CloseCode::NO_STATUS,
        ) => ExitCode::SUCCESS,
        (Side::Peer, code) if closed.reason.is_empty() => {
            say(OTHER_CLOSE, &format!("{by}: {code}"))
        }
        (Side::Peer, code) => say(
            OTHER_CLOSE,
            &format!("{by}: {code} {}", printable(&closed.reason)),
        ),
        _ => say(OTHER_CLOSE, by),
    }
}

/// There was no connection.
pub(crate) fn not_connected(error: &Error) -> ExitCode {
    match error.kind() {
        ErrorKind::Url | ErrorKind::Config => say(USAGE, &with_causes(error)),
        _ => say(NOT_CONNECTED, &reason(error)),
    }
}

/// Told to stop before there was a connection.
pub(crate) fn stopped_early() -> ExitCode {
    say(NOT_CONNECTED, "stopped before there was a connection")
}

/// Nothing came of dialling in time.
pub(crate) fn no_answer(limit: Duration) -> ExitCode {
    say(
        NOT_CONNECTED,
        &format!("no connection within {limit:?} (--timeout)"),
    )
}

/// The open connection failed.
pub(crate) fn failed(error: &Error) -> ExitCode {
    let text = with_causes(error);
    match error.kind() {
        ErrorKind::Protocol => say(PROTOCOL, &format!("the server broke the protocol: {text}")),
        ErrorKind::Limit => say(
            PROTOCOL,
            &format!("the server sent more than --max-message allows: {text}"),
        ),
        _ => say(OTHER_CLOSE, &text),
    }
}

fn say(code: u8, text: &str) -> ExitCode {
    eprintln!("sockeye: {text}");
    ExitCode::from(code)
}
