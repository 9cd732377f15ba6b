//! The server's side of the handshake: checks the request, then writes the response.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use super::{
    FieldError, Refusal, RequestHead, Target,
    accept::{accept_key, is_key},
    body::check_host,
    field, token,
};
use crate::extension::{self, Deflate, DeflateParams};

/// A valid handshake request, and what its client offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHandshake {
    /// The value of `Sec-WebSocket-Accept`. Empty over HTTP/2, which has no such field (RFC 8441 section 5).
    accept: String,
    /// Tokens, none twice, in the client's order of preference.
    subprotocols: Vec<String>,
    /// The values of `Sec-WebSocket-Extensions`, which follow the grammar.
    extensions: Vec<Vec<u8>>,
}

impl ServerHandshake {
    /// Checks a request over HTTP/1.1 (RFC 6455 section 4.2.1).
    ///
    /// # Errors
    ///
    /// The request is wrong, and the refusal is the response: 505 for another version of HTTP, 405 for another method than GET,
    /// 426 for another version of WebSocket or no `Upgrade`, 400 for everything else.
    pub fn check(head: &RequestHead<'_>) -> Result<Self, Refusal> {
        check_request(head)?;
        check_upgrade(head)?;
        check_version(head.headers("Sec-WebSocket-Version"))?;
        let key = match one(head.headers("Sec-WebSocket-Key")) {
            Some(key) if is_key(key) => core::str::from_utf8(key).unwrap_or_default(),
            _ => {
                return Err(Refusal::bad_request(
                    "Sec-WebSocket-Key must be given once, as 16 bytes in base64\n",
                ));
            }
        };
        Ok(Self {
            accept: accept_key(key),
            subprotocols: read_subprotocols(head.headers("Sec-WebSocket-Protocol"))?,
            extensions: read_extensions(head.headers("Sec-WebSocket-Extensions"))?,
        })
    }

    /// Checks the fields of an extended CONNECT whose `:protocol` is `websocket` (RFC 8441 section 5). The HTTP/2 library has
    /// checked the pseudo-header fields.
    ///
    /// # Errors
    ///
    /// The request is wrong, and the refusal is the response, as in [`ServerHandshake::check`].
    pub fn check_connect<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, Refusal> {
        let headers: Vec<(&str, &[u8])> = headers.into_iter().collect();
        let values = |name: &'static str| {
            headers
                .iter()
                .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
                .map(|&(_, value)| value)
        };
        check_version(values("Sec-WebSocket-Version"))?;
        Ok(Self {
            accept: String::new(),
            subprotocols: read_subprotocols(values("Sec-WebSocket-Protocol"))?,
            extensions: read_extensions(values("Sec-WebSocket-Extensions"))?,
        })
    }

    /// Returns the subprotocols that the client offers, in its order of preference.
    #[must_use]
    pub fn subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    /// Returns the first of `ours` that the client offers: the server's order of preference counts.
    ///
    /// On `None` the response has no `Sec-WebSocket-Protocol`, and the client decides whether it goes on (RFC 6455
    /// section 4.2.2).
    pub fn select_subprotocol<'a, S: AsRef<str>>(&self, ours: &'a [S]) -> Option<&'a str> {
        ours.iter()
            .map(AsRef::as_ref)
            .find(|name| self.subprotocols.iter().any(|offered| offered == name))
    }

    /// Chooses the first offer of permessage-deflate that `settings` can meet. Returns the parameters and the value of
    /// `Sec-WebSocket-Extensions` for the response.
    #[must_use]
    pub fn select_deflate(&self, settings: &Deflate) -> Option<(DeflateParams, String)> {
        settings.respond(self.extensions.iter().map(Vec::as_slice))
    }

    /// Returns the value of `Sec-WebSocket-Accept`. It is empty after [`ServerHandshake::check_connect`].
    #[must_use]
    pub fn accept(&self) -> &str {
        &self.accept
    }

    /// Returns the response that opens the WebSocket: 101 over HTTP/1.1 (RFC 6455 section 4.2.2).
    ///
    /// # Errors
    ///
    /// An argument cannot stand in a head, or the client does not offer the subprotocol.
    pub fn response(
        &self,
        subprotocol: Option<&str>,
        extensions: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Vec<u8>, FieldError> {
        let mut head = Vec::with_capacity(RESPONSE_BYTES);
        head.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        field::write(&mut head, "Upgrade", "websocket");
        field::write(&mut head, "Connection", "Upgrade");
        field::write(&mut head, "Sec-WebSocket-Accept", &self.accept);
        if let Some(name) = subprotocol {
            if !self.subprotocols.iter().any(|offered| offered == name) {
                return Err(FieldError::SubprotocolNotOffered(name.to_string()));
            }
            field::write(&mut head, "Sec-WebSocket-Protocol", name);
        }
        if let Some(value) = extensions {
            field::check("Sec-WebSocket-Extensions", value)?;
            field::write(&mut head, "Sec-WebSocket-Extensions", value);
        }
        for (name, value) in headers {
            field::write_extra(&mut head, name, value)?;
        }
        head.extend_from_slice(b"\r\n");
        Ok(head)
    }
}

