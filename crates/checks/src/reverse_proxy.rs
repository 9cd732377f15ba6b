//! nginx and HAProxy, on a port that the system chose, with a configuration out of a page of the documentation.

use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;

use crate::need;
use crate::port::Port;
use crate::process::Process;

/// A proxy that runs until it is dropped.
pub struct ReverseProxy {
    _process: Process,
    port: Port,
    /// Its configuration and what it writes.
    _directory: TempDir,
}

impl ReverseProxy {
    /// Starts nginx in front of `server`, an address or `unix:` and a path, with `config` in its `http { … }`. `None` if
    /// there is none here.
    ///
    /// # Panics
    /// If it doesn't start.
    #[track_caller]
    pub fn nginx(config: &str, server: impl Display) -> Option<Self> {
        let mut command = need::nginx()?;
        let directory = TempDir::new().expect("a directory");
        let path = directory.path();
        let port = Port::reserve();
        let config = replaced(config, "listen 80;", &format!("listen {};", port.addr()));
        let config = replaced(&config, PAGES_SERVER, &server.to_string());
        // All files are in the test's directory, and one process runs as the user of the tests.
        let mut whole = "pid nginx.pid;\nmaster_process off;\ndaemon off;\nevents {}\nhttp {\naccess_log off;\n".to_owned();
        for what in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            whole += &format!("{what}_temp_path {what};\n");
        }
        fs::write(path.join("nginx.conf"), format!("{whole}{config}\n}}\n")).expect("a file");
        command.arg("-p").arg(path);
        command.args(["-c", "nginx.conf", "-e", "stderr"]);
        Some(Self::started("nginx", &mut command, port, directory))
    }

    /// Starts HAProxy in front of `server`; `None` if there is none here.
    ///
    /// # Panics
    /// If it doesn't start.
    #[track_caller]
    pub fn haproxy(config: &str, server: SocketAddr) -> Option<Self> {
        let mut command = need::haproxy()?;
        let directory = TempDir::new().expect("a directory");
        let port = Port::reserve();
        let config = replaced(config, "bind :80\n", &format!("bind {}\n", port.addr()));
        let config = replaced(&config, PAGES_SERVER, &server.to_string());
        let path = directory.path().join("haproxy.cfg");
        fs::write(&path, config).expect("a file");
        command.arg("-db").arg("-f").arg(path);
        Some(Self::started("haproxy", &mut command, port, directory))
    }

    /// Returns the address for clients.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    #[track_caller]
    fn started(
        name: &str,
        command: &mut std::process::Command,
        port: Port,
        directory: TempDir,
    ) -> Self {
        let mut process = Process::start(name, command, LIMIT);
        process.wait_for_port(port.addr());
        Self {
            _process: process,
            port,
            _directory: directory,
        }
    }
}

/// Returns the blocks of code in a page of `docs/howto` that are in that language.
///
/// # Panics
/// If there is no such page.
pub fn blocks_of_page(name: &str, language: &str) -> Vec<String> {
    let path = need::root().join("docs/howto").join(name);
    let page =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

/// Replaces the only `from` in `text` by `to`.
///
/// # Panics
/// If it isn't there exactly once: then the page has changed, and the check with it.
pub fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} in\n{text}");
    text.replace(from, to)
}

/// The address of Sockeye in the pages.
const PAGES_SERVER: &str = "127.0.0.1:8080";

/// The proxies start within a second; a busy machine may need a few.
const LIMIT: Duration = Duration::from_secs(120);
