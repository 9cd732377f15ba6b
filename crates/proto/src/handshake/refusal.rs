//! The HTTP response to a handshake that fails.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use super::{HeadError, field};

/// An HTTP response in place of 101.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Fields beside `Content-Length`, `Content-Type` and `Connection`.
    pub headers: Vec<(String, String)>,
    /// Plain text for a person.
    pub body: String,
}

impl Refusal {
    pub(super) fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_string(), value.to_string()));
        self
    }

    /// Creates a 400 with its reason.
    pub(super) fn bad_request(body: &str) -> Self {
        Self::new(400, body)
    }

    /// Creates a 426, which names what would be right (RFC 6455 section 4.4, RFC 9110 section 15.5.22).
    pub(super) fn upgrade_required(body: &str) -> Self {
        Self::new(426, body)
            .with_header("Upgrade", "websocket")
            .with_header("Sec-WebSocket-Version", "13")
    }

    /// Returns the response over HTTP/1.1, after which the server closes the connection.
    ///
    /// A field that cannot stand in a head ([`super::FieldError`]) is left out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).into_bytes();
        for (name, value) in &self.headers {
            if field::check(name, value).is_ok() {
                field::write(&mut head, name, value);
            }
        }
        let names_upgrade = self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("Upgrade"));
        // RFC 9110 section 7.8: a sender of Upgrade names it in Connection.
        let connection = if names_upgrade {
            "Upgrade, close"
        } else {
            "close"
        };
        field::write(&mut head, "Connection", connection);
        if !self.body.is_empty() {
            field::write(&mut head, "Content-Type", "text/plain; charset=utf-8");
        }
        field::write(&mut head, "Content-Length", &self.body.len().to_string());
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(self.body.as_bytes());
        head
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        let status = match error {
            HeadError::Method
            | HeadError::Target
            | HeadError::StartLine
            | HeadError::HeaderName
            | HeadError::HeaderValue
            | HeadError::LineEnd => 400,
            HeadError::TargetTooLong => 414,
            HeadError::TooLarge | HeadError::TooManyHeaders => 431,
            HeadError::Version => 505,
        };
        Self {
            status,
            headers: Vec::new(),
            body: format!("{error}\n"),
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        // RFC 9112 section 4: the reason may be empty, the space before it may not.
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_is_a_whole_http_answer() {
        let refusal = Refusal::upgrade_required("no\n");
        assert_eq!(
            String::from_utf8(refusal.to_bytes()).unwrap(),
            "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Connection: Upgrade, close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n\r\nno\n"
        );
    }

    #[test]
    fn refusal_leaves_out_a_field_that_would_end_its_line() {
        let refusal = Refusal::new(403, "").with_header("X", "a\r\nEvil: 1");
        assert_eq!(
            refusal.to_bytes(),
            b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
