//! The server's process, as the one that measures sees it.

use std::{io, process::Stdio, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{
    counted::{Counted, Counts},
    segments,
    visitor::exchange,
};

/// A fresh server. Ends when this value does, for its stdin ends then.
pub(crate) struct ServerProcess {
    _child: Child,
    pub(crate) addr: String,
    control: Counted,
}

impl ServerProcess {
    pub(crate) async fn start() -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut addr = String::new();
        BufReader::new(stdout).read_line(&mut addr).await?;
        let addr = addr.trim().to_owned();
        // What is said here is not counted among the clients' bytes.
        let control = Counted::connect(&addr, &Arc::new(Counts::default())).await?;
        Ok(Self {
            _child: child,
            addr,
            control,
        })
    }

    /// Begins to publish.
    pub(crate) async fn publish(&mut self, updates: usize, over_ms: u128) -> io::Result<()> {
        self.ask("POST", &format!("/start?updates={updates}&ms={over_ms}"))
            .await
            .map(drop)
    }

    /// Its processor time so far, user and system, in nanoseconds.
    pub(crate) async fn processor_ns(&mut self) -> io::Result<u64> {
        let body = self.ask("GET", "/processor").await?;
        String::from_utf8_lossy(&body)
            .parse()
            .map_err(io::Error::other)
    }

    /// TCP segments that the clients and it have exchanged so far.
    pub(crate) fn segments(&self) -> io::Result<u64> {
        let port = self
            .addr
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        segments::exchanged(port.unwrap_or_default(), self.control.local_port()?)
    }

    async fn ask(&mut self, method: &str, target: &str) -> io::Result<Vec<u8>> {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
            self.addr
        );
        exchange(&mut self.control, &head).await
    }
}
