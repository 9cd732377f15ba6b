//! The events that `--json` prints, one JSON object in each line.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, header};
use serde::Serialize;
use sockeye::{Closed, Error, ErrorKind, Message, Printable, Session, Side};

/// An event. `docs/reference/connect.md` describes each.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Event<'a> {
    Open {
        status: u16,
        headers: Headers,
        subprotocol: Option<&'a str>,
    },
    Message(Payload<'a>),
    Ping {
        data: String,
    },
    Pong {
        data: String,
        round_trip_ms: Option<f64>,
    },
    Close {
        code: u16,
        reason: &'a str,
        by: &'static str,
    },
    Error(&'a Failure),
    /// With `--reconnect` only: the connection was lost or could not be opened.
    Retry {
        in_ms: f64,
    },
    /// With `--reconnect` only: a message that was not sent on any connection.
    Unsent(Payload<'a>),
}

/// The fields of a response: each name with all its values.
pub(super) type Headers = BTreeMap<String, Vec<String>>;

/// The payload of a message.
#[derive(Debug, Serialize)]
pub(super) struct Payload<'a> {
    r#type: &'static str,
    /// The text, or the bytes in Base64.
    data: Cow<'a, str>,
}

/// An error.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    kind: &'static str,
    message: String,
    /// The status of a response that refused the handshake.
    status: Option<u16>,
    headers: Option<Headers>,
    body: Option<String>,
}

impl<'a> Event<'a> {
    /// Describes the handshake of an open WebSocket.
    pub(super) fn open(session: &'a Session) -> Self {
        let headers = session.response_headers();
        // HTTP/1.1 demands this field in the response (RFC 6455 section 4.2.2), HTTP/2 forbids it.
        let status = match headers.contains_key(header::UPGRADE) {
            true => 101,
            false => 200,
        };
        Self::Open {
            status,
            headers: all_values(headers),
            subprotocol: session.subprotocol(),
        }
    }

    pub(super) fn message(message: &'a Message<'_>) -> Self {
        Self::Message(Payload::of(message))
    }

    pub(super) fn unsent(message: &'a Message<'_>) -> Self {
        Self::Unsent(Payload::of(message))
    }

    pub(super) fn ping(payload: &[u8]) -> Self {
        Self::Ping {
            data: BASE64_STANDARD.encode(payload),
        }
    }

    pub(super) fn pong(payload: &[u8], round_trip: Option<Duration>) -> Self {
        Self::Pong {
            data: BASE64_STANDARD.encode(payload),
            round_trip_ms: round_trip.map(milliseconds),
        }
    }

    pub(super) fn close(closed: &'a Closed) -> Self {
        Self::Close {
            code: closed.code.as_u16(),
            reason: &closed.reason,
            by: match closed.by {
                Side::Us => "us",
                Side::Peer => "peer",
                Side::Network => "network",
            },
        }
    }

    pub(super) fn retry(delay: Duration) -> Self {
        Self::Retry {
            in_ms: milliseconds(delay),
        }
    }

    /// Returns one line of JSON, with its newline.
    pub(super) fn line(&self, reader: Reader) -> String {
        let json =
            serde_json::to_string(self).expect("an event holds nothing but text and numbers");
        let mut line = match reader {
            Reader::Program => json,
            Reader::Person => without_commands(&json),
        };
        line.push('\n');
        line
    }
}

/// The reader of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Program,
    /// A terminal, which received text must not control.
    Person,
}

impl<'a> Payload<'a> {
    fn of(message: &'a Message<'_>) -> Self {
        match message.as_text() {
            Some(text) => Self {
                r#type: "text",
                data: text.into(),
            },
            None => Self {
                r#type: "binary",
                data: BASE64_STANDARD.encode(message.as_bytes()).into(),
            },
        }
    }
}

impl Failure {
    /// Describes an error of the connection, or of opening it.
    pub(super) fn of(error: &Error) -> Self {
        let refused = error.rejection();
        Self {
            kind: kind(error.kind()),
            message: error.report().to_string(),
            status: refused.map(|refused| refused.status.as_u16()),
            headers: refused.map(|refused| all_values(&refused.headers)),
            body: refused.map(|refused| String::from_utf8_lossy(&refused.body).into_owned()),
        }
    }

    /// Describes an error outside the connection.
    pub(super) fn new(kind: &'static str, message: &str) -> Self {
        Self {
            kind,
            message: message.to_owned(),
            status: None,
            headers: None,
            body: None,
        }
    }
}

fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Io => "io",
        ErrorKind::Tls => "tls",
        ErrorKind::Url => "url",
        ErrorKind::Resolve => "resolve",
        ErrorKind::Proxy => "proxy",
        ErrorKind::Handshake => "handshake",
        ErrorKind::Refused => "refused",
        ErrorKind::Protocol => "protocol",
        ErrorKind::Limit => "limit",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Heartbeat => "heartbeat",
        ErrorKind::Closed => "closed",
        ErrorKind::Config => "config",
        _ => "other",
    }
}

fn all_values(fields: &HeaderMap) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.to_string()).or_default().push(value);
    }
    headers
}

/// Returns milliseconds, rounded to three decimal places.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Escapes each control character of a terminal. They occur in strings only, where JSON allows escapes for all characters.
fn without_commands(json: &str) -> String {
    let mut buffer = [0; 4];
    let mut line = String::with_capacity(json.len());
    for character in json.chars() {
        let text: &str = character.encode_utf8(&mut buffer);
        if character == ' ' || character.is_ascii_graphic() || Printable(text).to_string() == text {
            line.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            line.push_str(&format!("\\u{unit:04x}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_event_is_one_line_that_reads_back() {
        let text = Message::from("a\nb\u{1b}\u{9b}你\u{e0001}\"".to_owned());
        for reader in [Reader::Program, Reader::Person] {
            let line = Event::message(&text).line(reader);
            assert_eq!(line.find('\n'), Some(line.len() - 1));
            let value: Value = serde_json::from_str(&line).unwrap();
            let expected = json!({"event": "message", "type": "text", "data": text.as_text()});
            assert_eq!(value, expected);
        }
    }

    #[test]
    fn a_person_gets_nothing_that_commands_the_terminal() {
        let text = Message::from("\u{9b}31m\u{202e}\u{e0001}é你".to_owned());
        let line = Event::message(&text).line(Reader::Person);
        assert!(
            line.contains("\\u009b31m\\u202e\\udb40\\udc01é你"),
            "{line}"
        );
    }

    #[test]
    fn a_round_trip_has_three_digits() {
        let line =
            Event::pong(b"\xff1", Some(Duration::from_nanos(1_234_567))).line(Reader::Program);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            value,
            json!({"event": "pong", "data": "/zE=", "round_trip_ms": 1.235})
        );
    }
}
