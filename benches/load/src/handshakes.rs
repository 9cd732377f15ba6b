//! Handshakes: connect, upgrade, close, and again, several at a time.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
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
        let visit = course.visit(number)?;
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

/// One connection's short life.
struct Visit {
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
                if self.visits[ready.number].turn()? {
                    self.done += 1;
                    self.visits[ready.number] = self.visit(ready.number)?;
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

    /// Dials and asks for the upgrade. On the loopback device a connect doesn't wait for the server.
    fn visit(&self, number: usize) -> Result<Visit, Wrong> {
        let mut socket = TcpStream::connect(self.address).map_err(Wrong::system("connecting"))?;
        // Its end is a reset, so that no port has to rest for a minute afterwards.
        rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO))
            .map_err(|error| Wrong::System("linger", error.into()))?;
        socket.set_nodelay(true).map_err(Wrong::system("nodelay"))?;
        socket
            .write_all(&self.request)
            .map_err(Wrong::system("sending a request"))?;
        socket
            .set_nonblocking(true)
            .map_err(Wrong::system("non-blocking"))?;
        self.readiness
            .add(&socket, number)
            .map_err(Wrong::system("epoll"))?;
        Ok(Visit {
            socket,
            came: Vec::with_capacity(512),
            awaited: Awaited::Response,
        })
    }
}

impl Visit {
    /// Whether the visit is over: upgraded, and the Close frame answered.
    fn turn(&mut self) -> Result<bool, Wrong> {
        let mut buffer = [0; 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err(Wrong::Closed),
                Ok(count) => self.came.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(Wrong::System("receiving", error)),
            }
            if self.awaited == Awaited::Response {
                let Some(end) = opening::head_end(&self.came) else {
                    continue;
                };
                opening::accept(&self.came[..end])?;
                self.came.drain(..end);
                self.awaited = Awaited::Close;
                self.socket
                    .write_all(&CLOSE)
                    .map_err(Wrong::system("sending a Close frame"))?;
            }
            match self.came.first() {
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
