//! The options of `sockeye connect`.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Bytes, Period, Switch};

/// Shown at the end of `sockeye connect --help`.
pub(crate) const EXIT_CODES: &str = "\
At a terminal, each line you enter is a text message; /ping [TEXT] sends a ping,
/close [CODE [REASON]] closes, and so does ctrl-D. From a pipe, each line of stdin is a message;
after the last one sockeye waits for answers (see --wait and --exit-after), then closes with 1000.

Exit code:
  0  we closed, or the peer closed with 1000, with 1001 or without a code
  1  the peer closed with another code, or the connection was lost
  2  bad usage
  3  could not connect (name, network, TLS, proxy, HTTP refusal, handshake)
  4  the peer broke the protocol or sent more than a limit allows";

/// Options.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectArgs {
    /// Where to connect: ws://…, wss://…; without a scheme, ws:// is meant
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// Header field of the handshake; may be given many times
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,

    /// Origin header, as a browser on that site would send
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,

    /// Subprotocol to offer; may be given many times, the preferred one first
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) subprotocol: Vec<String>,

    /// Offer compression (permessage-deflate), as browsers do; `--deflate=off` doesn't
    #[arg(long, value_name = "on|off", default_value = "on", default_missing_value = "on",
          num_args = 0..=1, require_equals = true)]
    pub(crate) deflate: Switch,

    /// Largest message to take, after reassembly and inflation
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    pub(crate) max_message: Bytes,

    /// Proxy: http://[USER:PASSWORD@]HOST:PORT, socks5://… or socks5h://…
    /// [default: ALL_PROXY, HTTPS_PROXY, HTTP_PROXY, NO_PROXY]
    #[arg(long, value_name = "URL", conflicts_with = "no_proxy")]
    pub(crate) proxy: Option<String>,

    /// Connect directly whatever the environment says
    #[arg(long)]
    pub(crate) no_proxy: bool,

    /// Trust these certificates (PEM) besides the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,

    /// Client certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,

    /// Private key (PEM) of the client certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,

    /// Accept any certificate: the connection can be read and changed on its way
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Use HTTP/2 if the server offers it (wss only)
    #[arg(long)]
    pub(crate) http2: bool,

    /// How many redirects to follow
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) redirects: u32,

    /// How long connecting may take: name, TCP, proxy, TLS and handshake together
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(crate) timeout: Period,

    /// Answer every message with itself until the peer closes
    #[arg(long, conflicts_with_all = ["binary", "hex", "exit_after", "wait"])]
    pub(crate) echo: bool,

    /// Send what stdin holds as binary messages (each of at most 64 KiB), write what comes to stdout as it is
    #[arg(long, conflicts_with = "hex")]
    pub(crate) binary: bool,

    /// Each line is a binary message in hexadecimal; show binary messages so
    #[arg(long)]
    pub(crate) hex: bool,

    /// After the end of stdin, close when nothing has come for so long
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub(crate) wait: Period,

    /// Close after so many received messages
    #[arg(long, value_name = "COUNT")]
    pub(crate) exit_after: Option<u64>,

    /// Show handshake headers, pings, pongs and the close on stderr; twice for log lines too
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

fn header(text: &str) -> Result<(String, String), String> {
    let refuse = || format!("{text:?} is not a header; allowed: NAME: VALUE");
    let (name, value) = text.split_once(':').ok_or_else(refuse)?;
    let (name, value) = (name.trim(), value.trim());
    let fits = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
        && http::HeaderValue::from_str(value).is_ok();
    fits.then(|| (name.to_owned(), value.to_owned()))
        .ok_or_else(refuse)
}
