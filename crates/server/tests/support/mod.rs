//! Runs the binary as a user would.
#![allow(dead_code, reason = "each test file uses its part of it")]

pub(crate) mod back_end;
pub(crate) mod scripted;
#[cfg(target_os = "linux")]
pub(crate) mod terminal;

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread::JoinHandle,
    time::Duration,
};

use tempfile::TempDir;

/// Only a failure reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Returns a command for the binary in a directory of its own, without the environment's `SOCKEYE_…` variables.
pub(crate) fn sockeye(directory: &Path) -> Command {
    program(env!("CARGO_BIN_EXE_sockeye"), directory)
}

/// Returns a command for another program, in the same directory and environment.
pub(crate) fn program(name: &str, directory: &Path) -> Command {
    let mut command = Command::new(name);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("SOCKEYE_") || name.to_ascii_uppercase().ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command.current_dir(directory).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(args: &[&str]) -> Run {
    run_in(TempDir::new().unwrap().path(), args, &[])
}

pub(crate) fn run_in(directory: &Path, args: &[&str], env: &[(&str, &str)]) -> Run {
    sockeye(directory)
        .args(args)
        .envs(env.iter().copied())
        .output()
        .unwrap()
        .into()
}

/// What a finished process left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Returns the binary with `input` on its stdin, run to its end.
pub(crate) fn run_with_stdin(args: &[impl AsRef<OsStr>], input: &[u8]) -> Run {
    let directory = TempDir::new().unwrap();
    let mut command = sockeye(directory.path());
    let pipe = Stdio::piped;
    let mut child = command
        .args(args)
        .stdin(pipe())
        .stdout(pipe())
        .stderr(pipe())
        .spawn()
        .unwrap();
    // The process may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap().into()
}

/// A running `sockeye serve`, killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// `127.0.0.1:PORT` of each listener.
    pub(crate) addrs: Vec<String>,
    /// What it printed when it started.
    pub(crate) banner: String,
    /// Kept open: a server whose stdout is closed is another test.
    _stdout: BufReader<ChildStdout>,
    stderr: Option<JoinHandle<String>>,
    pub(crate) directory: TempDir,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    /// Starts a server after writing `files` into its working directory.
    pub(crate) fn start_with(args: &[&str], files: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        for (name, content) in files {
            std::fs::write(directory.path().join(name), content).unwrap();
        }
        let mut command = sockeye(directory.path());
        command.args(args);
        Self::start_command(command, directory)
    }

    /// Returns a command that ends in `sockeye serve`.
    pub(crate) fn start_command(mut command: Command, directory: TempDir) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = collect(child.stderr.take().unwrap());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("ctrl-C") {
            if stdout.read_line(&mut banner).unwrap() == 0 {
                let _ = child.wait();
                panic!("did not start: {banner}{}", stderr.join().unwrap());
            }
        }
        let mut addrs: Vec<String> = Vec::new();
        for url in banner
            .split_whitespace()
            .filter_map(|word| word.split_once("://"))
        {
            let addr = url.1.split('/').next().unwrap().to_owned();
            if !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
        Self {
            child,
            addrs,
            banner,
            _stdout: stdout,
            stderr: Some(stderr),
            directory,
        }
    }

    pub(crate) fn ws(&self, path: &str) -> String {
        format!("ws://{}{path}", self.addrs[0])
    }

    /// Sends a plain HTTP/1.1 request and returns the answer.
    pub(crate) fn http(&self, request: &str) -> String {
        http(&self.addrs[0], request)
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end; returns the status and all of stderr.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let stderr = self.stderr.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(stderr.join().unwrap()));
        let stderr = receiver
            .recv_timeout(PATIENCE)
            .expect("it ends when it is told to");
        (self.child.wait().unwrap(), stderr)
    }
}

/// Runs `conversation` on a runtime of its own, for a minute at most.
pub(crate) fn talk<T>(conversation: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), conversation)
            .await
            .expect("the server answers within a minute")
    })
}

/// Sends a plain HTTP/1.1 request to `addr` and returns the answer.
pub(crate) fn http(addr: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let fields = format!("\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    let request = request.replacen("\r\n\r\n", &fields, 1);
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stderr: ChildStderr) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = BufReader::new(stderr).read_to_string(&mut text);
        text
    })
}

/// Compares with a file under `tests/snapshots`; `BLESS=1` writes it instead.
pub(crate) fn snapshot(name: &str, text: &str) {
    compare(&manifest().join("tests/snapshots").join(name), text);
}

pub(crate) fn compare(path: &Path, text: &str) {
    if std::env::var_os("BLESS").is_some() {
        return std::fs::write(path, text).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        expected == text,
        "{} is not what the binary prints; if the new text is meant, run the test with BLESS=1.\n{text}",
        path.display()
    );
}

pub(crate) fn manifest() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn root() -> PathBuf {
    manifest().join("../..").canonicalize().unwrap()
}

/// A port that no other program gets until this is dropped: connecting to it is refused until a server of ours
/// listens there, and is refused again when that has ended.
pub(crate) struct Port(socket2::Socket);

impl Port {
    pub(crate) fn reserve() -> Self {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // Both sockets must set the option. The kernel gives a bound port to no socket that asks for any port.
        socket.set_reuse_address(true).unwrap();
        let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&any.into()).unwrap();
        Self(socket)
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn addr(&self) -> String {
        let addr = self.0.local_addr().unwrap();
        addr.as_socket().unwrap().to_string()
    }
}
