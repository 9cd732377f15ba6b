//! HTTP/1.1, as little as the test needs.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: String,
}

/// The head of a response.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// By lower-case names.
    pub(crate) fields: BTreeMap<String, String>,
}

/// A request as a step gives it: `METHOD PATH <field: value> … BODY`.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    method: &'a str,
    path: &'a str,
    fields: Vec<&'a str>,
    pub(crate) body: Vec<u8>,
}

impl<'a> Request<'a> {
    pub(crate) fn parse(step: &'a str) -> Self {
        let (method, rest) = step.split_once(' ').expect("a method");
        let (path, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut fields = Vec::new();
        while let Some(field) = rest.strip_prefix('<') {
            let (field, after) = field.split_once('>').expect("a field ends with >");
            fields.push(field);
            rest = after.trim_start();
        }
        Self {
            method,
            path,
            fields,
            body: rest.replace('⏎', "\n").into_bytes(),
        }
    }

    /// Sends it.
    pub(crate) fn send(&self, server: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(server).expect("a connection");
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: {server}\r\n",
            self.method, self.path
        );
        for field in &self.fields {
            text.push_str(field);
            text.push_str("\r\n");
        }
        text.push_str("Connection: close\r\n");
        if self.method == "POST" || !self.body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        stream
            .write_all(text.as_bytes())
            .expect("a request is sent");
        // A server may refuse a large body before it has read it.
        let _ = stream.write_all(&self.body);
        stream
    }
}

impl Head {
    /// Reads a head, and nothing after it; `None` if the connection ends before.
    pub(crate) fn read(mut stream: &TcpStream) -> Option<Self> {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            text.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut lines = text.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let fields = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        Some(Self { status, fields })
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

impl Answer {
    /// Reads all of a response.
    pub(crate) fn read(stream: &TcpStream) -> Self {
        match Head::read(stream) {
            Some(head) => Self::after(head, stream),
            None => Self {
                head: Head {
                    status: 0,
                    fields: BTreeMap::new(),
                },
                body: String::new(),
            },
        }
    }

    /// Reads what follows a head.
    pub(crate) fn after(head: Head, stream: &TcpStream) -> Self {
        let mut body = Vec::new();
        read_body(&head, stream, |piece| body.extend_from_slice(piece));
        Self {
            head,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

/// Reads a body, piece by piece.
pub(crate) fn read_body(head: &Head, mut stream: &TcpStream, mut take: impl FnMut(&[u8])) {
    if matches!(head.status, 204 | 304) {
        return;
    }
    if head.field("transfer-encoding") == "chunked" {
        while let Some(piece) = read_chunk(stream) {
            take(&piece);
        }
        return;
    }
    let length = head.fields.get("content-length");
    let mut left: u64 = length.map_or(u64::MAX, |length| length.parse().expect("a length"));
    let mut buffer = [0; 4096];
    while left > 0 {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                take(&buffer[..count]);
                left = left.saturating_sub(count as u64);
            }
        }
    }
}

/// Reads one chunk; `None` at the end.
fn read_chunk(mut stream: &TcpStream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    let line = String::from_utf8_lossy(&line).into_owned();
    let length = usize::from_str_radix(line.trim(), 16).ok()?;
    // With the line feed after it.
    let mut piece = vec![0; length + 2];
    stream.read_exact(&mut piece).ok()?;
    piece.truncate(length);
    (length > 0).then_some(piece)
}
