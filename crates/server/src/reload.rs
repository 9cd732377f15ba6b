//! Reloads a running server's certificate and log filter at SIGHUP.

use std::{ffi::OsString, sync::Arc};

use sockeye::ServerTls;

use crate::{
    certificate,
    cli::{self, Order},
    config::Loaded,
    log::Log,
    notify::Notifier,
    signal::HangUps,
};

/// Rereads the configuration at each SIGHUP and applies the values that can change while the server runs. An error is logged,
/// and the old values stay.
pub(crate) struct Reloader {
    args: Vec<OsString>,
    started_with: Loaded,
    tls: Option<ServerTls>,
    log: Log,
    notifier: Arc<Notifier>,
    /// What the service manager shows of a server that has reloaded.
    status: String,
}

impl Reloader {
    /// Creates a reloader. `started_with` was read from the command line `args`, and `tls` from `started_with`.
    pub(crate) fn new(
        args: Vec<OsString>,
        started_with: Loaded,
        tls: Option<ServerTls>,
        log: Log,
        notifier: Arc<Notifier>,
        status: String,
    ) -> Self {
        Self {
            args,
            started_with,
            tls,
            log,
            notifier,
            status,
        }
    }

    /// Reloads at each signal, forever.
    pub(crate) async fn run(self, mut hang_ups: HangUps) {
        loop {
            hang_ups.recv().await;
            self.notifier.reloading();
            self.reload();
            // After an error too: the server goes on with the old values.
            self.notifier.ready(&self.status);
        }
    }

    fn reload(&self) {
        let renewed = match cli::parse(self.args.iter().cloned()) {
            Ok(Order::Serve(renewed)) => renewed,
            // The arguments are those of the start, so they give the same command.
            Ok(_) => return,
            Err(error) => {
                let error = error.to_string();
                return tracing::error!(error, "SIGHUP: the configuration can't be read");
            }
        };
        // The filter first, so that it applies to the following log lines.
        self.log.refilter(&renewed.config.log_filter);
        let log_filter = renewed.config.log_filter.0.as_str();
        tracing::info!(log_filter, "SIGHUP: logging as the configuration says");
        self.renew_certificate(&renewed);
        let waiting = self.changed(&renewed);
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            tracing::warn!(keys, "SIGHUP: these settings hold from the next start on");
        }
    }

    fn renew_certificate(&self, renewed: &Loaded) {
        let Some(tls) = &self.tls else {
            return;
        };
        let replaced = match certificate::read(&renewed.config) {
            Ok(Some(renewed)) => tls
                .replace_certificate(&renewed)
                .map_err(|error| error.report().to_string()),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        match replaced {
            Ok(()) => tracing::info!("SIGHUP: new connections get the certificate read now"),
            Err(error) => tracing::error!(error, "SIGHUP: the old certificate stays"),
        }
    }

    /// Returns the keys that have changed since the start but can't change while the server runs.
    fn changed(&self, renewed: &Loaded) -> Vec<String> {
        let has_tls = |loaded: &Loaded| loaded.config.tls_cert.is_some();
        let is_reloaded = |key: &str| match key {
            "log_filter" => true,
            "tls_cert" | "tls_key" => has_tls(renewed) && has_tls(&self.started_with),
            _ => false,
        };
        let values = renewed.values.iter();
        values
            .filter(|(key, values)| self.started_with.values.get(*key) != Some(values))
            .map(|(key, _)| key.clone())
            .filter(|key| !is_reloaded(key))
            .collect()
    }
}
