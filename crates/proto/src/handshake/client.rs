//! The client's side of the handshake: writes the request, then checks the response.

use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};
use core::fmt;

use super::{
    FieldError, ResponseHead,
    accept::{accept_key, encode_key},
    authority::is_authority,
    field, target, token,
};
use crate::extension::{self, Deflate, DeflateParams, ExtensionError};

/// One handshake of a client. Over HTTP/1.1 call [`ClientHandshake::request`], then [`ClientHandshake::verify`]; over HTTP/2
/// call [`ClientHandshake::connect_headers`], then [`ClientHandshake::verify_connect`].
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    /// 16 bytes in base64.
    key: String,
    /// The subprotocols that the latest request offered: tokens, none twice.
    subprotocols: Vec<String>,
    /// The settings that the latest request offered.
    deflate: Option<Deflate>,
}

/// What the server chose from the client's offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// One of the offered subprotocols.
    pub subprotocol: Option<String>,
    /// Parameters within the offer.
    pub deflate: Option<DeflateParams>,
}

impl ClientHandshake {
    /// Creates a handshake. The nonce must be random for each connection (RFC 6455 section 4.1 item 7).
    #[must_use]
    pub fn new(nonce: [u8; 16]) -> Self {
        Self {
            key: encode_key(nonce),
            subprotocols: Vec::new(),
            deflate: None,
        }
    }

    /// Returns the request over HTTP/1.1 (RFC 6455 section 4.1), and remembers what it offers.
    ///
    /// `target` is the path and query of the URL, `host` its host, with the port unless that is the default of the scheme.
    ///
    /// # Errors
    ///
    /// An argument cannot stand in a head.
    pub fn request(
        &mut self,
        target: &str,
        host: &str,
        subprotocols: &[String],
        deflate: Option<&Deflate>,
        headers: &[(String, String)],
    ) -> Result<Vec<u8>, FieldError> {
        if !target::is_path_and_query(target) {
            return Err(FieldError::Target(target.to_string()));
        }
        if !is_authority(host) {
            return Err(FieldError::Host(host.to_string()));
        }
        let mut head = Vec::with_capacity(256);
        for part in ["GET ", target, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        field::write(&mut head, "Host", host);
        field::write(&mut head, "Upgrade", "websocket");
        field::write(&mut head, "Connection", "Upgrade");
        field::write(&mut head, "Sec-WebSocket-Key", &self.key);
        for (name, value) in self.connect_headers(subprotocols, deflate)? {
            field::write(&mut head, name, &value);
        }
        for (name, value) in headers {
            field::write_extra(&mut head, name, value)?;
        }
        head.extend_from_slice(b"\r\n");
        Ok(head)
    }

    /// Returns the fields of an extended CONNECT (RFC 8441 section 5), and remembers what they offer.
    ///
    /// # Errors
    ///
    /// A subprotocol is not a token or is named twice.
    pub fn connect_headers(
        &mut self,
        subprotocols: &[String],
        deflate: Option<&Deflate>,
    ) -> Result<Vec<(&'static str, String)>, FieldError> {
        for (index, name) in subprotocols.iter().enumerate() {
            let is_repeated = subprotocols[..index].contains(name);
            if is_repeated || token::as_token(name.as_bytes()).is_none() {
                return Err(FieldError::Subprotocol(name.clone()));
            }
        }
        let mut fields = Vec::from([("Sec-WebSocket-Version", "13".to_string())]);
        if !subprotocols.is_empty() {
            fields.push(("Sec-WebSocket-Protocol", subprotocols.join(", ")));
        }
        if let Some(offer) = deflate.and_then(extension::offer) {
            fields.push(("Sec-WebSocket-Extensions", offer));
        }
        self.subprotocols = subprotocols.to_vec();
        self.deflate = deflate.cloned();
        Ok(fields)
    }

    /// Checks the response over HTTP/1.1 (RFC 6455 section 4.1, second list).
    ///
    /// # Errors
    ///
    /// The server refused, or its response doesn't fit this request. No WebSocket is open then; after
    /// [`HandshakeError::Status`] the body of an HTTP response follows.
    pub fn verify(&self, head: &ResponseHead<'_>) -> Result<Agreed, HandshakeError> {
        if head.status != 101 {
            return Err(HandshakeError::Status(head.status));
        }
        if head.version_minor != 1 {
            return Err(HandshakeError::Version);
        }
        // Items 2 and 3. The server switches to one protocol, so the field has one element.
        let mut upgrade = token::elements(head.headers("Upgrade"));
        let is_websocket = upgrade
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(b"websocket"));
        if !is_websocket || upgrade.next().is_some() {
            return Err(HandshakeError::Upgrade);
        }
        if !token::contains(head.headers("Connection"), "upgrade") {
            return Err(HandshakeError::Connection);
        }
        // Item 4. Base64 is case-sensitive.
        let mut accept = head.headers("Sec-WebSocket-Accept");
        match (accept.next(), accept.next()) {
            (Some(value), None) if value == accept_key(&self.key).as_bytes() => {}
            _ => return Err(HandshakeError::Accept),
        }
        self.agree(
            head.headers("Sec-WebSocket-Protocol"),
            head.headers("Sec-WebSocket-Extensions"),
        )
    }

