//! Log lines on stderr; stdout belongs to what the commands print.

use tracing_subscriber::EnvFilter;

use crate::{
    config::{Filter, LogFormat},
    tty,
};

/// Sends `tracing`'s events to stderr from now on.
pub(crate) fn start(filter: &Filter, format: LogFormat) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&filter.0))
        .with_writer(std::io::stderr)
        .with_ansi(tty::has_colors(&std::io::stderr()));
    // A second start is possible only in tests, and then the first one stands.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}
