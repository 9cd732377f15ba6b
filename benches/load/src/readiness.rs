//! Which sockets are ready: epoll, edge-triggered.

use std::{io, net::TcpStream, time::Duration};

use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    fd::OwnedFd,
};

/// Sockets, each under a number, and those among them that are ready.
pub(crate) struct Readiness {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Readiness {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS_MAX),
        })
    }

    /// From now on `number` is reported whenever something comes, or fits again.
    pub(crate) fn add(&self, socket: &TcpStream, number: usize) -> io::Result<()> {
        // Both directions from the beginning: a change of interest would be a system call per message.
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(
            &self.epoll,
            socket,
            EventData::new_u64(number as u64),
            interest,
        )?)
    }

    /// The numbers that are ready, each with whether it can be read; none when the time is over.
    pub(crate) fn wait(&mut self, time: Duration) -> io::Result<impl Iterator<Item = Ready> + '_> {
        self.events.clear();
        let time = Timespec {
            tv_sec: time.as_secs() as i64,
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut self.events),
            Some(&time),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.iter().map(|event| {
            // Copied first: the fields of an event are not aligned.
            let (data, flags) = (event.data, event.flags);
            Ready {
                number: data.u64() as usize,
                readable: flags.contains(EventFlags::IN) || flags.intersects(ENDED),
                writable: flags.contains(EventFlags::OUT),
                ended: flags.intersects(ENDED),
            }
        }))
    }
}

/// One socket that is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) number: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) ended: bool,
}

/// The other end has closed, or something went wrong.
const ENDED: EventFlags = EventFlags::RDHUP
    .union(EventFlags::HUP)
    .union(EventFlags::ERR);

/// Events of one wait.
const EVENTS_MAX: usize = 1024;
