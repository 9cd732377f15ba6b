//! Handshakes: connect, upgrade, close, and again, several at a time.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{RecvFlags, connect, connect_unspec, recv},
};

use crate::{
    cli::{Handshakes, Target, Window},
    opening,
    readiness::{Readiness, Ready},
    report::{Report, Shape},
    usage::Usage,
    wrong::Wrong,
};

/// Runs the scenario.
pub(crate) fn run(
    target: &Target,
    window: &Window,
    handshakes: &Handshakes,
) -> Result<Report, Wrong> {
    let shape = Shape {
        scenario: "handshakes",
        connections: handshakes.outstanding,
        bytes: 0,
        in_flight: handshakes.outstanding,
    };
    let mut course = Course {
        address: target.address,
        request: opening::request(target.address, "/", None),
        readiness: Readiness::new().map_err(Wrong::system("epoll"))?,
        visits: Vec::new(),
        done: 0,
    };
    for number in 0..handshakes.outstanding {
        let visit = Visit::first(course.address, &course.request)?;
        course
            .readiness
            .add(&visit.socket, number)
            .map_err(Wrong::system("epoll"))?;
        course.visits.push(visit);
    }
    if let Some(count) = window.count {
        let before = Usage::now(&target.server_pid);
        let start = Instant::now();
        course.go(|course| course.done >= count as u64)?;
        let used = Usage::now(&target.server_pid).since(before);
        return Ok(Report::new(
            shape,
            start.elapsed(),
            course.done as f64,
            used,
        ));
    }
    course.go(after(window.warm_up()))?;
    let before = Usage::now(&target.server_pid);
    let (start, done) = (Instant::now(), course.done);
    course.go(after(window.measured()))?;
    let elapsed = start.elapsed();
    let used = Usage::now(&target.server_pid).since(before);
    Ok(Report::new(
        shape,
        elapsed,
        (course.done - done) as f64,
        used,
    ))
}

struct Course {
    address: SocketAddr,
    request: Vec<u8>,
    readiness: Readiness,
    visits: Vec<Visit>,
    done: u64,
}

/// Over when the time is.
fn after(time: Duration) -> impl Fn(&Course) -> bool {
    let end = Instant::now() + time;
    move |_| Instant::now() >= end
}

/// One connection's short life, and the next one's. The socket stays, and with it its place in the epoll: for
/// the server each visit is a new connection, and what it doesn't see must not be what is measured.
struct Visit {
    /// Blocks: on the loopback device a connect doesn't wait for the server, and all that is sent fits.
    socket: TcpStream,
    /// What has come of what is awaited.
    came: Vec<u8>,
    awaited: Awaited,
}

#[derive(PartialEq, Eq)]
enum Awaited {
    Response,
    Close,
}

impl Course {
    fn go(&mut self, is_over: impl Fn(&Self) -> bool) -> Result<(), Wrong> {
        let mut heard = Instant::now();
        loop {
            let before = self.done;
            let ready: Vec<Ready> = self
                .readiness
                .wait(WAIT)
                .map_err(Wrong::system("epoll"))?
                .collect();
            for ready in ready.into_iter().filter(|ready| ready.readable) {
                let visit = &mut self.visits[ready.number];
                if visit.turn()? {
                    self.done += 1;
                    visit.again(self.address, &self.request)?;
                }
            }
            let now = Instant::now();
            if self.done > before {
                heard = now;
            } else if now - heard > SILENCE_MAX {
                return Err(Wrong::Silence(SILENCE_MAX.as_secs()));
            }
            if is_over(self) {
                return Ok(());
            }
        }
    }
}

impl Visit {
    /// Dials and asks for the upgrade.
    fn first(address: SocketAddr, request: &[u8]) -> Result<Self, Wrong> {
        let socket = TcpStream::connect(address).map_err(Wrong::system("connecting"))?;
        let mut visit = Self {
            socket,
            came: Vec::with_capacity(512),
            awaited: Awaited::Response,
        };
        visit.ask(request)?;
        Ok(visit)
    }

    /// Hangs up, dials and asks for the upgrade. The end is a reset, so that no port has to rest for a minute
    /// afterwards.
    fn again(&mut self, address: SocketAddr, request: &[u8]) -> Result<(), Wrong> {
        connect_unspec(&self.socket).map_err(|error| Wrong::System("hanging up", error.into()))?;
        connect(&self.socket, &address)
            .map_err(|error| Wrong::System("connecting", error.into()))?;
        self.came.clear();
        self.awaited = Awaited::Response;
        self.ask(request)
    }

    fn ask(&mut self, request: &[u8]) -> Result<(), Wrong> {
        self.socket
            .write_all(request)
            .map_err(Wrong::system("sending a request"))
    }

    /// Whether the visit is over: upgraded, and the Close frame answered.
    fn turn(&mut self) -> Result<bool, Wrong> {
        let mut buffer = [0; 1024];
        loop {
            let count = match recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Err(Wrong::Closed),
                Ok((count, _)) => count,
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(Wrong::System("receiving", error.into())),
            };
            self.came.extend_from_slice(&buffer[..count]);
            if self.awaited == Awaited::Response {
                let Some(end) = opening::head_end(&self.came) else {
                    match count == buffer.len() {
                        true => continue,
                        false => return Ok(false),
                    }
                };
                opening::accept(&self.came[..end])?;
                self.came.drain(..end);
                self.awaited = Awaited::Close;
                self.socket
                    .write_all(&CLOSE)
                    .map_err(Wrong::system("sending a Close frame"))?;
            }
            match self.came.first() {
                // What is less than fits was all: an event tells of more.
                None if count < buffer.len() => return Ok(false),
                None => {}
                Some(0x88) => return Ok(true),
                Some(_) => return Err(Wrong::differs(&self.came, &[0x88, 2, 3, 0xe8])),
            }
        }
    }
}

/// A Close frame with code 1000, masked with zeros (RFC 6455 sections 5.5.1 and 5.3).
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

/// How long one wait may take: the clock is looked at in between.
const WAIT: Duration = Duration::from_millis(20);

/// A server that finishes nothing for so long is stuck.
const SILENCE_MAX: Duration = Duration::from_secs(10);
