//! The keys of plain HTTP.

use clap::Args;

use crate::config::{Bytes, Period, Section};

/// The section of plain HTTP.
#[derive(Clone, Debug)]
pub(crate) struct InHttp;

impl Section for InHttp {
    const PATH: &'static str = "http";
}

/// Plain HTTP requests.
#[derive(Args, Clone, Debug)]
pub(crate) struct HttpKeys {
    /// Largest body of a plain HTTP request. A larger one is answered with 413
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub(crate) body_bytes_max: Bytes,

    /// Time to wait for the next part of a request body. After it the answer is 408
    #[arg(long, value_name = "TIME", default_value = "20s")]
    pub(crate) body_timeout: Period,

    /// Time to wait for a whole request body. After it the answer is 408
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) body_time_max: Period,

    /// Time that a plain HTTP connection may stay open without a request
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) keepalive_timeout: Period,

    /// Time that a plain HTTP response may wait for a client that reads nothing of it. Default: progress-timeout, or
    /// 30s if that is off
    #[arg(long, value_name = "TIME")]
    pub(crate) send_timeout: Option<Period>,
}
