//! WebSocket servers whose every byte the test decides.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

/// Returns a server that accepts one WebSocket, writes `frames`, ends its half, and returns what came until
/// the end.
pub(crate) fn say_and_end(frames: Vec<u8>) -> (String, JoinHandle<Vec<u8>>) {
    serve(move |mut stream, mut reader| {
        stream.write_all(&frames).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest);
        rest
    })
}

/// Returns a server that accepts one WebSocket, writes `frames`, reads nothing, and never closes.
pub(crate) fn say_and_hold(frames: Vec<u8>) -> (String, JoinHandle<Vec<u8>>) {
    serve(move |mut stream, _reader| {
        stream.write_all(&frames).unwrap();
        loop {
            thread::park();
        }
    })
}

/// Returns a server that answers one request with these bytes, reads on, and never closes.
pub(crate) fn answer_and_hold(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream.write_all(answer).unwrap();
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    url
}

fn serve(
    talk: impl FnOnce(TcpStream, BufReader<TcpStream>) -> Vec<u8> + Send + 'static,
) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        let reader = accept_by_hand(&stream);
        talk(stream, reader)
    });
    (url, server)
}

/// Reads a request and answers with 101.
fn accept_by_hand(mut stream: &TcpStream) -> BufReader<TcpStream> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut key = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("sec-websocket-key")
        {
            key = value.trim().to_owned();
        }
    }
    let accept = sockeye_proto::handshake::accept_key(&key);
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    reader
}

/// Returns a Close frame of a server.
pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let mut frame = vec![0x88, 2 + u8::try_from(reason.len()).unwrap()];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    assert!(frame.len() <= 127, "a control frame carries 125 bytes");
    frame
}

/// Opens `/echo`, closes with this code and reason, and reads until the end.
pub(crate) fn close_with(addr: &str, code: u16, reason: &str) {
    let mut stream = TcpStream::connect(addr).unwrap();
    let request = format!(
        "GET /echo HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut frame = close_frame(code, reason);
    // Masked with zeroes, which changes nothing.
    frame[1] |= 0x80;
    frame.splice(2..2, [0; 4]);
    stream.write_all(&frame).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
}
