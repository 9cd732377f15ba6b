//! A server and clients with a short heartbeat, and a stopwatch.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use sockeye_checks::{Ended, Process, Server, sockeye};

/// The time within which a vanished peer is given up: the interval and the timeout of [`HEARTBEAT`].
pub(crate) const BOUND: Duration = Duration::from_secs(4);

/// What a loaded machine may add before the test fails. The figures that are printed show what it added.
const SLACK: Duration = Duration::from_secs(15);

/// Flags for the server and for `sockeye connect` alike. Long enough for a machine that does other things.
pub(crate) const HEARTBEAT: [&str; 4] = ["--heartbeat-interval", "2s", "--heartbeat-timeout", "2s"];

/// Flags that switch the heartbeat off.
pub(crate) const NO_HEARTBEAT: [&str; 2] = ["--heartbeat-interval", "off"];

/// A time that no test lasts.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// The server's log text for a peer that it has given up.
pub(crate) const GIVEN_UP: &str = "(no sign of life)";

/// Returns a server whose log tells how each session ends.
pub(crate) fn serve(heartbeat: &[&str]) -> Option<Server> {
    Server::start(&[&["--log-filter", "sockeye=debug"], heartbeat].concat())
}

/// Returns the command for it, to be run elsewhere.
pub(crate) fn serve_command(address: &str, heartbeat: &[&str]) -> Option<Command> {
    let listen = format!("{address}:0");
    let flags = ["--listen", &listen, "--log-filter", "sockeye=debug"];
    sockeye("serve", &[&flags, heartbeat].concat())
}

/// A connected client that has got an echo.
pub(crate) struct Client {
    process: Process,
}

impl Client {
    pub(crate) fn start(url: &str, heartbeat: &[&str]) -> Option<Self> {
        let command = sockeye("connect", &[&[url], heartbeat].concat())?;
        Some(Self::start_command(command))
    }

    pub(crate) fn start_command(mut command: Command) -> Self {
        let mut client = Self {
            process: Process::start("sockeye connect", &mut command, LIMIT),
        };
        client.assert_echoes("hello");
        client
    }

    #[track_caller]
    pub(crate) fn assert_echoes(&mut self, text: &str) {
        self.process.write_line(text);
        self.process.wait_for_text(text);
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn wait(self) -> Ended {
        self.process.wait()
    }
}

/// Measures how long it takes until something is noticed.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Asserts that the fault was noticed within `bound`, until now.
    #[track_caller]
    pub(crate) fn noticed(&self, what: &str, bound: Duration) {
        let took = self.0.elapsed();
        println!("{what}: noticed after {took:.1?}, bound {bound:?}");
        assert!(took <= bound + SLACK, "{what}: {took:?}");
    }
}
