//! The keys of the drain.

use clap::Args;

use crate::config::{Count, Period, Section};

/// The section of the drain.
#[derive(Clone, Debug)]
pub(crate) struct InDrain;

impl Section for InDrain {
    const PATH: &'static str = "drain";
}

/// How a server ends.
#[derive(Args, Clone, Debug)]
pub(crate) struct DrainKeys {
    /// Time that /health/ready answers 503 before the server stops accepting, so that load balancers notice
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub(crate) notice: Period,

    /// Sessions closed per second in a drain, each with 1012 and a time to come back
    #[arg(
        long,
        value_name = "COUNT",
        alias = "drain-per-second",
        default_value = "1000"
    )]
    pub(crate) rate: Count,

    /// Earliest time to come back that a client is told (`retry_ms=…` in the reason of the Close frame)
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub(crate) retry_after: Period,

    /// Spread of --drain-retry-after: each client is told a random time within this much after it
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub(crate) retry_spread: Period,

    /// Time that a drain may take. Connections that are open then are cut
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub(crate) timeout: Period,
}
