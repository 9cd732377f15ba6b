//! The options of the modes `hub` and `recover`.

use clap::Args;
use url::Url;

use crate::config::Count;

/// Options for servers that speak the Centrifugal client protocol.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Hub")]
pub(crate) struct HubArgs {
    /// Channels. Publications go to them in turns
    #[arg(long, value_name = "COUNT", default_value = "1")]
    channels: Count,

    /// Channels of each client
    #[arg(long, value_name = "COUNT", default_value = "1")]
    subscriptions: Count,

    /// What the names of channels begin with, such as a namespace; a number follows
    #[arg(long, value_name = "NAME", default_value = "bench")]
    channel: String,

    /// Publish through the server's HTTP API, such as http://127.0.0.1:8080/api, instead of by a client
    #[arg(long, value_name = "URL", requires = "api_key")]
    api: Option<String>,

    /// Key of the HTTP API
    #[arg(long, value_name = "KEY", requires = "api")]
    pub(crate) api_key: Option<String>,

    /// Publications in one request to the HTTP API, at most
    #[arg(long, value_name = "COUNT", default_value = "1", requires = "api")]
    pub(crate) batch: Count,

    /// Publications of each channel that clients miss between two connections. For recover
    #[arg(long, value_name = "COUNT", default_value = "10")]
    pub(crate) missed: Count,

    /// Number of the server's process on this machine: the report has its processor time and its memory. Linux
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
}

impl HubArgs {
    pub(crate) fn channels(&self) -> usize {
        self.channels.0 as usize
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions.0 as usize
    }

    /// Returns the URL for batches of orders, if --api says so.
    pub(crate) fn batch_url(&self) -> Result<Option<Url>, String> {
        let Some(api) = &self.api else {
            return Ok(None);
        };
        let batch = format!("{}/batch", api.trim_end_matches('/'));
        match Url::parse(&batch) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(url)),
            Ok(url) => Err(format!(
                "--api: {}: is neither http nor https",
                url.scheme()
            )),
            Err(error) => Err(format!("--api {api}: {error}")),
        }
    }

    /// Returns the names of the channels.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = 0..self.channels();
        names.map(|it| format!("{}{it}", self.channel)).collect()
    }

    /// Returns an error for options that exclude each other.
    pub(super) fn check(&self, clients: usize) -> Result<(), String> {
        self.batch_url()?;
        let (channels, subscriptions) = (self.channels(), self.subscriptions());
        if subscriptions > channels {
            return Err(format!(
                "--subscriptions {subscriptions}: there are {channels} --channels"
            ));
        }
        if subscriptions.saturating_mul(clients) < channels {
            return Err(format!(
                "--channels {channels}: {clients} clients with {subscriptions} --subscriptions leave some without a subscriber"
            ));
        }
        Ok(())
    }
}
