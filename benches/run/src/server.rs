//! A server while it runs.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::cores::Cores;

/// A child process that listens; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts it on the server's core and waits until it listens.
    pub(crate) fn start(binary: &Path, arguments: &[String], cores: Cores) -> io::Result<Self> {
        let mut command = program(binary);
        command.args(arguments);
        Self::listening(cores.for_server(|| spawn(&mut command))?)
    }

    /// The same under callgrind, which leaves its count in the file `counts`.
    pub(crate) fn counted(binary: &Path, arguments: &[String], counts: &Path) -> io::Result<Self> {
        let mut command = Command::new("valgrind");
        command
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", counts.display()))
            .arg(binary)
            .args(arguments);
        Self::listening(spawn(&mut command)?)
    }

    /// The same under strace, which leaves its calls of `futex` in the file `calls`.
    pub(crate) fn traced(binary: &Path, arguments: &[String], calls: &Path) -> io::Result<Self> {
        let mut command = Command::new("strace");
        command
            .args(["-f", "--seccomp-bpf", "-e", "trace=futex", "-o"])
            .arg(calls)
            .arg(binary)
            .args(arguments);
        Self::listening(spawn(&mut command)?)
    }

    fn listening(mut child: Child) -> io::Result<Self> {
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line)?;
        let port = line
            .strip_prefix("listening ")
            .and_then(|port| port.trim().parse().ok());
        let Some(port) = port else {
            let _ = child.kill();
            let status = child.wait()?;
            return Err(io::Error::other(format!(
                "said `{}` instead of `listening PORT`, {status}",
                line.trim()
            )));
        };
        Ok(Self { child, port })
    }

    /// Ends it as a user would, so that it has the time to leave its counts.
    pub(crate) fn end(mut self) -> io::Result<()> {
        let id = self.child.id();
        // strace itself doesn't listen: it ends when what it started does.
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        for child in children.unwrap_or_default().split_whitespace() {
            terminate(child.parse().unwrap_or_default())?;
        }
        terminate(id)?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn terminate(id: u32) -> io::Result<()> {
    match Pid::from_raw(id.cast_signed()) {
        Some(id) => Ok(kill_process(id, Signal::TERM)?),
        None => Ok(()),
    }
}

fn program(binary: &Path) -> Command {
    let is_script = binary
        .extension()
        .is_some_and(|extension| extension == "mjs");
    if is_script {
        let mut command = Command::new("node");
        command.arg(binary);
        return command;
    }
    Command::new(binary)
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
}
