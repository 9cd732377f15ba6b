//! cargo run -p sockeye-examples --example protocol
//!
//! An echo server on blocking sockets, one thread for each connection: crate `sockeye-proto` alone, no runtime.
//! Try it with `sockeye connect ws://127.0.0.1:9000`.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use sockeye_proto::{
    Connection, Event, Input, Limits, ProtocolError,
    extension::Deflate,
    handshake::{Refusal, RequestHead, ServerHandshake},
};

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:9000")?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || match serve(stream) {
            Ok(outcome) => println!("{outcome}"),
            Err(error) => println!("the network failed: {error}"),
        });
    }
    Ok(())
}

/// Serves one client from its first byte to the end of TCP, and says how it ended.
fn serve(mut stream: TcpStream) -> io::Result<String> {
    let limits = Limits::default();
    // This is the time for each read; a public server bounds all of the handshake.
    stream.set_read_timeout(Some(limits.handshake_timeout))?;
    let Some((mut connection, mut received)) = open(&mut stream, &limits)? else {
        return Ok("no WebSocket".to_owned());
    };
    stream.set_read_timeout(None)?;
    let mut buffer = vec![0; 16 << 10];
    let mut out = Vec::new();
    loop {
        let result = echo(&mut connection, &mut received);
        connection.poll_transmit(&mut out);
        stream.write_all(&out)?;
        out.clear();
        if let Err(error) = result {
            return Ok(format!("the client broke the protocol: {error}"));
        }
        if connection.is_closed() {
            let code = connection.close_code().map_or(0, u16::from);
            return Ok(format!("closed with {code}"));
        }
        match stream.read(&mut buffer)? {
            0 => connection.handle_eof(),
            len => received = buffer[..len].to_vec(),
        }
    }
}

/// Sends each message of `received` back, and leaves `received` empty.
fn echo(connection: &mut Connection, received: &mut Vec<u8>) -> Result<(), ProtocolError> {
    let mut input = Input::new(received);
    while let Some(event) = connection.poll_event(&mut input)? {
        if let Event::Message(message) = event {
            let message = message.into_owned();
            // The one error says that the connection is closing, and `is_closed` tells that too.
            let _ = connection.send(&message);
        }
    }
    received.clear();
    Ok(())
}

/// Reads the handshake and answers it: the connection and its first bytes, or `None` if the client was refused.
fn open(stream: &mut TcpStream, limits: &Limits) -> io::Result<Option<(Connection, Vec<u8>)>> {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    let (handshake, head_bytes) = loop {
        match check(&received, limits) {
            Ok(Some(checked)) => break checked,
            Ok(None) => {}
            Err(refusal) => {
                stream.write_all(&refusal.to_bytes())?;
                return Ok(None);
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            len => received.extend_from_slice(&buffer[..len]),
        }
    };
    let settings = Deflate::default();
    let (params, extensions) = handshake.select_deflate(&settings).unzip();
    let response = handshake
        .response(None, extensions.as_deref(), &[])
        .map_err(io::Error::other)?;
    stream.write_all(&response)?;
    let deflate = params.map(|params| (params, &settings));
    let connection = Connection::server(limits.clone(), deflate);
    Ok(Some((connection, received.split_off(head_bytes))))
}

/// Checks the request's head once it is whole, and returns it with its length.
fn check(received: &[u8], limits: &Limits) -> Result<Option<(ServerHandshake, usize)>, Refusal> {
    match RequestHead::parse(received, limits)? {
        Some((head, len)) => Ok(Some((ServerHandshake::check(&head)?, len))),
        None => Ok(None),
    }
}
