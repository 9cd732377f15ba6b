//! A WebSocket client of its own, which shows every frame and close code as it is.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::http::{Answer, Head};

/// What a server sent.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Text(String),
    Binary(Vec<u8>),
    /// The head of an HTTP response, or all of it.
    Answer(Answer),
    /// How the connection ended.
    Closed(String),
}

/// Opens a WebSocket; `Err` with the answer if the server doesn't.
pub(crate) fn open(mut stream: &TcpStream, path: &str, fields: &str) -> Result<(), Answer> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    );
    stream
        .write_all(request.as_bytes())
        .expect("a request is sent");
    let head = Head::read(stream).expect("an answer");
    if head.status == 101 {
        return Ok(());
    }
    Err(Answer::after(head, stream))
}

/// Sends one unfragmented frame; nothing happens if the connection has ended.
pub(crate) fn send(mut stream: &TcpStream, opcode: u8, payload: &[u8]) {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    // A mask of zeros leaves the payload as it is.
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    // A server may have closed: its reason is read on the other side.
    let _ = stream.write_all(&frame);
}

/// Reads messages until the connection ends, and answers pings.
pub(crate) fn read(mut stream: &TcpStream, mut take: impl FnMut(Item)) {
    let mut message = Vec::new();
    let mut is_text = false;
    loop {
        let Some((head, payload)) = read_frame(&mut stream) else {
            take(Item::Closed("without a close frame".to_owned()));
            return;
        };
        match head & 0x0f {
            opcode @ (0..=2) => {
                if opcode != 0 {
                    is_text = opcode == 1;
                }
                message.extend(payload);
                if head & 0x80 == 0 {
                    continue;
                }
                let whole = std::mem::take(&mut message);
                take(match is_text {
                    true => Item::Text(String::from_utf8_lossy(&whole).into_owned()),
                    false => Item::Binary(whole),
                });
            }
            8 => {
                let how = match payload.split_at_checked(2) {
                    // The library's own words.
                    Some(([0x03, 0xf1], _)) => "1009".to_owned(),
                    Some((code, reason)) => format!(
                        "{} {}",
                        u16::from_be_bytes([code[0], code[1]]),
                        String::from_utf8_lossy(reason)
                    ),
                    None => "without a code".to_owned(),
                };
                take(Item::Closed(how));
                send(stream, 8, &payload);
                return;
            }
            9 => send(stream, 10, &payload),
            _ => {}
        }
    }
}

fn read_frame(stream: &mut &TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            stream.read_exact(&mut length).ok()?;
            u64::from_be_bytes(length)
        }
        length => u64::from(length),
    };
    let mut payload = Vec::new();
    let taken = stream.take(length).read_to_end(&mut payload).ok()?;
    (taken as u64 == length).then_some((head[0], payload))
}
