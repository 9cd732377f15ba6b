//! What can be asked of the load generator.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{broadcast, cycle::Payload, echo, handshakes, idle, squeezed::Deflate, wrong::Wrong};

/// Puts load on one server, checks every answer, prints one line of JSON.
#[derive(Debug, Parser)]
#[command(name = "load")]
struct Cli {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    window: Window,
    #[command(subcommand)]
    scenario: Scenario,
}

/// Who is measured.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Where the server listens
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// The server's process, so that its processor time can be told; may be given many times
    #[arg(long)]
    pub(crate) server_pid: Vec<u32>,
    /// TLS, with this certificate trusted (PEM)
    #[arg(long)]
    pub(crate) tls_ca: Option<PathBuf>,
}

/// When it is measured.
#[derive(Debug, Args)]
pub(crate) struct Window {
    /// Seconds that aren't measured, at the beginning
    #[arg(long, default_value_t = 0.3)]
    warm_up: f64,
    /// Seconds that are measured
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// So many messages, publications or handshakes, and no longer, instead of a time
    #[arg(long)]
    pub(crate) count: Option<usize>,
}

impl Window {
    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up)
    }

    pub(crate) fn measured(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// What is measured.
#[derive(Debug, Subcommand)]
enum Scenario {
    /// What is sent comes back
    Echo(Echo),
    /// What one sends comes to all
    Broadcast(Broadcast),
    /// Connect, upgrade, close, and again
    Handshakes(Handshakes),
    /// Connections that do nothing: each step waits for a line on standard input
    Idle(Idle),
}

/// Options of `echo`.
#[derive(Debug, Args)]
pub(crate) struct Echo {
    #[arg(long, default_value_t = 200)]
    pub(crate) connections: usize,
    /// Payload of one message
    #[arg(long, default_value_t = 20)]
    pub(crate) bytes: usize,
    /// Messages under way at the same time on each connection
    #[arg(long, default_value_t = 1)]
    pub(crate) in_flight: usize,
    #[arg(long, value_enum, default_value_t = Payload::Binary)]
    pub(crate) payload: Payload,
    /// permessage-deflate, with JSON for payload; the server has to accept it
    #[arg(long, value_enum)]
    pub(crate) deflate: Option<Deflate>,
    /// No handshake, and the frames come back as they went: for a server that echoes bytes
    #[arg(long)]
    pub(crate) raw: bool,
}

/// Options of `broadcast`.
#[derive(Debug, Args)]
pub(crate) struct Broadcast {
    /// Connections that get every message
    #[arg(long, default_value_t = 1000)]
    pub(crate) receivers: usize,
    #[arg(long, default_value_t = 125)]
    pub(crate) bytes: usize,
    /// Publications under way at the same time
    #[arg(long, default_value_t = 1)]
    pub(crate) in_flight: usize,
}

/// Options of `handshakes`.
#[derive(Debug, Args)]
pub(crate) struct Handshakes {
    /// Handshakes under way at the same time
    #[arg(long, default_value_t = 32)]
    pub(crate) outstanding: usize,
}

/// Options of `idle`.
#[derive(Debug, Args)]
pub(crate) struct Idle {
    #[arg(long, default_value_t = 10_000)]
    pub(crate) connections: usize,
    /// Messages of a kibibyte that each connection sends in the burst
    #[arg(long, default_value_t = 10)]
    pub(crate) burst: usize,
    /// permessage-deflate, with JSON for payload; the server has to accept it
    #[arg(long, value_enum)]
    pub(crate) deflate: Option<Deflate>,
}

/// Does what the command line asks.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match cli.scenario.run(&cli.target, &cli.window) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("load: {wrong}");
            ExitCode::FAILURE
        }
    }
}

impl Scenario {
    fn run(&self, target: &Target, window: &Window) -> Result<(), Wrong> {
        match self {
            Self::Echo(echo) => echo::run(target, window, echo)?.print(),
            Self::Broadcast(broadcast) => broadcast::run(target, window, broadcast)?.print(),
            Self::Handshakes(handshakes) => handshakes::run(target, window, handshakes)?.print(),
            Self::Idle(idle) => idle::run(target, idle)?,
        }
        Ok(())
    }
}
