//! Servers as processes of their own, on a core of their own.

use std::{
    fs, io,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{CpuSet, sched_setaffinity};

/// A server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

/// The cores of the two sides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Core {
    Server,
    Load,
}

impl Server {
    /// Starts a server on the server's core, and waits until it accepts connections. What it prints goes into a file in `work`.
    pub(crate) fn start(
        work: &Path,
        name: &str,
        port: u16,
        command: &mut Command,
    ) -> io::Result<Self> {
        let output = fs::File::create(work.join(format!("{name}.out")))?;
        command
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output);
        let child = spawn(Core::Server, command)?;
        let mut server = Self { child, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!("{name} has ended: {status}")));
            }
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("{name} does not listen")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a process on one core.
pub(crate) fn spawn(core: Core, command: &mut Command) -> io::Result<Child> {
    let mut cores = CpuSet::new();
    cores.set(match core {
        Core::Server => 0,
        Core::Load => 1,
    });
    // A child inherits the cores of the thread that starts it. This thread does nothing else.
    sched_setaffinity(None, &cores)?;
    command.spawn()
}

const PATIENCE: Duration = Duration::from_secs(20);
