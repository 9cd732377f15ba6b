//! The options that say whom to dial, and how: the same for every command that is a client.

use std::path::PathBuf;

use clap::Args;

use super::resolve::Resolve;
use crate::config::{Bytes, Period};

/// Options.
#[derive(Args, Clone, Debug)]
pub(crate) struct DialArgs {
    /// Where to connect: ws://…, wss://…; without a scheme, ws:// is meant
    #[arg(value_name = "URL", help_heading = None::<&'static str>)]
    pub(crate) url: String,

    /// Header field of the handshake; may be given many times. `Host` replaces the URL's, and TLS still asks for
    /// the URL's name
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,

    /// Origin header, as a browser on that site would send
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,

    /// Subprotocol to offer; may be given many times, the preferred one first
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) subprotocol: Vec<String>,

    /// Largest message to take, after reassembly and inflation
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    pub(crate) max_message: Bytes,

    /// Connect to this address for HOST and PORT without asking DNS; may be given many times
    #[arg(long, value_name = "HOST:PORT:ADDR")]
    pub(crate) resolve: Vec<Resolve>,

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
    #[arg(short = 'k', long)]
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
