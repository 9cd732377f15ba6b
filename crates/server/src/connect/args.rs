//! The options of `sockeye connect`.

use std::time::Duration;

use clap::Args;

use crate::{
    config::{Period, Switch, Term},
    dial::DialArgs,
};

/// Shown at the end of `sockeye connect --help`.
pub(crate) const EXIT_CODES: &str = "\
At a terminal, each line you enter is a text message; /ping [TEXT] sends a ping and shows the \
round trip, /close [CODE [REASON]] closes, and so do ctrl-D and ctrl-C; ctrl-C once more doesn't \
wait for the server. From a pipe, each line of stdin is a message (see -0 for texts with \
newlines); after the last one sockeye waits for answers (see --wait and --exit-after), then closes \
with 1000.

With --reconnect what you enter meanwhile waits for the connection, and goes out first; what had \
been sent before the connection was lost isn't sent again. 401, 403 and 1008 are final.

Exit code:
  0  we closed, or the peer closed with 1000, 1001, 1012 or without a code
  1  closed with another code, connection lost, or fewer messages than --exit-after says
  2  bad usage
  3  could not connect (name, network, TLS, proxy, HTTP refusal, handshake), nor again
  4  the peer broke the protocol or sent more than a limit allows";

/// Options.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) dial: DialArgs,

    /// Reconnect when the connection is lost or refused, after a random time that grows to 30 s
    #[arg(long, conflicts_with = "echo")]
    pub(crate) reconnect: bool,

    /// Offer compression (permessage-deflate), as browsers do
    #[arg(long, value_name = "on|off", default_value = "on", default_missing_value = "on",
          num_args = 0..=1, require_equals = true)]
    pub(crate) deflate: Switch,

    /// Time from one ping of the client to the next. `off` sends none
    #[arg(long, value_name = "TIME", default_value = "25s")]
    pub(crate) heartbeat_interval: Term,

    /// Time after a ping in which any byte must come from the server. `off` waits forever
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub(crate) heartbeat_timeout: Term,

    /// Send every received message back until the server closes
    #[arg(long, conflicts_with_all = ["binary", "hex", "exit_after", "wait"])]
    pub(crate) echo: bool,

    /// Send each read of stdin as a binary message of at most 64 KiB, and write received messages to stdout unchanged,
    /// unless stdout is a terminal
    #[arg(long, conflicts_with = "hex")]
    pub(crate) binary: bool,

    /// Read each line as a binary message in hexadecimal, and show binary messages so
    #[arg(long)]
    pub(crate) hex: bool,

    /// End messages on stdin and texts on stdout with NUL instead of a newline
    #[arg(short = '0', long, conflicts_with_all = ["echo", "binary", "hex"])]
    pub(crate) null: bool,

    /// Print each event on stdout as one line of JSON (docs/reference/connect.md)
    #[arg(long, conflicts_with = "echo")]
    pub(crate) json: bool,

    /// After the end of stdin, close when no message has come for this time [default: 1s, with --exit-after 10s]
    #[arg(long, value_name = "TIME")]
    pub(crate) wait: Option<Period>,

    /// Close after this many received messages
    #[arg(long, value_name = "COUNT")]
    pub(crate) exit_after: Option<u64>,

    /// Show handshake headers, pings, pongs and the close on stderr. Twice: log lines too
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl ConnectArgs {
    /// Returns how long to wait for a message after the end of stdin.
    pub(crate) fn wait(&self) -> Duration {
        match (self.wait, self.exit_after) {
            (Some(wait), _) => wait.0,
            // The user expects that many messages, so they are worth a longer wait.
            (None, Some(_)) => Duration::from_secs(10),
            (None, None) => Duration::from_secs(1),
        }
    }

    /// Returns the byte that ends each message on stdin and each text on stdout.
    pub(crate) fn separator(&self) -> u8 {
        match self.null {
            true => b'\0',
            false => b'\n',
        }
    }
}
