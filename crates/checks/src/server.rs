//! The real `sockeye`: as a server on ports that it chose, or as a client.

use std::process::Command;
use std::time::Duration;

use crate::need;
use crate::process::{Ended, Process};

/// A running `sockeye serve`.
pub struct Server {
    process: Process,
    /// `ws://127.0.0.1:1234`, one per `--listen`, in the order of their ports' lines.
    addresses: Vec<String>,
}

impl Server {
    /// Starts `sockeye serve` on one free port; `None` if there is no binary here.
    #[track_caller]
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let arguments = [&["--listen", "127.0.0.1:0"], arguments].concat();
        Self::start_with(&arguments)
    }

    /// Starts `sockeye serve` with these arguments and no others.
    #[track_caller]
    pub fn start_with(arguments: &[&str]) -> Option<Self> {
        Self::start_for(arguments, LIMIT)
    }

    /// Starts a server as [`Server::start`] does, with a time limit for long runs.
    #[track_caller]
    pub fn start_for(arguments: &[&str], limit: Duration) -> Option<Self> {
        let command = sockeye("serve", arguments)?;
        Some(Self::start_command(command, limit))
    }

    /// Starts a command that is a `sockeye serve`, wherever it runs.
    #[track_caller]
    pub fn start_command(mut command: Command, limit: Duration) -> Self {
        let listeners = command
            .get_args()
            .filter(|word| *word == "--listen")
            .count();
        let mut process = Process::start("sockeye serve", &mut command, limit);
        let mut addresses = Vec::new();
        process.wait_for("the addresses that it listens on", |line| {
            for address in addresses_in(&line.text) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            (addresses.len() >= listeners).then_some(())
        });
        Self { process, addresses }
    }

    /// Returns the first listener's address with `path`: `ws://127.0.0.1:1234/echo`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.addresses[0])
    }

    /// Returns the first listener's port.
    pub fn port(&self) -> u16 {
        let (_, port) = self.addresses[0].rsplit_once(':').expect("a port");
        port.parse().expect("a port's number")
    }

    /// Returns what it prints, and its end.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Sends what ctrl-C sends, and waits until the server has drained.
    #[track_caller]
    pub fn stop(self) -> Ended {
        self.process.interrupt();
        self.process.wait()
    }
}

/// Returns the command `sockeye NAME ARGUMENTS…`, undisturbed by this machine's environment.
pub fn sockeye(name: &str, arguments: &[&str]) -> Option<Command> {
    let mut command = Command::new(need::binary()?);
    command.arg(name).args(arguments).env("NO_COLOR", "1");
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy().to_uppercase();
        // The user's configuration or proxy would change the test.
        if text.starts_with("SOCKEYE_") || text.ends_with("_PROXY") {
            command.env_remove(&variable);
        }
    }
    // This directory has no `sockeye.toml`.
    command.current_dir(std::env::temp_dir());
    Some(command)
}

/// Returns the `ws://host:port` and `wss://host:port` in a line, without what follows the port.
fn addresses_in(line: &str) -> Vec<String> {
    let mut addresses = Vec::new();
    for (at, _) in line.match_indices("://") {
        let scheme = if line[..at].ends_with("wss") {
            "wss"
        } else if line[..at].ends_with("ws") {
            "ws"
        } else {
            continue;
        };
        let rest = &line[at + "://".len()..];
        let end = rest
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || ".:-[]".contains(letter)))
            .unwrap_or(rest.len());
        let authority = rest[..end].trim_end_matches(['.', ':']);
        if authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        {
            addresses.push(format!("{scheme}://{authority}"));
        }
    }
    addresses
}

/// A conversation takes seconds; a browser on a busy machine may need a minute to start.
const LIMIT: Duration = Duration::from_secs(180);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_wherever_they_stand_in_a_line() {
        assert_eq!(
            addresses_in("echo ws://127.0.0.1:80/echo, room wss://[::1]:8443."),
            ["ws://127.0.0.1:80", "wss://[::1]:8443"]
        );
        assert!(addresses_in("http://127.0.0.1:80/ ws://nowhere").is_empty());
    }
}
