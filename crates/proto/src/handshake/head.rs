//! Parses the head of an HTTP/1 request or response, which borrows the bytes (RFC 9112 sections 2 to 5).

use alloc::{vec, vec::Vec};
use core::{fmt, mem::MaybeUninit};

use memchr::{memchr, memchr_iter, memmem};

use super::token;
use crate::Limits;

/// A header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// A token, as it was sent.
    pub name: &'a str,
    /// The value without the white space around it. It has no control character except tab.
    pub value: &'a [u8],
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// A token, which is case-sensitive.
    pub method: &'a str,
    /// The target as it was sent; [`super::Target::parse`] reads it.
    pub target: &'a str,
    /// 0 or 1: HTTP/1.0 or HTTP/1.1.
    pub version_minor: u8,
    /// The fields, in the order in which they were sent.
    pub headers: Vec<Header<'a>>,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    /// 0 or 1: HTTP/1.0 or HTTP/1.1.
    pub version_minor: u8,
    /// A number of three digits.
    pub status: u16,
    /// The reason phrase, which may be empty. A client ignores it (RFC 9112 section 4).
    pub reason: &'a str,
    /// The fields, in the order in which they were sent.
    pub headers: Vec<Header<'a>>,
}

impl<'a> RequestHead<'a> {
    /// Parses the head at the beginning of `bytes`, and returns it with its length in bytes.
    ///
    /// Returns `None` if it needs more bytes; then call again with the old bytes and the new. Bytes after the head are not
    /// read. Empty lines before the head are skipped (RFC 9112 section 2.2).
    ///
    /// # Errors
    ///
    /// The bytes are no head within `limits`, and no further bytes can make them one.
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Option<(Self, usize)>, HeadError> {
        let start = empty_lines_bytes(bytes);
        let rest = &bytes[start..];
        // A peer that speaks another protocol is refused at once, not when its bytes exceed the limit.
        let method = &rest[..memchr(b' ', rest).unwrap_or(rest.len())];
        let is_empty_line_begun = rest == b"\r";
        let is_token = method.iter().copied().all(token::is_token_byte);
        if !is_empty_line_begun && (!is_token || method.is_empty() && !rest.is_empty()) {
            return Err(HeadError::Method);
        }
        let Some(end) = head_end(bytes, start, limits)? else {
            return Ok(None);
        };
        let mut slots = HeaderSlots::new();
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(&bytes[start..end], slots.of(limits)) {
            Ok(httparse::Status::Complete(read)) if start + read == end => {}
            Ok(_) => return Err(HeadError::LineEnd),
            Err(error) => return Err(HeadError::from_request(error, rest)),
        }
        let (Some(method), Some(target), Some(version_minor)) =
            (request.method, request.path, request.version)
        else {
            return Err(HeadError::StartLine);
        };
        let head = Self {
            method,
            target,
            version_minor,
            headers: fields_of(request.headers),
        };
        Ok(Some((head, end)))
    }

    /// Returns the value of the first field of that name. Names are not case-sensitive.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers(name).next()
    }

    /// Returns the values of all fields of that name. Names are not case-sensitive.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.headers, name)
    }

    /// Returns whether this is a WebSocket handshake, right or wrong: its `Upgrade` names websocket, or it has a
    /// `Sec-WebSocket-` field, which only a WebSocket client sends. Everything else is plain HTTP.
    #[must_use]
    pub fn wants_websocket(&self) -> bool {
        token::contains(self.headers("Upgrade"), "websocket")
            || self.headers.iter().any(|header| {
                header
                    .name
                    .get(..WEBSOCKET_PREFIX.len())
                    .is_some_and(|prefix| prefix.eq_ignore_ascii_case(WEBSOCKET_PREFIX))
            })
    }
}

impl<'a> ResponseHead<'a> {
    /// Parses the head at the beginning of `bytes`, and returns it with its length in bytes.
    ///
    /// Returns `None` if it needs more bytes; then call again with the old bytes and the new. Bytes after the head are not
    /// read.
    ///
    /// # Errors
    ///
    /// The bytes are no head within `limits`, and no further bytes can make them one.
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Option<(Self, usize)>, HeadError> {
        // RFC 9112 section 2.3: the name of the protocol is case-sensitive.
        let seen = bytes.len().min(HTTP1.len());
        if bytes[..seen] != HTTP1[..seen] {
            return Err(HeadError::Version);
        }
        let Some(end) = head_end(bytes, 0, limits)? else {
            return Ok(None);
        };
        let mut slots = HeaderSlots::new();
        let mut response = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let slots = slots.of(limits);
        match config.parse_response_with_uninit_headers(&mut response, &bytes[..end], slots) {
            Ok(httparse::Status::Complete(read)) if read == end => {}
            Ok(_) => return Err(HeadError::LineEnd),
            Err(error) => return Err(HeadError::from_response(error)),
        }
        let (Some(status), Some(version_minor)) = (response.code, response.version) else {
            return Err(HeadError::StartLine);
        };
        let head = Self {
            version_minor,
            status,
            reason: response.reason.unwrap_or(""),
            headers: fields_of(response.headers),
        };
        Ok(Some((head, end)))
    }

    /// Replaces folded line ends by spaces in the head at the beginning of `bytes`, as a client must (RFC 9112 section 5.2).
    /// Call it before [`parse`](Self::parse), which refuses folded lines. Bytes after the head are not changed.
    pub fn unfold(bytes: &mut [u8]) {
        let end = memmem::find(bytes, b"\r\n\r\n").unwrap_or(bytes.len());
        // RFC 9112 section 2.2: white space after the first line belongs to no field, and is invalid.
        let Some(first_line) = memmem::find(&bytes[..end], b"\r\n") else {
            return;
        };
        let mut next = first_line + 2;
        while let Some(line) = memmem::find(&bytes[next..end], b"\r\n") {
            let line_end = next + line;
            next = line_end + 2;
            if let Some(b' ' | b'\t') = bytes.get(next) {
                bytes[line_end..next].fill(b' ');
            }
        }
    }

