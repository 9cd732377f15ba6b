//! The output of a conversation: messages on stdout, the rest on stderr; with `--json` all events on stdout.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
    time::Duration,
};

use http::HeaderMap;
use rustyline_async::SharedWriter;
use sockeye::{Control, Error, Message, Printable, Request, Session, reconnect::Outage};

use super::{
    ConnectArgs,
    event::{Event, Failure, Reader},
    pings::Pings,
};
use crate::dial::reason;

/// The output. Cheap to clone: the conversation and the observer of control frames share it.
#[derive(Clone)]
pub(crate) struct Screen {
    out: Out,
    format: Format,
    binary: Binary,
    /// Written after each text.
    separator: u8,
    /// Whether control characters are escaped, for a terminal.
    reader: Reader,
    verbosity: Verbosity,
}

/// The form of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Messages unchanged, and notes about other events.
    Text,
    /// Each event as a line of JSON.
    Json,
}

/// The notes beside messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verbosity {
    /// Answers to commands, and errors.
    Quiet,
    /// Also handshakes and control frames.
    Verbose,
}

#[derive(Clone)]
enum Out {
    Stdout,
    /// Prints above the line that is being edited.
    Editor(SharedWriter),
}

/// The form of binary messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    /// Size and first bytes.
    Glance,
    /// All bytes, as a line of hexadecimal.
    Hex,
    /// Unchanged, without separators.
    Raw,
}

impl Screen {
    pub(crate) fn terminal(writer: SharedWriter, args: &ConnectArgs) -> Self {
        Self::new(Out::Editor(writer), args)
    }

    pub(crate) fn pipe(args: &ConnectArgs) -> Self {
        Self::new(Out::Stdout, args)
    }

    fn new(out: Out, args: &ConnectArgs) -> Self {
        let reader = match io::stdout().is_terminal() {
            true => Reader::Person,
            false => Reader::Program,
        };
        let binary = match (args.binary, args.hex) {
            // Raw bytes can control a terminal, so they are written to files and pipes only.
            (true, _) if reader == Reader::Program => Binary::Raw,
            (_, true) => Binary::Hex,
            _ => Binary::Glance,
        };
        Self {
            out,
            format: match args.json {
                true => Format::Json,
                false => Format::Text,
            },
            binary,
            separator: args.separator(),
            reader,
            verbosity: match args.verbose {
                0 => Verbosity::Quiet,
                _ => Verbosity::Verbose,
            },
        }
    }

    /// Fails when stdout is closed.
    pub(crate) async fn message(&self, message: &Message<'_>) -> io::Result<()> {
        if self.format == Format::Json {
            return self.write(&Event::message(message).line(self.reader)).await;
        }
        let mut line = match (message, self.binary) {
            (_, Binary::Raw) => {
                let mut stdout = io::stdout().lock();
                return stdout
                    .write_all(message.as_bytes())
                    .and_then(|()| stdout.flush());
            }
            (Message::Text(text), _) if self.reader == Reader::Person => text
                .split('\n')
                .map(|line| Printable(line).to_string())
                .collect::<Vec<_>>()
                .join("\n"),
            (Message::Text(text), _) => text.to_string(),
            (Message::Binary(bytes), Binary::Hex) => hex(bytes),
            (Message::Binary(bytes), _) => glance(bytes),
        };
        if let Out::Editor(_) = self.out {
            line.insert_str(0, "< ");
        }
        line.push(char::from(self.separator));
        self.write(&line).await
    }

    /// Fails when stdout is closed.
    async fn write(&self, line: &str) -> io::Result<()> {
        match &self.out {
            Out::Editor(writer) => {
                let mut writer = writer.clone();
                let mut unwritten = line.as_bytes();
                // The writer keeps the rest, so only the flush is tried again.
                while let Err(error) = writer.write(unwritten) {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        return Err(error);
                    }
                    unwritten = &[];
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
            Out::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(line.as_bytes())?;
                stdout.flush()
            }
        }
    }

    /// Shows a received ping, pong or close.
    pub(crate) fn control(&self, frame: &Control<'_>, pings: &Pings) {
        match (frame, self.format) {
            (Control::Ping(payload), Format::Json) => self.event(&Event::ping(payload)),
            (Control::Pong(payload), Format::Json) => {
                self.event(&Event::pong(payload, pings.answered(payload)));
            }
            // The ending shows how the connection ended.
            (_, Format::Json) => {}
            (Control::Pong(payload), Format::Text) => match pings.answered(payload) {
                Some(time) => {
                    self.note(&format!("< pong{} time={}", quoted(payload), shown(time)));
                }
                None => self.detail(&format!("< pong{}", quoted(payload))),
            },
            (Control::Ping(payload), Format::Text) => {
                self.detail(&format!("< ping{}", quoted(payload)));
            }
            (Control::Close(close), Format::Text) => {
                self.detail(&format!("< close {} {}", close.code, close.reason));
            }
            _ => {}
        }
    }

    /// Shows a sent close.
    pub(crate) fn sent(&self, what: &str) {
        self.detail(&format!("> {what}"));
    }

