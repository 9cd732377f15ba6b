//! The keys of the hub's log, in the section of the program's own log lines.

use clap::Args;
use sockeye_hub::broker::LogSync;

use crate::config::{LogSize, Period, Section, choice};

/// The section of logs.
#[derive(Clone, Debug)]
pub(crate) struct InLog;

impl Section for InLog {
    const PATH: &'static str = "log";
}

/// How the log of channels in the data directory is kept.
#[derive(Args, Clone, Debug)]
pub(crate) struct HubLogKeys {
    /// When publications of channels with history are on the disk of --data: `none` when the system likes, `interval` at
    /// log.sync_interval, `each` before they are delivered and accepted. The death of the process loses nothing in any
    /// mode; a power cut loses what was not on the disk
    #[arg(long, value_name = "none|interval|each", default_value = "interval", value_parser = choice::log_sync)]
    pub(crate) sync: LogSync,

    /// Time between two syncs with log.sync interval: as much as a power cut may take
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub(crate) sync_interval: Period,

    /// Most bytes of the log of channels in --data. Beyond it the publications that were written first go first,
    /// whatever the retention of their channels is
    #[arg(long, value_name = "SIZE", default_value = "10GiB")]
    pub(crate) bytes_max: LogSize,
}