    /// Returns the value of the first field of that name. Names are not case-sensitive.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers(name).next()
    }

    /// Returns the values of all fields of that name. Names are not case-sensitive.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.headers, name)
    }
}

/// The reason why the bytes are no HTTP/1 head, or the limit that the head exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// The method is not a token.
    Method,
    /// The request target has a byte that cannot stand there.
    Target,
    /// The first line is neither a request line nor a status line.
    StartLine,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    Version,
    /// A field name that is not a token, white space before its colon, or a folded line (RFC 9112
    /// sections 5.1 and 5.2).
    HeaderName,
    /// A control character in a field value.
    HeaderValue,
    /// A line that does not end in CR LF. Stricter than RFC 9112 section 2.2, which allows a bare LF: a proxy may see other
    /// lines than this parser.
    LineEnd,
    /// The first line has more than [`Limits::head_bytes_max`] bytes.
    TargetTooLong,
    /// The head has more than [`Limits::head_bytes_max`] bytes.
    TooLarge,
    /// The head has more than [`Limits::headers_max`] fields.
    TooManyHeaders,
}

impl HeadError {
    fn from_request(error: httparse::Error, line: &[u8]) -> Self {
        match error {
            httparse::Error::Token => Self::Target,
            httparse::Error::Version if !names_a_version(line) => Self::StartLine,
            error => Self::from_response(error),
        }
    }

    fn from_response(error: httparse::Error) -> Self {
        match error {
            httparse::Error::HeaderName => Self::HeaderName,
            httparse::Error::HeaderValue => Self::HeaderValue,
            httparse::Error::NewLine => Self::LineEnd,
            httparse::Error::Status | httparse::Error::Token => Self::StartLine,
            httparse::Error::TooManyHeaders => Self::TooManyHeaders,
            httparse::Error::Version => Self::Version,
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "the method is not a token",
            Self::Target => "the request target has a byte that cannot stand there",
            Self::StartLine => "the first line is not HTTP",
            Self::Version => "only HTTP/1.1 is supported",
            Self::HeaderName => "a field name is not a token",
            Self::HeaderValue => "a field value has a control character",
            Self::LineEnd => "a line does not end in CR LF",
            Self::TargetTooLong => "the request target is too long",
            Self::TooLarge => "the head is too large",
            Self::TooManyHeaders => "the head has too many fields",
        })
    }
}

impl core::error::Error for HeadError {}

/// Returns where the head that begins at `start` ends, or `None` if its end has not come.
fn head_end(bytes: &[u8], start: usize, limits: &Limits) -> Result<Option<usize>, HeadError> {
    let mut end = None;
    for at in memchr_iter(b'\n', bytes) {
        if at == 0 || bytes[at - 1] != b'\r' {
            return Err(HeadError::LineEnd);
        }
        if at > start && bytes[start..at].ends_with(b"\r\n\r") {
            end = Some(at + 1);
            break;
        }
    }
    let head = &bytes[..end.unwrap_or(bytes.len())];
    if head.len() <= limits.head_bytes_max {
        return Ok(end);
    }
    match memchr(b'\n', &head[start..limits.head_bytes_max.max(start)]) {
        Some(_) => Err(HeadError::TooLarge),
        None => Err(HeadError::TargetTooLong),
    }
}

fn empty_lines_bytes(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some(after) = rest.strip_prefix(b"\r\n") {
        rest = after;
    }
    bytes.len() - rest.len()
}

/// Memory for the fields that the parser finds.
struct HeaderSlots<'a> {
    /// Enough for usual limits. It is not initialized, so unused slots cost nothing.
    few: [MaybeUninit<httparse::Header<'a>>; FEW],
    many: Vec<MaybeUninit<httparse::Header<'a>>>,
}

impl<'a> HeaderSlots<'a> {
    fn new() -> Self {
        Self {
            few: [const { MaybeUninit::uninit() }; FEW],
            many: Vec::new(),
        }
    }

    /// Returns as many slots as `limits` allow fields.
    fn of(&mut self, limits: &Limits) -> &mut [MaybeUninit<httparse::Header<'a>>] {
        // A field has at least four bytes ("a:" and the end of its line), so more slots are of no use.
        let count = limits.headers_max.min(limits.head_bytes_max / 4);
        if count <= FEW {
            return &mut self.few[..count];
        }
        self.many = vec![MaybeUninit::uninit(); count];
        &mut self.many
    }
}

fn fields_of<'a>(fields: &[httparse::Header<'a>]) -> Vec<Header<'a>> {
    fields
        .iter()
        .map(|field| Header {
            name: field.name,
            value: field.value,
        })
        .collect()
}

fn values<'a>(headers: &[Header<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

/// Returns whether the first line is a request line of any version of HTTP.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = &bytes[..memchr(b'\r', bytes).unwrap_or(bytes.len())];
    let mut words = line.split(|&byte| byte == b' ');
    let (_method, _target, version) = (words.next(), words.next(), words.next());
    let is_version = match version {
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]) => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    };
    is_version && words.next().is_none()
}

const WEBSOCKET_PREFIX: &str = "Sec-WebSocket-";

const HTTP1: &[u8] = b"HTTP/1.";

/// Slots, which take 4 KiB of the stack. The default of [`Limits::headers_max`] is 100.
const FEW: usize = 128;
