//! How long orders of back ends take, and how they fail.

use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, Opts, core::Collector as _, proto::MetricFamily,
};

/// What the server API counts. Clones share the counts.
#[derive(Clone)]
pub(crate) struct ApiMetrics {
    durations: HistogramVec,
    errors: IntCounterVec,
}

impl ApiMetrics {
    /// Begins to count, for families whose names have `prefix`.
    ///
    /// # Panics
    ///
    /// `prefix` can't begin the name of a metric.
    pub(crate) fn new(prefix: &str) -> Self {
        let durations = HistogramOpts::new(
            "command_duration_seconds_histogram",
            "Time to carry out an order of the server API, by order.",
        );
        let durations = durations.namespace(prefix).subsystem("api");
        let errors = Opts::new(
            "command_errors_total",
            "Orders of the server API that failed, by order and code of the error.",
        );
        let errors = errors.namespace(prefix).subsystem("api");
        let expect = "the prefix is that of a metric's name";
        Self {
            durations: HistogramVec::new(durations, &["protocol", "method"]).expect(expect),
            errors: IntCounterVec::new(errors, &["protocol", "method", "error"]).expect(expect),
        }
    }

    /// Counts an order. `method` is one of the known orders.
    pub(crate) fn executed(&self, method: &str, took: Duration) {
        let histogram = self.durations.with_label_values(&["http", method]);
        histogram.observe(took.as_secs_f64());
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, method: &str, code: u32) {
        let code = code.to_string();
        self.errors
            .with_label_values(&["http", method, &code])
            .inc();
    }

    /// Returns the families, with their whole names.
    pub(crate) fn families(&self) -> Vec<MetricFamily> {
        let mut families = self.durations.collect();
        families.extend(self.errors.collect());
        families
    }
}
