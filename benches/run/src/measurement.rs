//! One server measured once.

use std::{
    io,
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::{cell::Cell, peer::Peer, server::Server, setting::Setting};

/// What the load generator found.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Measurement {
    pub(crate) per_second: f64,
    pub(crate) server_ns: f64,
    pub(crate) load_ns: f64,
    pub(crate) server_busy: f64,
    pub(crate) load_busy: f64,
    pub(crate) others_busy: f64,
    /// Bytes of an answer as it came, where it is compressed.
    pub(crate) wire_bytes: Option<f64>,
    pub(crate) latency: Option<Latency>,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// For how long.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Window {
    /// Seconds.
    Time { warm_up: f64, measured: f64 },
    /// Messages, publications or handshakes.
    Count(usize),
}

/// Bytes under way, from which on a second shows the beginning alone: memory that grows, in kernel and server.
const LASTING_BYTES_MIN: usize = 1 << 30;

/// How much longer such a cell is measured.
const LASTING_FACTOR: f64 = 3.0;

impl Window {
    /// Long enough for `cell`.
    pub(crate) fn for_cell(self, cell: &Cell) -> Self {
        match self {
            Self::Time { warm_up, measured } if cell.bytes_under_way() >= LASTING_BYTES_MIN => {
                Self::Time {
                    warm_up: LASTING_FACTOR * warm_up,
                    measured: LASTING_FACTOR * measured,
                }
            }
            window => window,
        }
    }

    fn arguments(self) -> Vec<String> {
        let line = match self {
            Self::Time { warm_up, measured } => {
                format!("--warm-up {warm_up} --seconds {measured}")
            }
            Self::Count(count) => format!("--count {count}"),
        };
        line.split_whitespace().map(str::to_owned).collect()
    }
}

impl Measurement {
    /// Starts the server, puts the load on it, ends it. If something else used a core meanwhile, it is done
    /// again, a few times.
    pub(crate) fn take(
        setting: &Setting,
        cell: &Cell,
        peer: &Peer,
        window: Window,
    ) -> io::Result<Self> {
        let mut last = None;
        for _ in 0..TRIES {
            let measurement = Self::once(setting, cell, peer, window)?;
            if measurement.others_busy <= OTHERS_BUSY_MAX {
                return Ok(measurement);
            }
            eprintln!(
                "    {}: something else used {:.0} % of a core, again",
                peer.name,
                measurement.others_busy * 100.0
            );
            last = Some(measurement);
        }
        Ok(last.expect("there was a try"))
    }

    /// Whether something else was running all the time.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.others_busy > OTHERS_BUSY_MAX
    }

    /// One try, whatever else was running.
    pub(crate) fn once(
        setting: &Setting,
        cell: &Cell,
        peer: &Peer,
        window: Window,
    ) -> io::Result<Self> {
        let server = Server::start(
            &setting.binary(peer, cell),
            &cell.server_arguments(peer, setting.identity()),
            setting.cores,
        )?;
        let mut command = Command::new(setting.workshop.load());
        command
            .args(["--address", &server.address()])
            .args(["--server-pid", &server.id().to_string()])
            .args(window.arguments())
            .args(cell.load_arguments(peer, setting.identity()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = setting
            .cores
            .for_load(|| command.spawn())?
            .wait_with_output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(said.trim().to_owned()));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Cores. More than that used by others, and the figure isn't the server's.
const OTHERS_BUSY_MAX: f64 = 0.06;

/// Measurements, until one is undisturbed.
const TRIES: usize = 4;
