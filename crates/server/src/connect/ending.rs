//! How a conversation ended, as an exit code and a line on stderr.

use std::{error::Error as _, process::ExitCode, time::Duration};

use sockeye::{CloseCode, Closed, Error, ErrorKind, Side};

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
        | (Side::Peer, CloseCode::NORMAL | CloseCode::GOING_AWAY | CloseCode::NO_STATUS) => {
            ExitCode::SUCCESS
        }
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
        _ => {
            let body = error
                .refused()
                .map(|refused| String::from_utf8_lossy(&refused.body).into_owned());
            let body = body
                .as_deref()
                .map(str::trim)
                .filter(|body| !body.is_empty());
            let body = body
                .map(|body| format!(": {}", printable(&first_line(body))))
                .unwrap_or_default();
            say(NOT_CONNECTED, &format!("{}{body}", with_causes(error)))
        }
    }
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

/// An error and what it comes from, on one line.
pub(crate) fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    printable(&text)
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}

/// The text without characters that would command a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}
