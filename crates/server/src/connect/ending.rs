//! How a conversation ended, as an exit code and a line on stderr.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use sockeye::{CloseCode, Closed, Error, ErrorKind, Printable, Side};

use super::{
    ConnectArgs,
    event::{Event, Failure, Reader},
    input::Source,
};
use crate::dial::reason;

/// An exit code, with a text for people.
#[must_use = "the ending must be reported"]
pub(crate) struct Ending {
    code: u8,
    text: Option<String>,
    /// The error, for `--json`.
    failure: Option<Failure>,
    /// How the connection ended, for `--json`.
    closed: Option<Closed>,
}

impl Ending {
    /// A normal end without a text.
    pub(crate) fn success() -> Self {
        Self {
            code: 0,
            text: None,
            failure: None,
            closed: None,
        }
    }

    /// The end of an open connection.
    pub(crate) fn closed(closed: &Closed, close_line: CloseLine) -> Self {
        let ending = match (closed.by, closed.code) {
            // The client sends these codes only after an error of the peer, which the reason names.
            (Side::Us, CloseCode::PROTOCOL_ERROR | CloseCode::INVALID_PAYLOAD) => {
                let what = Printable(&closed.reason);
                Self::new(PROTOCOL, format!("the server broke the protocol: {what}"))
            }
            (Side::Us, CloseCode::MESSAGE_TOO_BIG) => {
                let what = Printable(&closed.reason);
                let text = format!("the server sent more than --max-message allows: {what}");
                Self::new(PROTOCOL, text)
            }
            (Side::Us, _) => Self::success(),
            (Side::Peer, code) => {
                let code = match code {
                    // Many servers send a Close frame without a code for a normal end.
                    CloseCode::NORMAL
                    | CloseCode::GOING_AWAY
                    | CloseCode::SERVICE_RESTART
                    | CloseCode::NO_STATUS => 0,
                    _ => OTHER_CLOSE,
                };
                let is_news = match close_line {
                    CloseLine::Always => true,
                    CloseLine::OnFailure => code != 0,
                    CloseLine::Never => false,
                };
                Self {
                    code,
                    text: is_news.then(|| closed_by_server(closed)),
                    ..Self::success()
                }
            }
            _ => Self::new(OTHER_CLOSE, "connection lost".to_owned()),
        };
        ending.with_closed(closed)
    }

    /// Adds how the connection ended.
    pub(crate) fn with_closed(mut self, closed: &Closed) -> Self {
        self.closed = Some(closed.clone());
        self
    }

    /// Connecting failed.
    pub(crate) fn not_connected(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Url | ErrorKind::Config => {
                Self::new(USAGE, error.report().to_string()).with_failure(Failure::of(error))
            }
            _ => Self::new(NOT_CONNECTED, reason(error)).with_failure(Failure::of(error)),
        }
    }

    /// The user stopped it before it was connected.
    pub(crate) fn stopped_early() -> Self {
        let text = "stopped before there was a connection";
        Self::failure(NOT_CONNECTED, "interrupted", text.to_owned())
    }

    /// The user stopped it a second time, before the server had answered the Close frame.
    pub(crate) fn not_waited_for() -> Self {
        let text = "stopped at once, before the server had closed too";
        Self::failure(OTHER_CLOSE, "interrupted", text.to_owned())
    }

    /// Connecting took longer than `--timeout`.
    pub(crate) fn no_answer(limit: Duration) -> Self {
        let text = format!("no connection within {limit:?} (--timeout)");
        Self::failure(NOT_CONNECTED, "timeout", text)
    }

    /// The open connection failed.
    pub(crate) fn failed(error: &Error) -> Self {
        let text = error.report().to_string();
        let ending = match error.kind() {
            ErrorKind::Protocol => {
                Self::new(PROTOCOL, format!("the server broke the protocol: {text}"))
            }
            ErrorKind::Limit => {
                let text = format!("the server sent more than --max-message allows: {text}");
                Self::new(PROTOCOL, text)
            }
            _ => Self::new(OTHER_CLOSE, text),
        };
        ending.with_failure(Failure::of(error))
    }

    /// The time of `--wait` was over before `--exit-after` messages had come.
    pub(crate) fn too_few(received: u64, wanted: u64, wait: Duration) -> Self {
        let text = format!(
            "{received} of {wanted} messages came (--exit-after), none for {wait:?} (--wait)"
        );
        Self::failure(OTHER_CLOSE, "too_few", text)
    }

    /// Bad usage.
    pub(crate) fn usage(text: String) -> Self {
        Self::failure(USAGE, "usage", text)
    }

    fn failure(code: u8, kind: &'static str, text: String) -> Self {
        let failure = Failure::new(kind, &text);
        Self::new(code, text).with_failure(failure)
    }

    fn with_failure(mut self, failure: Failure) -> Self {
        self.failure = Some(failure);
        self
    }

    fn new(code: u8, text: String) -> Self {
        Self {
            code,
            text: Some(text),
            ..Self::success()
        }
    }

    fn print_events(&self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let reader = match stdout.is_terminal() {
            true => Reader::Person,
            false => Reader::Program,
        };
        let failure = self.failure.as_ref().map(Event::Error);
        let close = self.closed.as_ref().map(Event::close);
        for event in failure.into_iter().chain(close) {
            stdout.write_all(event.line(reader).as_bytes())?;
        }
        stdout.flush()
    }

    /// Returns whether the exit code is 0.
    pub(crate) fn is_success(&self) -> bool {
        self.code == 0
    }

    /// Prints the text to stderr, and with `--json` the event to stdout. The terminal must not be in raw mode.
    pub(crate) fn tell(self, args: &ConnectArgs) -> ExitCode {
        if args.json {
            // A closed stdout (`| head`) is no error.
            let _ = self.print_events();
        }
        if let Some(text) = &self.text {
            // A closed terminal doesn't change the exit code.
            let _ = writeln!(std::io::stderr(), "sockeye: {text}");
        }
        ExitCode::from(self.code)
    }
}

/// Whether the line about the server's close is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseLine {
    /// At a terminal: a person wants to know about each end.
    Always,
    /// In a pipe: the exit code tells a program that all is well.
    OnFailure,
    /// With -v the Close frame was shown when it came.
    Never,
}

impl CloseLine {
    /// Returns the rule for these options and this source of input.
    pub(crate) fn of(args: &ConnectArgs, source: &Source) -> Self {
        match source {
            _ if args.verbose > 0 && !args.json => Self::Never,
            Source::Terminal(_) => Self::Always,
            Source::Pipe => Self::OnFailure,
        }
    }
}

fn closed_by_server(closed: &Closed) -> String {
    let mut text = format!("closed by the server: {}", closed.code);
    if !closed.reason.is_empty() {
        text = format!("{text} {}", Printable(&closed.reason));
    }
    text
}

/// Bad usage, with clap's exit code.
const USAGE: u8 = 2;
const OTHER_CLOSE: u8 = 1;
const NOT_CONNECTED: u8 = 3;
const PROTOCOL: u8 = 4;
