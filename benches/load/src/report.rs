//! What is printed: one line of JSON.

use std::time::Duration;

use serde::Serialize;

use crate::usage::Usage;

/// The figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// What was done.
    pub(crate) scenario: &'static str,
    pub(crate) connections: usize,
    pub(crate) bytes: usize,
    pub(crate) in_flight: usize,
    /// Of the window that was measured.
    pub(crate) seconds: f64,
    /// Messages, deliveries or handshakes within the window.
    pub(crate) count: f64,
    pub(crate) per_second: f64,
    /// Processor time of the servers for each of them, nanoseconds.
    pub(crate) server_ns: f64,
    /// Processor time of the load generator for each of them, nanoseconds.
    pub(crate) load_ns: f64,
    /// Processors busy with the servers: 1.0 is one whole.
    pub(crate) server_busy: f64,
    /// The same for the load generator: near 1.0 it was the bottleneck itself.
    pub(crate) load_busy: f64,
    /// Processors busy with something else: near 0 if nobody disturbed.
    pub(crate) others_busy: f64,
    /// Bytes of an answer as it came, where it is compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wire_bytes: Option<f64>,
    /// Microseconds, where a time is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Latency>,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// `None` without a measurement.
    pub(crate) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let at = |share: f64| {
            let index = ((times.len() as f64 * share).ceil() as usize).max(1) - 1;
            times.get(index.min(times.len().checked_sub(1)?)).copied()
        };
        let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
        Some(Self {
            p50: microseconds(at(0.50)?),
            p99: microseconds(at(0.99)?),
            max: microseconds(at(1.0)?),
        })
    }
}

/// The shape of a run: what goes into the report unmeasured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) scenario: &'static str,
    pub(crate) connections: usize,
    pub(crate) bytes: usize,
    pub(crate) in_flight: usize,
}

impl Report {
    pub(crate) fn new(shape: Shape, window: Duration, count: f64, usage: Usage) -> Self {
        let seconds = window.as_secs_f64();
        let each = |used: f64| if count > 0.0 { used * 1e9 / count } else { 0.0 };
        Self {
            scenario: shape.scenario,
            connections: shape.connections,
            bytes: shape.bytes,
            in_flight: shape.in_flight,
            seconds,
            count,
            per_second: count / seconds,
            server_ns: each(usage.server),
            load_ns: each(usage.load),
            server_busy: usage.server / seconds,
            load_busy: usage.load / seconds,
            others_busy: usage.others() / seconds,
            wire_bytes: None,
            latency: None,
        }
    }

    pub(crate) fn print(&self) {
        println!(
            "{}",
            serde_json::to_string(self).expect("numbers and words")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let times = (1..=100).map(Duration::from_micros).collect();
        let latency = Latency::of(times).expect("there are some");
        assert_eq!((latency.p50, latency.p99, latency.max), (50.0, 99.0, 100.0));
        assert!(Latency::of(Vec::new()).is_none());
    }
}
