//! The loop: what is ready is read once and written once.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Serves for ever.
pub(crate) fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    bench_door::listening(listener.local_addr()?);

    let mut streams: Vec<Option<Stream>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut buffer = vec![0; READ_BYTES_MAX];
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS_MAX);
    loop {
        events.clear();
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let (data, flags) = (event.data, event.flags);
            if data.u64() == LISTENER {
                while let Ok((socket, _)) = listener.accept() {
                    socket.set_nonblocking(true)?;
                    socket.set_nodelay(true)?;
                    let number = free.pop().unwrap_or(streams.len());
                    let interest =
                        EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                    epoll::add(&epoll, &socket, EventData::new_u64(number as u64), interest)?;
                    let stream = Some(Stream {
                        socket,
                        unsent: Vec::new(),
                    });
                    if number == streams.len() {
                        streams.push(stream);
                    } else {
                        streams[number] = stream;
                    }
                }
                continue;
            }
            let number = data.u64() as usize;
            let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            let Some(stream) = &mut streams[number] else {
                continue;
            };
            if stream.turn(&mut buffer).is_err() || ended {
                streams[number] = None;
                free.push(number);
            }
        }
    }
}

struct Stream {
    socket: TcpStream,
    /// Bytes that the kernel hasn't taken. While there are any, nothing is read.
    unsent: Vec<u8>,
}

impl Stream {
    fn turn(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            let sent = write(&self.socket, &self.unsent)?;
            self.unsent.drain(..sent);
        }
        while self.unsent.is_empty() {
            let count = match self.socket.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let sent = write(&self.socket, &buffer[..count])?;
            self.unsent.extend_from_slice(&buffer[sent..count]);
            // Less than there was room for: the kernel has no more, and will say so when it has.
            if count < buffer.len() && self.unsent.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// As many as the kernel takes.
fn write(mut socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match socket.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

/// The listener's number; a connection's are small.
const LISTENER: u64 = u64::MAX;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// Bytes of one read, for all connections together.
const READ_BYTES_MAX: usize = 256 << 10;

/// Events of one wait.
const EVENTS_MAX: usize = 1024;
