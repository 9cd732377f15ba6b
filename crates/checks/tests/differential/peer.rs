//! One client: a WebSocket, or the reader of an HTTP response.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::{Answer, Head, Request, read_body};
use super::protobuf;
use super::script::Encoding;
use super::transcript::{Message, canonical, head_of_stream};
use super::websocket::{self, Item};

/// A client, and all that it has received.
pub(crate) struct Peer {
    stream: TcpStream,
    encoding: Encoding,
    is_websocket: bool,
    items: Receiver<Item>,
    pub(crate) received: Vec<Message>,
    is_closed: bool,
    /// The bytes of a response that aren't a whole message yet.
    unfinished: Vec<u8>,
}

impl Peer {
    /// Opens a WebSocket. `path` may have fields after it: `PATH <field: value> …`.
    pub(crate) fn websocket(server: SocketAddr, encoding: Encoding, path: &str) -> Self {
        let stream = TcpStream::connect(server).expect("a connection");
        let (path, fields) = path.split_once(' ').unwrap_or((path, ""));
        let fields: String = fields
            .split(['<', '>'])
            .filter(|field| field.contains(':'))
            .map(|field| format!("{field}\r\n"))
            .collect();
        let (sender, items) = channel();
        match websocket::open(&stream, path, &fields) {
            Err(answer) => send(&sender, Item::Answer(answer)),
            Ok(()) => {
                let reading = stream.try_clone().expect("a second handle");
                thread::spawn(move || websocket::read(&reading, |item| send(&sender, item)));
            }
        }
        Self::new(stream, encoding, true, items)
    }

    /// Sends a request and reads its response as a client.
    pub(crate) fn stream(server: SocketAddr, encoding: Encoding, request: &Request<'_>) -> Self {
        let stream = request.send(server);
        let reading = stream.try_clone().expect("a second handle");
        let (sender, items) = channel();
        thread::spawn(move || {
            let Some(head) = Head::read(&reading) else {
                return send(&sender, Item::Closed("without an answer".to_owned()));
            };
            if head.status != 200 {
                return send(&sender, Item::Answer(Answer::after(head, &reading)));
            }
            let body = String::new();
            send(
                &sender,
                Item::Answer(Answer {
                    head: head.clone(),
                    body,
                }),
            );
            read_body(&head, &reading, |piece| {
                send(&sender, Item::Binary(piece.to_owned()));
            });
            send(&sender, Item::Closed("the response ends".to_owned()));
        });
        Self::new(stream, encoding, false, items)
    }

    fn new(
        stream: TcpStream,
        encoding: Encoding,
        is_websocket: bool,
        items: Receiver<Item>,
    ) -> Self {
        Self {
            stream,
            encoding,
            is_websocket,
            items,
            received: Vec::new(),
            is_closed: false,
            unfinished: Vec::new(),
        }
    }

    /// Sends commands, one on each line, in the client's encoding.
    pub(crate) fn send(&self, commands: &str) {
        match self.encoding {
            Encoding::Json => websocket::send(&self.stream, 1, commands.as_bytes()),
            Encoding::Protobuf => websocket::send(&self.stream, 2, &encoded(commands)),
        }
    }

    /// Sends one frame as it is.
    pub(crate) fn send_raw(&self, opcode: u8, payload: &[u8]) {
        websocket::send(&self.stream, opcode, payload);
    }

    /// Ends the connection.
    pub(crate) fn end(&mut self) {
        if self.is_websocket {
            websocket::send(&self.stream, 8, &1000_u16.to_be_bytes());
        }
        let _ = self.stream.shutdown(Shutdown::Both);
        self.is_closed = true;
    }

    /// Returns whether nothing more can come.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Waits until `count` messages have come in all, or the connection has ended, for `limit` at most.
    pub(crate) fn wait(&mut self, count: usize, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.received.len() < count && !self.is_closed {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.items.recv_timeout(left) {
                Ok(item) => self.take(item),
                Err(_) => return,
            }
        }
    }

    /// Takes what comes until nothing has come for `quiet`.
    pub(crate) fn settle(&mut self, quiet: Duration) {
        while let Ok(item) = self.items.recv_timeout(quiet) {
            self.take(item);
        }
    }

    /// Returns a field of the client's connect reply, or push.
    pub(crate) fn of_connect(&self, name: &str) -> Option<String> {
        let mut replies = self.received.iter().filter_map(Message::value);
        replies.find_map(|reply| {
            let connect = reply
                .get("connect")
                .or_else(|| reply.get("push").and_then(|push| push.get("connect")))?;
            connect.get(name)?.as_str().map(str::to_owned)
        })
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Text(text) => self.take_lines(&text),
            Item::Binary(bytes) if self.is_websocket => self.take_protobuf(&bytes),
            Item::Binary(bytes) => self.take_piece(&bytes),
            Item::Answer(answer) => {
                let is_stream = !self.is_websocket && answer.head.status == 200;
                self.received.push(match is_stream {
                    true => Message::Note(head_of_stream(&answer.head)),
                    false => Message::answer(&answer),
                });
                self.is_closed = !is_stream;
            }
            Item::Closed(how) => {
                self.received.push(Message::Note(format!("closed: {how}")));
                self.is_closed = true;
            }
        }
    }

    fn take_lines(&mut self, text: &str) {
        let lines = text.split('\n').filter(|line| !line.is_empty());
        self.received
            .extend(lines.map(|line| match canonical(line) {
                Some(value) => Message::Value(value),
                None => Message::Note(format!("not JSON: {line}")),
            }));
    }

    fn take_protobuf(&mut self, bytes: &[u8]) {
        match protobuf::decode_frame("Reply", bytes) {
            Some(replies) => self
                .received
                .extend(replies.into_iter().map(Message::Value)),
            None => self
                .received
                .push(Message::Note(format!("not Protobuf: {bytes:x?}"))),
        }
    }

    /// Takes a piece of a response: lines, events or messages that may go on in the next.
    fn take_piece(&mut self, bytes: &[u8]) {
        self.unfinished.extend_from_slice(bytes);
        if self.encoding == Encoding::Protobuf {
            if protobuf::decode_frame("Reply", &self.unfinished).is_some() {
                let whole = std::mem::take(&mut self.unfinished);
                self.take_protobuf(&whole);
            }
            return;
        }
        let Some(end) = self.unfinished.iter().rposition(|byte| *byte == b'\n') else {
            return;
        };
        let rest = self.unfinished.split_off(end + 1);
        let whole = std::mem::replace(&mut self.unfinished, rest);
        for line in String::from_utf8_lossy(&whole).lines() {
            match line.strip_prefix("data: ") {
                Some(data) => self.take_lines(data),
                None if line.starts_with('{') => self.take_lines(line),
                None if line.is_empty() => {}
                None => self.received.push(Message::Note(format!("line: {line}"))),
            }
        }
    }
}

impl Drop for Peer {
    /// Ends the thread that reads.
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// The peer may be gone by now.
fn send(sender: &Sender<Item>, item: Item) {
    let _ = sender.send(item);
}

/// Encodes commands, one on each line, as a Protobuf frame.
pub(crate) fn encoded(commands: &str) -> Vec<u8> {
    commands
        .lines()
        .flat_map(|line| {
            let command: Value =
                canonical(line).unwrap_or_else(|| panic!("not a command, so JSON only: {line}"));
            protobuf::delimited(&protobuf::encode("Command", &command))
        })
        .collect()
}
