//! The options of `sockeye bench`.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::{Args, ValueEnum};
use sockeye::MessageKind;
use sockeye_hub::wire::Encoding;

use crate::{
    config::{Bytes, Count, Period, Switch},
    dial::DialArgs,
};

use super::{hub_args::HubArgs, payload::STAMP_BYTES};

/// Shown at the end of `sockeye bench --help`.
pub(crate) const EXIT_CODES: &str = "\
Examples:
  sockeye bench ws://127.0.0.1:8080/echo
  sockeye bench ws://127.0.0.1:8080/echo -c 1000 -p 16 -s 1KiB --binary
  sockeye bench ws://127.0.0.1:8080/echo -c 100 --rate 5000
  sockeye bench ws://127.0.0.1:8080/echo -m idle -c 10000 -d 1m
  sockeye bench ws://127.0.0.1:8080/echo -m connect
  sockeye bench ws://127.0.0.1:8080/websocket/ws -m fan-out -c 1000
  sockeye bench ws://127.0.0.1:8080/connection/websocket -c 1000 -s 100 --binary
  sockeye bench ws://127.0.0.1:8080/connection/websocket -m recover -c 1000 --missed 10

Ctrl-C ends the measurement and prints what there is; a second one stops waiting for answers.

Exit code:
  0  everything that was sent has come, and every connection held
  1  a message was wrong or lost, or a connection was refused or lost
  2  bad usage, or too few open files allowed for so many connections
  3  could not connect at all";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// The server sends messages back: round trips per second, and their times
    Echo,
    /// Connections stay idle: how long opening takes, and how many stay open
    Idle,
    /// Connections are opened and closed: handshakes per second, and their times
    Connect,
    /// One connection publishes to all others: deliveries per second, and time to the last receiver
    FanOut,
    /// Clients of a hub (Sockeye, Centrifugo) subscribe, one publishes: deliveries per second, and times
    Hub,
    /// Clients of a hub are away, miss publications, and all come back: recoveries per second, and times
    Recover,
}

/// The answer to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Expect {
    /// The same message, unchanged
    Echo,
    /// Any message. Each answers the oldest message without an answer
    Any,
    /// Nothing. Received messages are ignored and sent ones count; needs --rate
    None,
}

/// The value of --message.
#[derive(Clone, Debug)]
pub(crate) struct GivenMessage(Vec<u8>);

impl FromStr for GivenMessage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(name) = text.strip_prefix('@') else {
            return Ok(Self(text.as_bytes().to_vec()));
        };
        let mut message = Vec::new();
        File::open(name)
            .and_then(|file| file.take(MESSAGE_BYTES_MAX + 1).read_to_end(&mut message))
            .map_err(|error| format!("{name}: {error}"))?;
        match message.len() as u64 > MESSAGE_BYTES_MAX {
            true => Err(format!("{name}: it is larger than 1 GiB")),
            false => Ok(Self(message)),
        }
    }
}

/// Bytes. Maximum of --message-bytes.
const MESSAGE_BYTES_MAX: u64 = 1 << 30;

/// Options.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Measurement")]
pub(crate) struct BenchArgs {
    /// What to measure [default: echo; hub if the URL's path ends with /connection/websocket]
    #[arg(short, long, value_enum)]
    mode: Option<Mode>,

    /// Connections open at once. In fan-out and hub, receivers; one publisher is added, in recover too
    /// [default: 50; idle 1000]
    #[arg(short, long, value_name = "COUNT")]
    connections: Option<Count>,

    /// Time to measure. ctrl-C ends it sooner
    #[arg(short, long, value_name = "TIME", default_value = "10s")]
    pub(crate) duration: Period,

    /// Time to run before the measurement, which doesn't count
    #[arg(short, long, value_name = "TIME", default_value = "1s")]
    warm_up: Period,

    /// Payload of a message. In fan-out at least 32 bytes, in hub and recover 34
    #[arg(short = 's', long, value_name = "SIZE", default_value = "32")]
    message_bytes: Bytes,

    /// Send binary messages instead of text. In hub and recover, speak Protobuf instead of JSON
    #[arg(short, long)]
    pub(crate) binary: bool,

    /// Messages in flight at once: for each connection, in fan-out and hub in all
    #[arg(short = 'p', long, value_name = "COUNT", default_value = "1")]
    pub(crate) in_flight: Count,

    /// Send this many messages per second in all, each at a fixed time whatever the server does. A round trip counts
    /// from that time. For echo, fan-out and hub
    #[arg(short, long, value_name = "COUNT", conflicts_with = "in_flight")]
    pub(crate) rate: Option<Count>,

    /// Send this text, or the content of a file, instead of generated messages. For echo
    #[arg(long, value_name = "TEXT|@FILE", conflicts_with = "message_bytes")]
    message: Option<GivenMessage>,

    /// The answer to a message. For echo
    #[arg(long, value_enum, default_value = "echo")]
    pub(crate) expect: Expect,

    /// Handshakes at once while the connections are opened
    #[arg(long, value_name = "COUNT", default_value = "64")]
    pub(crate) opening: Count,