    /// Shows the handshake.
    pub(crate) fn opened(&self, session: &Session) {
        if self.format == Format::Json {
            return self.event(&Event::open(session));
        }
        if self.verbosity == Verbosity::Quiet {
            return;
        }
        if let Some(request) = session.request() {
            self.request(&request);
        }
        self.fields('<', session.response_headers());
        self.note(&format!(
            "* open, subprotocol: {}",
            session.subprotocol().unwrap_or("none")
        ));
    }

    /// Shows a failed handshake as far as it went.
    pub(crate) fn not_opened(&self, error: &Error) {
        // With `--json` the error's event has all of it.
        if self.format == Format::Json || self.verbosity == Verbosity::Quiet {
            return;
        }
        if let Some(request) = error.request() {
            self.request(request);
        }
        if let Some(refused) = error.rejection() {
            self.note(&format!("< {}", refused.status));
            self.fields('<', &refused.headers);
        }
    }

    fn request(&self, request: &Request) {
        self.note(&format!("> {} {}", request.method(), request.uri()));
        self.fields('>', request.headers());
    }

    fn fields(&self, direction: char, fields: &HeaderMap) {
        for (name, value) in fields {
            let value = String::from_utf8_lossy(value.as_bytes());
            self.note(&format!("{direction} {name}: {value}"));
        }
    }

    /// Shows that the connection is open again.
    pub(crate) fn reconnected(&self) {
        if self.format == Format::Text {
            self.note("connected");
        }
    }

    /// Shows why there is no connection, and when the next attempt is.
    pub(crate) fn disconnected(&self, outage: &Outage, retry_in: Duration) {
        if self.format == Format::Text {
            let (why, seconds) = (why(outage), retry_in.as_secs_f64());
            return self.note(&format!("disconnected ({why}), again in {seconds:.1} s"));
        }
        if let Some(error) = outage.error() {
            self.event(&Event::Error(&Failure::of(error)));
        }
        if let Some(closed) = outage.closed() {
            self.event(&Event::close(closed));
        }
        self.event(&Event::retry(retry_in));
    }

    /// Shows a message that was not sent on any connection.
    pub(crate) fn unsent(&self, message: &Message<'_>) {
        match self.format {
            Format::Text => self.note(&format!("not sent: {}", start_of(message))),
            Format::Json => self.event(&Event::unsent(message)),
        }
    }

    fn event(&self, event: &Event<'_>) {
        let line = event.line(self.reader);
        // A closed stdout ends the conversation at the next message.
        let _ = match &self.out {
            Out::Editor(writer) => writer.clone().write_all(line.as_bytes()),
            Out::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout
                    .write_all(line.as_bytes())
                    .and_then(|()| stdout.flush())
            }
        };
    }

    /// Shows a note if `-v` is set.
    fn detail(&self, text: &str) {
        if self.verbosity == Verbosity::Verbose && self.format == Format::Text {
            self.note(text);
        }
    }

    /// Shows a note.
    pub(crate) fn note(&self, text: &str) {
        let text = Printable(text);
        // A closed terminal doesn't end the conversation.
        let _ = match &self.out {
            Out::Editor(writer) => writeln!(writer.clone(), "{text}"),
            Out::Stdout => writeln!(io::stderr(), "{text}"),
        };
    }
}

/// Formats a time in milliseconds with three decimal places.
fn shown(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

/// Returns in one line why there is no connection.
fn why(outage: &Outage) -> String {
    match (outage.error(), outage.closed()) {
        (Some(error), _) => reason(error),
        (None, Some(closed)) => closed.to_string(),
        (None, None) => "no connection".to_owned(),
    }
}

/// Returns the start of a message, enough to recognise it.
pub(super) fn start_of(message: &Message<'_>) -> String {
    match message.as_text() {
        Some(text) => {
            let start: String = text.chars().take(START_CHARS).collect();
            Printable(start).to_string()
        }
        None => format!("[binary, {} bytes]", message.len()),
    }
}

/// Returns the payload of a control frame after a blank; empty if there is none.
fn quoted(payload: &[u8]) -> String {
    match str::from_utf8(payload) {
        Ok("") => String::new(),
        Ok(text) => format!(" {text:?}"),
        Err(_) => format!(" {}", hex(payload)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn glance(bytes: &[u8]) -> String {
    let start: Vec<_> = bytes
        .iter()
        .take(GLANCE_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let more = if bytes.len() > GLANCE_BYTES {
        " …"
    } else {
        ""
    };
    format!("[binary, {} bytes] {}{more}", bytes.len(), start.join(" "))
}

/// Bytes shown of a binary message, so that it fits a line with its size.
const GLANCE_BYTES: usize = 16;

/// Characters shown of a message that was not sent, so that it fits a line.
const START_CHARS: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_is_shown_at_a_glance() {
        assert_eq!(glance(&[0, 255]), "[binary, 2 bytes] 00 ff");
        assert!(glance(&[7; 17]).ends_with("07 …"));
        assert_eq!(hex(&[0, 255]), "00ff");
    }
}
