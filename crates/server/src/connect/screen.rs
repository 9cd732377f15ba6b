//! What a conversation shows: messages on stdout, everything else on stderr.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
};

use http::HeaderMap;
use rustyline_async::SharedWriter;
use sockeye::{Control, Error, Message, Printable, Request, Session};

use super::ConnectArgs;

/// Cheap to clone: the conversation and its control frames write to the same screen.
#[derive(Clone)]
pub(crate) struct Screen {
    out: Out,
    binary: Binary,
    /// A person reads: nothing that comes may command the terminal.
    person: bool,
}

#[derive(Clone)]
enum Out {
    Stdout,
    /// Prints above the line that is being edited.
    Editor(SharedWriter),
}

/// How binary messages are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    /// Size and first bytes.
    Glance,
    /// All of it, a line of hexadecimal.
    Hex,
    /// As it is, without anything in between.
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
        let person = io::stdout().is_terminal();
        let binary = match (args.binary, args.hex) {
            // What commands a terminal belongs into a file or a pipe.
            (true, _) if !person => Binary::Raw,
            (_, true) => Binary::Hex,
            _ => Binary::Glance,
        };
        Self {
            out,
            binary,
            person,
        }
    }

    /// Fails when nobody reads stdout any more.
    pub(crate) async fn message(&self, message: &Message<'_>) -> io::Result<()> {
        let line = match (message, self.binary) {
            (_, Binary::Raw) => {
                let mut stdout = io::stdout().lock();
                return stdout
                    .write_all(message.as_bytes())
                    .and_then(|()| stdout.flush());
            }
            (Message::Text(text), _) if self.person => text
                .split('\n')
                .map(|line| Printable(line).to_string())
                .collect::<Vec<_>>()
                .join("\n"),
            (Message::Text(text), _) => text.to_string(),
            (Message::Binary(bytes), Binary::Hex) => hex(bytes),
            (Message::Binary(bytes), _) => glance(bytes),
        };
        match &self.out {
            Out::Editor(writer) => {
                let mut writer = writer.clone();
                let line = format!("< {line}\n");
                let mut unwritten = line.as_bytes();
                // The writer keeps what the editor has no room for: nothing to write again, only to try.
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
                stdout.write_all(b"\n")?;
                stdout.flush()
            }
        }
    }

    /// A ping, a pong or a close that came.
    pub(crate) fn control(&self, frame: &Control<'_>) {
        match frame {
            Control::Ping(payload) => self.note(&format!("< ping{}", quoted(payload))),
            Control::Pong(payload) => self.note(&format!("< pong{}", quoted(payload))),
            Control::Close(close) => self.note(&format!("< close {} {}", close.code, close.reason)),
            _ => {}
        }
    }

    /// A ping or a close that goes.
    pub(crate) fn sent(&self, what: &str) {
        self.note(&format!("> {what}"));
    }

    /// The handshake.
    pub(crate) fn opened(&self, session: &Session) {
        if let Some(request) = session.request() {
            self.request(&request);
        }
        self.fields('<', session.response_headers());
        self.note(&format!(
            "* open, subprotocol: {}",
            session.subprotocol().unwrap_or("none")
        ));
    }

    /// The handshake that failed, as far as it went.
    pub(crate) fn not_opened(&self, error: &Error) {
        if let Some(request) = error.request() {
            self.request(request);
        }
        if let Some(refused) = error.refused() {
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

    /// Something that a person should know.
    pub(crate) fn note(&self, text: &str) {
        let text = Printable(text);
        // A terminal that has gone is no reason to stop.
        let _ = match &self.out {
            Out::Editor(writer) => writeln!(writer.clone(), "{text}"),
            Out::Stdout => writeln!(io::stderr(), "{text}"),
        };
    }
}

/// The payload of a control frame, after a blank, if there is one.
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

/// Bytes shown of a binary message: what fits a line beside its size.
const GLANCE_BYTES: usize = 16;

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
