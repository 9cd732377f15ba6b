//! A real Redis, which a test may kill and start again.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::need;
use crate::process::Process;

/// A Redis that listens on a socket in a directory of its own and keeps nothing when it ends.
pub struct Redis {
    /// `None` while it is down.
    process: Option<Process>,
    directory: TempDir,
}

impl Redis {
    /// Starts it; `None` if there is none here.
    #[track_caller]
    pub fn start() -> Option<Self> {
        need::redis()?;
        let mut redis = Self {
            process: None,
            directory: TempDir::new().expect("a directory for Redis"),
        };
        redis.start_again();
        Some(redis)
    }

    /// Returns what a client dials. The same after it was started again.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Kills it, and with it all its data.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it after it was killed, empty.
    #[track_caller]
    pub fn start_again(&mut self) {
        let mut command = need::redis().expect("it was there");
        let socket = self.socket();
        // A killed Redis leaves its socket.
        let _ = std::fs::remove_file(&socket);
        // No other program can open a socket in this directory. A port can't promise that.
        command.args(["--port", "0", "--save", "", "--appendonly", "no"]);
        command.arg("--unixsocket").arg(&socket);
        command.arg("--dir").arg(self.directory.path());
        let mut process = Process::start("redis-server", &mut command, LIMIT);
        process.wait_for("that it is ready", |line| {
            let text = line.text.to_lowercase();
            (text.contains("ready to accept connections") || text.contains("now ready"))
                .then_some(())
        });
        self.process = Some(process);
    }

    /// Stops it (SIGSTOP): connections stay open, and nothing is answered.
    ///
    /// # Panics
    /// If it is down.
    pub fn freeze(&self) {
        self.process.as_ref().expect("Redis is up").freeze();
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If it is down.
    pub fn thaw(&self) {
        self.process.as_ref().expect("Redis is up").thaw();
    }

    /// Removes all its data while it runs, as a failover to an empty replica does.
    ///
    /// # Panics
    /// If it is down.
    pub fn forget_everything(&self) {
        let mut stream = UnixStream::connect(self.socket()).expect("Redis is up");
        stream.write_all(b"FLUSHALL\r\n").expect("Redis reads");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).expect("Redis answers");
        assert_eq!(&answer, b"+OK\r\n");
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }
}

/// The time limit of the longest test that uses Redis.
const LIMIT: Duration = Duration::from_secs(300);
