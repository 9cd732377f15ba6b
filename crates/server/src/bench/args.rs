//! The options of `sockeye bench`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::{
    config::{Bytes, Count, Period, Switch},
    dial::DialArgs,
};

/// Shown at the end of `sockeye bench --help`.
pub(crate) const EXIT_CODES: &str = "\
Examples:
  sockeye bench ws://127.0.0.1:8080/echo
  sockeye bench ws://127.0.0.1:8080/echo -c 1000 -p 16 -s 1KiB --binary
  sockeye bench ws://127.0.0.1:8080/echo -m idle -c 10000 -d 1m
  sockeye bench ws://127.0.0.1:8080/echo -m connect
  sockeye bench ws://127.0.0.1:8080/websocket/ws -m fan-out -c 1000

Ctrl-C ends the measurement and prints what there is; a second one stops waiting for answers.

Exit code:
  0  everything that was sent has come, and every connection held
  1  a message was wrong or lost, or a connection was refused or lost
  2  bad usage, or too few open files allowed for so many connections
  3  could not connect at all";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Messages that a server sends back: round trips per second and their time
    Echo,
    /// Connections that say nothing: how long opening takes, how many stay
    Idle,
    /// Opening and closing: handshakes per second and their time
    Connect,
    /// A room where everybody gets what one sends: deliveries per second, time to the last receiver
    FanOut,
}

/// Options.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Measurement")]
pub(crate) struct BenchArgs {
    /// What to measure
    #[arg(short, long, value_enum, default_value = "echo")]
    pub(crate) mode: Mode,

    /// Connections open at once; in fan-out the receivers, to which one publisher is added
    /// [default: 50; idle 1000]
    #[arg(short, long, value_name = "COUNT")]
    connections: Option<Count>,

    /// How long to measure; ctrl-C ends it sooner
    #[arg(short, long, value_name = "TIME", default_value = "10s")]
    pub(crate) duration: Period,

    /// How long to run before that, uncounted
    #[arg(short, long, value_name = "TIME", default_value = "1s")]
    warm_up: Period,

    /// Payload of a message; in fan-out at least 32 bytes
    #[arg(short = 's', long, value_name = "SIZE", default_value = "32")]
    message_bytes: Bytes,

    /// Binary messages instead of text
    #[arg(short, long)]
    pub(crate) binary: bool,

    /// Messages on their way at once: per connection, in fan-out altogether
    #[arg(short = 'p', long, value_name = "COUNT", default_value = "1")]
    pub(crate) in_flight: Count,

    /// Handshakes under way at once while the connections are opened
    #[arg(long, value_name = "COUNT", default_value = "64")]
    pub(crate) opening: Count,

    /// How long to wait at the end for what is on its way; in fan-out, for each publication
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub(crate) patience: Period,

    /// Offer compression (permessage-deflate)
    #[arg(long, value_name = "on|off", default_value = "off", default_missing_value = "on",
          num_args = 0..=1, require_equals = true)]
    pub(crate) deflate: Switch,

    /// Threads of this load generator [default: half of the processors, as the server is often on
    /// the same machine]
    #[arg(long, value_name = "COUNT")]
    threads: Option<Count>,

    /// Print one JSON object instead of text (docs/reference/bench.md)
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    /// Show progress every second on stderr even if that is no terminal
    #[arg(long, help_heading = "Output")]
    pub(crate) progress: bool,

    #[command(flatten, next_help_heading = "Connection")]
    pub(crate) dial: DialArgs,
}

impl BenchArgs {
    /// Connections, or receivers in fan-out.
    pub(crate) fn connections(&self) -> usize {
        match (self.connections, self.mode) {
            (Some(count), _) => count.0 as usize,
            (None, Mode::Idle) => 1000,
            (None, _) => 50,
        }
    }

    /// Nothing moves in idle mode, so nothing warms up.
    pub(crate) fn warm_up(&self) -> Duration {
        match self.mode {
            Mode::Idle => Duration::ZERO,
            _ => self.warm_up.0,
        }
    }

    pub(crate) fn message_bytes(&self) -> usize {
        match self.mode {
            Mode::FanOut => self.message_bytes.0.max(super::payload::STAMP_BYTES),
            _ => self.message_bytes.0,
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads.map_or_else(
            || {
                let processors = std::thread::available_parallelism().map_or(1, usize::from);
                (processors / 2).max(1)
            },
            |count| count.0 as usize,
        )
    }
}

impl Mode {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Idle => "idle",
            Self::Connect => "connect",
            Self::FanOut => "fan-out",
        }
    }
}