    /// Time to wait at the end for messages in flight; in fan-out and hub, for each publication
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

    /// Show progress every second on stderr, even if it is no terminal
    #[arg(long, help_heading = "Output")]
    pub(crate) progress: bool,

    /// File of tokens, one in each line, for one connection each. A token replaces {token} in the URL, in a --header or
    /// in a --subprotocol. In hub and recover it is what the client connects with, unless {token} is there
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    token_file: Option<PathBuf>,

    #[command(flatten, next_help_heading = "Hub")]
    pub(crate) hub: HubArgs,

    #[command(flatten, next_help_heading = "Connection")]
    pub(crate) dial: DialArgs,
}

impl BenchArgs {
    pub(crate) fn kind(&self) -> MessageKind {
        match self.binary {
            true => MessageKind::Binary,
            false => MessageKind::Text,
        }
    }

    /// Returns what is measured.
    pub(crate) fn mode(&self) -> Mode {
        self.mode.unwrap_or_else(|| Mode::of_url(&self.dial.url))
    }

    /// Connections, or receivers in fan-out and hub.
    pub(crate) fn connections(&self) -> usize {
        match (self.connections, self.mode()) {
            (Some(count), _) => count.0 as usize,
            (None, Mode::Idle) => 1000,
            (None, _) => 50,
        }
    }

    /// Returns the warm-up time; none in the modes idle and recover.
    pub(crate) fn warm_up(&self) -> Duration {
        match self.mode() {
            Mode::Idle | Mode::Recover => Duration::ZERO,
            _ => self.warm_up.0,
        }
    }

    /// Returns an error for options that exclude each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        let only =
            |flag: &str, modes: &str| Err(format!("{flag}: it has a meaning only for {modes}"));
        if self.duration.0.is_zero() {
            return Err("--duration: nothing is measured in no time".to_owned());
        }
        if self.mode().is_hub() {
            self.hub.check(self.connections())?;
        }
        match self.mode() {
            Mode::Idle | Mode::Connect | Mode::Recover if self.rate.is_some() => {
                only("--rate", "echo, fan-out and hub")
            }
            Mode::Echo if self.expect == Expect::None && self.rate.is_none() => {
                Err("--expect none: it needs --rate, since no answer sets the pace".to_owned())
            }
            Mode::Echo => Ok(()),
            _ if self.message.is_some() => only("--message", "echo"),
            _ if self.expect != Expect::Echo => only("--expect", "echo"),
            _ => Ok(()),
        }
    }

    /// Returns what --message says.
    pub(crate) fn message(&self) -> Option<&[u8]> {
        self.message.as_ref().map(|message| message.0.as_slice())
    }

    pub(crate) fn token_file(&self) -> Option<&Path> {
        self.token_file.as_deref()
    }

    /// Returns how many messages are on their way at once in a closed loop; 0 with --rate, where none waits for an
    /// answer.
    pub(crate) fn closed_loop(&self) -> usize {
        match self.rate {
            Some(_) => 0,
            None => self.in_flight.0 as usize,
        }
    }

    pub(crate) fn message_bytes(&self) -> usize {
        if let Some(message) = &self.message {
            return message.0.len();
        }
        match self.mode() {
            Mode::FanOut => self.message_bytes.0.max(STAMP_BYTES),
            // A JSON string with its quotation marks.
            Mode::Hub | Mode::Recover => self.message_bytes.0.max(STAMP_BYTES + 2),
            _ => self.message_bytes.0,
        }
    }

    /// Returns the encoding of the modes `hub` and `recover`.
    pub(crate) fn encoding(&self) -> Encoding {
        match self.binary {
            true => Encoding::Protobuf,
            false => Encoding::Json,
        }
    }

    /// Returns the subprotocols to offer: in the modes `hub` and `recover` that of the encoding, if none is given.
    pub(crate) fn subprotocols(&self) -> Vec<String> {
        let given = &self.dial.subprotocol;
        if !given.is_empty() || !self.mode().is_hub() {
            return given.clone();
        }
        let name = match self.encoding() {
            Encoding::Json => "centrifuge-json",
            Encoding::Protobuf => "centrifuge-protobuf",
        };
        vec![name.to_owned()]
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
    /// Returns whether the Centrifugal client protocol is spoken.
    pub(crate) fn is_hub(self) -> bool {
        matches!(self, Self::Hub | Self::Recover)
    }

    /// Returns the mode for a URL if none is asked for: by the path of a hub's WebSocket.
    pub(super) fn of_url(url: &str) -> Self {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        match path.ends_with(HUB_PATH) {
            true => Self::Hub,
            false => Self::Echo,
        }
    }

    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Idle => "idle",
            Self::Connect => "connect",
            Self::FanOut => "fan-out",
            Self::Hub => "hub",
            Self::Recover => "recover",
        }
    }
}

impl Expect {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Any => "any",
            Self::None => "none",
        }
    }
}

/// Where servers of the Centrifugal protocol have their WebSocket, unless configured otherwise.
const HUB_PATH: &str = "/connection/websocket";