    /// Checks the response to an extended CONNECT (RFC 8441 section 5).
    ///
    /// # Errors
    ///
    /// The server refused, or chose what was not offered.
    pub fn verify_connect<'a>(
        &self,
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Agreed, HandshakeError> {
        if status != 200 {
            return Err(HandshakeError::Status(status));
        }
        let headers: Vec<(&str, &[u8])> = headers.into_iter().collect();
        let values = |name: &'static str| {
            headers
                .iter()
                .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
                .map(|&(_, value)| value)
        };
        self.agree(
            values("Sec-WebSocket-Protocol"),
            values("Sec-WebSocket-Extensions"),
        )
    }

    /// Items 5 and 6: the server may choose only from the offers.
    fn agree<'a>(
        &self,
        mut subprotocol: impl Iterator<Item = &'a [u8]>,
        mut extensions: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Agreed, HandshakeError> {
        let chosen = match (subprotocol.next(), subprotocol.next()) {
            (None, _) => None,
            (Some(value), None) => {
                let offered = self
                    .subprotocols
                    .iter()
                    .find(|name| name.as_bytes() == value);
                Some(offered.ok_or(HandshakeError::Subprotocol)?.clone())
            }
            (Some(_), Some(_)) => return Err(HandshakeError::Subprotocol),
        };
        let deflate = match &self.deflate {
            Some(deflate) => deflate
                .accept(extensions)
                .map_err(HandshakeError::Extension)?,
            None if extensions.next().is_none() => None,
            None => return Err(HandshakeError::ExtensionNotOffered),
        };
        Ok(Agreed {
            subprotocol: chosen,
            deflate,
        })
    }
}

/// The reason why a server's response does not open a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The status is not 101 (over HTTP/2: 200). The server redirects, demands credentials or refuses.
    Status(u16),
    /// The response is not HTTP/1.1.
    Version,
    /// `Upgrade` is missing or is not `websocket` alone.
    Upgrade,
    /// `Connection` does not name upgrade.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, repeated or for another key, as in a response from a cache.
    Accept,
    /// The server chose a subprotocol that was not offered, or more than one.
    Subprotocol,
    /// The server chose an extension, and none was offered.
    ExtensionNotOffered,
    /// The server chose extensions or parameters that don't fit the offer.
    Extension(ExtensionError),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the server answered with status {status}"),
            Self::Version => f.write_str("the server's answer is not HTTP/1.1"),
            Self::Upgrade => f.write_str("the server's Upgrade field is not websocket"),
            Self::Connection => f.write_str("the server's Connection field does not name upgrade"),
            Self::Accept => {
                f.write_str("the server's Sec-WebSocket-Accept does not answer our key")
            }
            Self::Subprotocol => f.write_str("the server chose a subprotocol that was not offered"),
            Self::ExtensionNotOffered => {
                f.write_str("the server chose an extension that was not offered")
            }
            Self::Extension(error) => write!(f, "the server's choice of extensions: {error}"),
        }
    }
}

impl core::error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Extension(error) => Some(error),
            _ => None,
        }
    }
}
