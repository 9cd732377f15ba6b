//! The options for connecting, which all client commands share.

use std::path::PathBuf;

use clap::Args;

use super::resolve::Resolve;
use crate::config::{Bytes, Period};

/// Options.
#[derive(Args, Clone, Debug)]
pub(crate) struct DialArgs {
    /// Server to connect to: ws://…, wss://…. Default scheme: ws://
    #[arg(value_name = "URL", help_heading = None::<&'static str>)]
    pub(crate) url: String,

    /// Header field of the handshake. May be given many times. `Host` replaces the URL's; TLS still verifies the
    /// URL's name
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,

    /// Origin header, as a browser on that site sends it
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,

    /// Subprotocol to offer. May be given many times, the preferred one first
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) subprotocol: Vec<String>,

    /// Largest message accepted, after reassembly and decompression
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    pub(crate) max_message: Bytes,

    /// Connect to this address for HOST and PORT instead of asking DNS. May be given many times
    #[arg(long, value_name = "HOST:PORT:ADDR")]
    pub(crate) resolve: Vec<Resolve>,

    /// Connect to this Unix socket, whatever the host and port of the URL (which may also be ws+unix:PATH:/REQUEST)
    #[arg(long, value_name = "PATH", conflicts_with = "proxy")]
    pub(crate) unix_socket: Option<PathBuf>,

    /// Proxy: http://[USER:PASSWORD@]HOST:PORT, socks5://… or socks5h://…
    /// [default: ALL_PROXY, HTTPS_PROXY, HTTP_PROXY, NO_PROXY]
    #[arg(long, value_name = "URL", conflicts_with = "no_proxy")]
    pub(crate) proxy: Option<String>,

    /// Connect without a proxy, and ignore the proxy variables of the environment
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

    /// Accept any certificate. Others can then read and change the connection
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,

    /// Use HTTP/2 if the server offers it (wss only)
    #[arg(long)]
    pub(crate) http2: bool,

    /// Most redirects to follow
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) redirects: u32,

    /// Time limit for connecting: DNS, TCP, proxy, TLS and handshake together
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(crate) timeout: Period,
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
