//! The options of `sockeye connect`.

use std::time::Duration;

use clap::Args;

use super::{ending::Said, input::Source};
use crate::{
    config::{Period, Switch, Term},
    dial::DialArgs,
};

/// Shown at the end of `sockeye connect --help`.
pub(crate) const EXIT_CODES: &str = "\
At a terminal, each line you enter is a text message; /ping [TEXT] sends a ping and shows the round trip,
/close [CODE [REASON]] closes, and so do ctrl-D and ctrl-C; ctrl-C once more doesn't wait for the server.
From a pipe, each line of stdin is a message (see -0 for texts with newlines); after the last one sockeye waits for answers
(see --wait and --exit-after), then closes with 1000.

With --reconnect what you enter meanwhile waits for the connection, and goes out first; what had been sent
before the connection was lost isn't sent again. 401, 403 and 1008 are final.

Exit code:
  0  we closed, or the peer closed with 1000, 1001, 1012 or without a code
  1  the peer closed with another code, the connection was lost, or fewer messages came than --exit-after says
  2  bad usage
  3  could not connect (name, network, TLS, proxy, HTTP refusal, handshake), nor again
  4  the peer broke the protocol or sent more than a limit allows";

/// Options.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) dial: DialArgs,

    /// Come back when the connection is lost or refused, after a random time that grows to 30 s
    #[arg(long, conflicts_with = "echo")]
    pub(crate) reconnect: bool,

    /// Offer compression (permessage-deflate), as browsers do; `--deflate=off` doesn't
    #[arg(long, value_name = "on|off", default_value = "on", default_missing_value = "on",
          num_args = 0..=1, require_equals = true)]
    pub(crate) deflate: Switch,

    /// From one ping of ours to the next; `off` sends none
    #[arg(long, value_name = "TIME", default_value = "25s")]
    pub(crate) heartbeat_interval: Term,

    /// From a ping to the last moment for any byte of the server; `off` waits for ever
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub(crate) heartbeat_timeout: Term,

    /// Answer every message with itself until the peer closes
    #[arg(long, conflicts_with_all = ["binary", "hex", "exit_after", "wait"])]
    pub(crate) echo: bool,

    /// Send what stdin gives as binary messages at once (each of at most 64 KiB), write what comes to stdout as it is,
    /// unless stdout is a terminal
    #[arg(long, conflicts_with = "hex")]
    pub(crate) binary: bool,

    /// Each line is a binary message in hexadecimal; show binary messages so
    #[arg(long)]
    pub(crate) hex: bool,

    /// Messages on stdin and texts on stdout end with NUL instead of a newline
    #[arg(short = '0', long, conflicts_with_all = ["echo", "binary", "hex"])]
    pub(crate) null: bool,

    /// Print each event on stdout as one line of JSON (docs/reference/connect.md)
    #[arg(long, conflicts_with = "echo")]
    pub(crate) json: bool,

    /// After the end of stdin, close when nothing has come for so long [default: 1s, with --exit-after 10s]
    #[arg(long, value_name = "TIME")]
    pub(crate) wait: Option<Period>,

    /// Close after so many received messages
    #[arg(long, value_name = "COUNT")]
    pub(crate) exit_after: Option<u64>,

    /// Show handshake headers, pings, pongs and the close on stderr; twice for log lines too
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl ConnectArgs {
    /// After the end of stdin, close when nothing has come for so long.
    pub(crate) fn wait(&self) -> Duration {
        match (self.wait, self.exit_after) {
            (Some(wait), _) => wait.0,
            // Who knows how many messages there will be knows that they come.
            (None, Some(_)) => Duration::from_secs(10),
            (None, None) => Duration::from_secs(1),
        }
    }

    /// Ends each message on stdin and each text on stdout.
    pub(crate) fn separator(&self) -> u8 {
        match self.null {
            true => b'\0',
            false => b'\n',
        }
    }

    /// What is said of the server's close before the conversation is over.
    pub(crate) fn said(&self, source: &Source) -> Said {
        match source {
            _ if self.verbose > 0 && !self.json => Said::CloseFrame,
            Source::Terminal(_) => Said::NothingToPerson,
            Source::Pipe => Said::NothingToProgram,
        }
    }
}