/// Checks what HTTP demands.
fn check_request(head: &RequestHead<'_>) -> Result<(), Refusal> {
    // RFC 6455 section 4.2.1 item 1: HTTP/1.1 or higher, and GET.
    if head.version_minor != 1 {
        return Err(Refusal::new(505, "WebSocket needs HTTP/1.1\n"));
    }
    if head.method != "GET" {
        // `Allow` says it all, and the protocol of SockJS wants no body.
        return Err(Refusal::new(405, "").with_header("Allow", "GET"));
    }
    // RFC 9112 section 3: the response to an invalid request line is 400.
    if Target::parse(head.target).is_none() {
        return Err(Refusal::bad_request("the request target is malformed\n"));
    }
    check_host(head)?;
    // The bytes after the head are frames. If the request announced a body, a proxy would take the frames for that body, and a
    // client could smuggle them past it. So no handshake may announce one.
    if head.headers("Transfer-Encoding").next().is_some()
        || head.headers("Content-Length").any(|length| length != b"0")
    {
        return Err(Refusal::bad_request("a WebSocket handshake has no body\n"));
    }
    Ok(())
}

/// Checks `Upgrade` and `Connection`: RFC 6455 section 4.2.1 items 3 and 4.
fn check_upgrade(head: &RequestHead<'_>) -> Result<(), Refusal> {
    if !token::contains(head.headers("Upgrade"), "websocket") {
        return Err(Refusal::upgrade_required("Upgrade must name websocket\n"));
    }
    if !token::contains(head.headers("Connection"), "upgrade") {
        return Err(Refusal::bad_request("Connection must name upgrade\n"));
    }
    Ok(())
}

/// Checks `Sec-WebSocket-Version`: RFC 6455 section 4.2.1 item 6. Section 4.4 says how to refuse.
fn check_version<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<(), Refusal> {
    match one(values) {
        Some(b"13") => Ok(()),
        _ => Err(Refusal::upgrade_required(
            "Sec-WebSocket-Version must be given once, and be 13\n",
        )),
    }
}

/// Reads `Sec-WebSocket-Protocol`: RFC 6455 section 4.1 item 10 demands a list of different tokens.
///
/// It also demands that the list isn't empty. Python's `websockets` before 16 sends an empty field for an empty list of subprotocols;
/// nothing can be misunderstood about it, so it is no offer.
fn read_subprotocols<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<String>, Refusal> {
    let mut names: Vec<String> = Vec::new();
    for element in token::elements(values) {
        match token::as_token(element) {
            Some(name) if !names.iter().any(|earlier| earlier == name) => {
                names.push(name.to_string());
            }
            _ => {
                return Err(Refusal::bad_request(
                    "Sec-WebSocket-Protocol must be a list of different tokens\n",
                ));
            }
        }
    }
    Ok(names)
}

/// Reads `Sec-WebSocket-Extensions`: RFC 6455 section 9.1 demands that a field that breaks the grammar fails the handshake.
fn read_extensions<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, Refusal> {
    let fields: Vec<Vec<u8>> = values.map(<[u8]>::to_vec).collect();
    match extension::check(fields.iter().map(Vec::as_slice)) {
        Ok(()) => Ok(fields),
        Err(error) => Err(Refusal::new(
            400,
            format!("Sec-WebSocket-Extensions: {error}\n"),
        )),
    }
}

/// Bytes. Room for the usual response, which has 129 bytes, and for a subprotocol or an extension.
const RESPONSE_BYTES: usize = 256;

/// Returns the only item, if there is exactly one.
fn one<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}
