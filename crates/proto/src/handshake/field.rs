//! Writes header fields. No value of an application can end its line or forge another field.

use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};
use core::fmt;

use super::token;

/// A value of the caller that cannot stand in a head. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// A field name that is not a token.
    Name(String),
    /// The field of this name has a control character in its value, or white space around it.
    Value(String),
    /// The handshake writes this field itself.
    Reserved(String),
    /// A subprotocol that is not a token or is named twice.
    Subprotocol(String),
    /// A subprotocol that the client did not offer (RFC 6455 section 4.2.2, item 5.5).
    SubprotocolNotOffered(String),
    /// A request target that is not in origin-form.
    Target(String),
    /// A host that is not `uri-host [ ":" port ]`.
    Host(String),
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?} is not a field name"),
            Self::Value(name) => write!(f, "the value of field {name} cannot stand in a head"),
            Self::Reserved(name) => write!(f, "field {name} belongs to the handshake"),
            Self::Subprotocol(name) => {
                write!(f, "subprotocol {name:?} is not a token or is named twice")
            }
            Self::SubprotocolNotOffered(name) => {
                write!(f, "the client did not offer subprotocol {name:?}")
            }
            Self::Target(target) => write!(f, "{target:?} is not a request target"),
            Self::Host(host) => write!(f, "{host:?} is not a host"),
        }
    }
}

impl core::error::Error for FieldError {}

/// Appends a field of the application, if it can stand in a handshake.
pub(super) fn write_extra(head: &mut Vec<u8>, name: &str, value: &str) -> Result<(), FieldError> {
    check(name, value)?;
    if RESERVED
        .iter()
        .any(|field| field.eq_ignore_ascii_case(name))
    {
        return Err(FieldError::Reserved(name.to_string()));
    }
    write(head, name, value);
    Ok(())
}

/// Appends a field that is known to be valid.
pub(super) fn write(head: &mut Vec<u8>, name: &str, value: &str) {
    debug_assert!(check(name, value).is_ok());
    for part in [name, ": ", value, "\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
}

/// RFC 9110 section 5.5: a value has no control character except tab. White space around it is refused, because recipients
/// remove it. Bytes beyond ASCII are allowed (`obs-text`).
pub(super) fn check(name: &str, value: &str) -> Result<(), FieldError> {
    if token::as_token(name.as_bytes()).is_none() {
        return Err(FieldError::Name(name.to_string()));
    }
    let is_padded = value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']);
    let has_control = value
        .bytes()
        .any(|byte| byte.is_ascii_control() && byte != b'\t');
    if is_padded || has_control {
        return Err(FieldError::Value(name.to_string()));
    }
    Ok(())
}

/// Fields that an application must not write: those of the handshake, and those that announce a body.
const RESERVED: [&str; 10] = [
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Content-Length",
    "Transfer-Encoding",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_that_would_end_its_line_is_not_written() {
        let mut head = Vec::new();
        for (name, value) in [
            ("X", "a\r\nEvil: 1"),
            ("X", "a\nb"),
            ("X", "a\rb"),
            ("X", "\0"),
            ("X", "a "),
            ("X\r\nEvil", "1"),
            ("X:", "1"),
            ("", "1"),
            ("upgrade", "h2c"),
        ] {
            assert!(
                write_extra(&mut head, name, value).is_err(),
                "{name:?}: {value:?}"
            );
        }
        assert!(head.is_empty());
        write_extra(&mut head, "X-A", "b\tc").unwrap();
        assert_eq!(head, b"X-A: b\tc\r\n");
    }
}
