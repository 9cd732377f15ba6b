//! Which core does what.

use std::io;

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// One core for the server, one for the load, all for the rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    all: CpuSet,
    server: CpuSet,
    load: CpuSet,
}

impl Cores {
    /// Takes the first two that this process may use.
    pub(crate) fn choose() -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut free = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core));
        let only = |core: usize| {
            let mut set = CpuSet::new();
            set.set(core);
            set
        };
        match (free.next(), free.next()) {
            (Some(server), Some(load)) => Ok(Self {
                all,
                server: only(server),
                load: only(load),
            }),
            _ => Err(io::Error::other(
                "two cores are needed: one for the server, one for the load",
            )),
        }
    }

    /// What `start` starts runs on the server's core.
    pub(crate) fn for_server<T>(self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.on(self.server, start)
    }

    /// What `start` starts runs on the load's core.
    pub(crate) fn for_load<T>(self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.on(self.load, start)
    }

    /// A child inherits the cores of the thread that starts it, and hands them on to its own threads.
    fn on<T>(self, cores: CpuSet, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        sched_setaffinity(None, &cores)?;
        let started = start();
        sched_setaffinity(None, &self.all)?;
        started
    }
}

/// As many descriptors as this user may have, for this process and its children.
pub(crate) fn raise_descriptors() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )?;
    Ok(())
}
