//! The keys of what keeps histories.

use clap::Args;

use crate::config::{Bytes, Count, Section};

/// The section of what the broker keeps in memory: everything, or with a log all but the publications.
#[derive(Clone, Debug)]
pub(crate) struct InBrokerMemory;

impl Section for InBrokerMemory {
    const PATH: &'static str = "broker.memory";
}

/// What the broker in memory may hold.
#[derive(Args, Clone, Debug)]
pub(crate) struct BrokerMemoryKeys {
    /// Most channels that are subscribed or have a history. One more is refused
    #[arg(long, value_name = "COUNT", default_value = "1000000")]
    pub(crate) channels_max: Count,

    /// Most bytes of publications in all histories, without --data. Beyond it the channel that publishes drops its own oldest ones
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub(crate) history_bytes_max: Bytes,

    /// Most bytes of idempotency keys, of all channels. Beyond it the channel that publishes forgets its own
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub(crate) idempotency_bytes_max: Bytes,

    /// Most idempotency keys of one channel. Beyond it the one that expires first is forgotten
    #[arg(long, value_name = "COUNT", default_value = "100000")]
    pub(crate) idempotency_keys_max: Count,
}

/// The section of what keeps maps.
#[derive(Clone, Debug)]
pub(crate) struct InMapBroker;

impl Section for InMapBroker {
    const PATH: &'static str = "map_broker";
}

/// What maps may hold.
#[derive(Args, Clone, Debug)]
pub(crate) struct MapBrokerKeys {
    /// Most entries of one map. One more is refused
    #[arg(long, value_name = "COUNT", default_value = "100000")]
    pub(crate) keys_max: Count,

    /// Most bytes of entries, in all maps. A change that needs more is refused
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub(crate) bytes_max: Bytes,
}
