//! The report, as text and as JSON.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{quantity, schedule::Schedule};

/// The result of a measurement. `docs/reference/bench.md` describes its JSON. An incompatible change needs a new [`FORMAT`].
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) format: u32,
    pub(crate) mode: &'static str,
    pub(crate) url: String,
    /// Whether ctrl-C ended it early.
    pub(crate) interrupted: bool,
    pub(crate) asked: Asked,
    pub(crate) connections: Connections,
    /// The time of the counted part.
    pub(crate) measured_s: f64,
    pub(crate) round_trips: Option<Measured>,
    pub(crate) handshakes: Option<Measured>,
    pub(crate) publications: Option<Measured>,
    pub(crate) deliveries: Option<Measured>,
    pub(crate) recoveries: Option<Measured>,
    pub(crate) schedule: Option<Scheduled>,
    pub(crate) messages: Messages,
    pub(crate) processor: Option<Processor>,
    pub(crate) server: Option<ServerUse>,
    #[serde(rename = "troubles")]
    pub(crate) errors: Vec<ErrorCount>,
}

/// The version of the JSON.
pub(crate) const FORMAT: u32 = 1;

/// The options, with defaults.
#[derive(Debug, Serialize)]
pub(crate) struct Asked {
    pub(crate) connections: usize,
    pub(crate) message_bytes: usize,
    pub(crate) kind: &'static str,
    pub(crate) in_flight: u32,
    pub(crate) rate: Option<u32>,
    pub(crate) expect: &'static str,
    pub(crate) message: &'static str,
    pub(crate) duration_s: f64,
    pub(crate) warm_up_s: f64,
    pub(crate) deflate: bool,
    pub(crate) threads: usize,
    /// Of the modes `hub` and `recover`, as the next ones.
    pub(crate) channels: usize,
    pub(crate) subscriptions: usize,
    pub(crate) missed: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Connections {
    pub(crate) opened: u64,
    /// Connections that could not be opened.
    pub(crate) refused: u64,
    /// Connections that ended unexpectedly.
    pub(crate) lost: u64,
    /// Connections that stayed open to the end.
    pub(crate) stayed: u64,
    pub(crate) opening_s: f64,
    pub(crate) opening_time_us: Times,
}

/// Something that was counted and timed.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) count: u64,
    pub(crate) per_second: f64,
    pub(crate) time_us: Times,
}

/// The result of a fixed rate.
#[derive(Debug, Serialize)]
pub(crate) struct Scheduled {
    pub(crate) rate: u32,
    /// Messages that were due during the measurement.
    pub(crate) due: u64,
    /// Messages that a connection accepted.
    pub(crate) sent: u64,
    pub(crate) per_second: f64,
    /// Times from when a message was due to when it was sent.
    pub(crate) late_us: Times,
    /// Whether the generator was late, so that the results partly measure itself.
    pub(crate) is_late: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Messages {
    pub(crate) wrong: u64,
    pub(crate) lost: u64,
}

/// The load generator's own use of the machine during the measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Processor {
    pub(crate) seconds: f64,
    /// Share of the processors that its threads can use: 1 is all of them.
    pub(crate) share: f64,
    pub(crate) is_bottleneck: bool,
}

/// The server's use of the machine, if it is on the same one.
#[derive(Debug, Serialize)]
pub(crate) struct ServerUse {
    /// Processor time during the measurement.
    pub(crate) seconds: f64,
    /// Process memory at the end of the measurement.
    pub(crate) memory_bytes: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct ErrorCount {
    pub(crate) what: String,
    pub(crate) count: u64,
}

/// Microseconds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Times {
    min: f64,
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

impl Report {
    /// Returns whether all messages arrived and all connections stayed open.
    pub(crate) fn is_flawless(&self) -> bool {
        self.connections.refused == 0
            && self.connections.lost == 0
            && self.messages.wrong == 0
            && self.messages.lost == 0
    }
}

impl Measured {
    /// Converts a histogram of nanoseconds.
    pub(crate) fn new(times: &Histogram<u64>, measured: Duration) -> Self {
        let seconds = measured.as_secs_f64();
        Self {
            count: times.len(),
            per_second: if seconds > 0.0 {
                times.len() as f64 / seconds
            } else {
                0.0
            },
            time_us: Times::new(times),
        }
    }
}

impl Scheduled {
    pub(crate) fn new(schedule: &Schedule, due: u64, measured: Duration) -> Self {
        let (sent, lateness) = (schedule.sent(), schedule.lateness());
        let (handed_over, late_us) = (lateness.len(), Times::new(&lateness));
        Self {
            rate: schedule.rate(),
            due,
            sent,
            per_second: sent as f64 / measured.as_secs_f64().max(1e-9),
            is_late: late_us.p99 > LATE_US || (handed_over as f64) < due as f64 * KEPT_SHARE,
            late_us,
        }
    }

    /// Returns one line that tells how late the generator was.
    pub(crate) fn warning(&self) -> String {
        format!(
            "this process was late itself: 1 % of the messages went out more than {} after their time, {} of {} \
             were sent. Try a lower --rate, or another machine for the load",
            quantity::time(self.late_us.p99),
            quantity::count(self.sent),
            quantity::count(self.due)
        )
    }
}

/// Microseconds. An idle machine stays far below.
const LATE_US: f64 = 1000.0;

/// Share of the due messages that must be sent. The end of the measurement may cut off the last ones.
const KEPT_SHARE: f64 = 0.99;

impl Times {
    /// Converts a histogram of nanoseconds. All zero if it is empty.
    pub(crate) fn new(times: &Histogram<u64>) -> Self {
        if times.is_empty() {
            return Self::default();
        }
        let us = |ns: u64| ns as f64 / 1e3;
        Self {
            min: us(times.min()),
            mean: times.mean() / 1e3,
            p50: us(times.value_at_quantile(0.5)),
            p90: us(times.value_at_quantile(0.9)),
            p99: us(times.value_at_quantile(0.99)),
            p99_9: us(times.value_at_quantile(0.999)),
            max: us(times.max()),
        }
    }
}

impl Processor {
    /// `threads` is the number of its threads that could run at once.
    pub(crate) fn new(used: Duration, measured: Duration, threads: usize) -> Self {
        let available = measured.as_secs_f64() * threads as f64;
        let share = if available > 0.0 {
            used.as_secs_f64() / available
        } else {
            0.0
        };
        Self {
            seconds: used.as_secs_f64(),
            share,
            is_bottleneck: share > BUSY_SHARE,
        }
    }
}

/// Above this share the load generator limits the results: it has no time for a faster server.
const BUSY_SHARE: f64 = 0.9;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.mode, self.url)?;
        writeln!(f, "  {}", self.conditions())?;
        writeln!(f)?;
        self.fmt_measured(f)?;
        self.fmt_connections(f)?;
        let Messages { wrong, lost } = self.messages;
        let has_messages = self.round_trips.is_some()
            || self.deliveries.is_some()
            || self.recoveries.is_some()
            || self.schedule.is_some();
        if has_messages {
            writeln!(
                f,
                "  {:<14}{} wrong, {} lost",
                "messages",
                quantity::count(wrong),
                quantity::count(lost)
            )?;
        }
        self.fmt_processes(f)?;
        if !self.errors.is_empty() {
            writeln!(f)?;
        }
        for ErrorCount { what, count } in &self.errors {
            writeln!(f, "  {:>8} x  {what}", quantity::count(*count))?;
        }
        Ok(())
    }
}

impl Report {
    fn channels(&self) -> String {
        let count = |count: usize| quantity::count(count as u64);
        let Asked {
            channels,
            subscriptions,
            ..
        } = &self.asked;
        match (channels, subscriptions) {
            (1, _) => "1 channel".to_owned(),
            _ => format!(
                "{} of {} channels each",
                count(*subscriptions),
                count(*channels)
            ),
        }
    }

    fn conditions(&self) -> String {
        let Asked {
            connections,
            message_bytes,
            kind,
            in_flight,
            rate,
            warm_up_s,
            deflate,
            ..
        } = &self.asked;
        let bytes = quantity::bytes(*message_bytes as f64);
        let connections = quantity::count(*connections as u64);
        let deflate = if *deflate { ", deflate" } else { "" };
        let messages = format!("{bytes} {kind}{deflate}");
        let pace = match (rate, self.mode) {
            (Some(rate), _) => format!("{}/s in all", quantity::count(u64::from(*rate))),
            (None, "echo") => format!("{in_flight} in flight each"),
            (None, _) => format!("{in_flight} in flight"),
        };
        let what = match self.mode {
            "echo" => format!("{connections} connections, {messages}, {pace}"),
            "fan-out" => format!("{connections} receivers, {messages}, {pace}"),
            "hub" => format!(
                "{connections} subscribers, {}, {messages}, {pace}",
                self.channels()
            ),
            "recover" => {
                let missed = quantity::count(self.asked.missed.into());
                format!(
                    "{connections} clients, {}, {missed} missed of each, {messages}",
                    self.channels()
                )
            }
            "connect" => format!("{connections} at once"),
            _ => format!("{connections} connections"),
        };
        let after = if *warm_up_s > 0.0 {
            format!(" after {warm_up_s} s of warm-up")
        } else {
            String::new()
        };
        let ended = if self.interrupted {
            ", interrupted"
        } else {
            ""
        };
        format!("{what}; {:.1} s{after}{ended}", self.measured_s)
    }

    fn fmt_measured(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.asked.message_bytes as f64;
        if let Some(trips) = &self.round_trips {
            let volume = format!(", {}/s each way", quantity::bytes(trips.per_second * bytes));
            write_measured(f, ["round trips", "round trip"], trips, &volume)?;
        }
        if let Some(schedule) = &self.schedule {
            let volume = match self.round_trips.is_none() && self.deliveries.is_none() {
                true => format!(", {}/s", quantity::bytes(schedule.per_second * bytes)),
                false => String::new(),
            };
            writeln!(
                f,
                "  {:<14}{} of {} due ({}/s{volume})",
                "sent",
                quantity::count(schedule.sent),
                quantity::count(schedule.due),
                quantity::count(schedule.per_second as u64)
            )?;
            writeln!(f, "  {:<14}{}", "sent late", schedule.late_us)?;
        }
        if let Some(handshakes) = &self.handshakes {
            write_measured(f, ["handshakes", "handshake"], handshakes, "")?;
        }
        if let Some(publications) = &self.publications {
            write_measured(f, ["publications", "to the last"], publications, "")?;
        }
        if let Some(deliveries) = &self.deliveries {
            let volume = format!(", {}/s", quantity::bytes(deliveries.per_second * bytes));
            write_measured(f, ["deliveries", "to each"], deliveries, &volume)?;
        }
        if let Some(recoveries) = &self.recoveries {
            write_measured(f, ["recoveries", "recovery"], recoveries, "")?;
        }
        Ok(())
    }

    fn fmt_processes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(processor) = &self.processor {
            let percent = processor.share * 100.0;
            let threads = self.asked.threads;
            let plural = if threads == 1 { "" } else { "s" };
            writeln!(
                f,
                "  {:<14}{percent:.0} % of {threads} thread{plural}",
                "this process"
            )?;
        }
        if let Some(server) = &self.server {
            let done = [&self.deliveries, &self.recoveries, &self.round_trips];
            let done = done.into_iter().flatten().map(|it| it.count).next();
            let each = match done {
                Some(count) if count > 0 => {
                    format!(
                        ", {} each",
                        quantity::time(server.seconds * 1e6 / count as f64)
                    )
                }
                _ => String::new(),
            };
            writeln!(
                f,
                "  {:<14}{} of processor time{each}, {}",
                "the server",
                quantity::time(server.seconds * 1e6),
                quantity::bytes(server.memory_bytes as f64)
            )?;
        }
        Ok(())
    }

    fn fmt_connections(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Connections {
            opened,
            refused,
            lost,
            stayed,
            opening_s,
            opening_time_us,
        } = &self.connections;
        // Handshakes have their own line.
        if self.handshakes.is_none() {
            writeln!(
                f,
                "  {:<14}{} in {} ({}/s)",
                "opened",
                quantity::count(*opened),
                quantity::time(opening_s * 1e6),
                quantity::count((*opened as f64 / opening_s.max(1e-6)) as u64)
            )?;
            writeln!(f, "  {:<14}{opening_time_us}", "opening one")?;
            write!(
                f,
                "  {:<14}{} stayed, ",
                "connections",
                quantity::count(*stayed)
            )?;
        } else {
            write!(f, "  {:<14}", "connections")?;
        }
        writeln!(
            f,
            "{} refused, {} lost",
            quantity::count(*refused),
            quantity::count(*lost)
        )
    }
}

fn write_measured(
    f: &mut fmt::Formatter<'_>,
    [counted, timed]: [&str; 2],
    measured: &Measured,
    volume: &str,
) -> fmt::Result {
    writeln!(
        f,
        "  {counted:<14}{} ({}/s{volume})",
        quantity::count(measured.count),
        quantity::count(measured.per_second as u64)
    )?;
    writeln!(f, "  {timed:<14}{}", measured.time_us)
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = [
            ("p50", self.p50),
            ("p90", self.p90),
            ("p99", self.p99),
            ("p99.9", self.p99_9),
            ("max", self.max),
        ];
        for (index, (name, us)) in columns.into_iter().enumerate() {
            let gap = if index == 0 { "" } else { "   " };
            write!(f, "{gap}{name} {}", quantity::time(us))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_microseconds_and_zero_without_any() {
        let mut times = Histogram::new(3).unwrap();
        assert!(Times::new(&times).max == 0.0);
        times.record(1_500).unwrap();
        let measured = Measured::new(&times, Duration::from_secs(2));
        assert!((measured.time_us.p50 - 1.5).abs() < 0.01);
        assert!((measured.per_second - 0.5).abs() < 1e-9);
        assert!(
            measured
                .time_us
                .to_string()
                .starts_with("p50 1.50 µs   p90 1.50 µs"),
            "{}",
            measured.time_us
        );
    }

    #[test]
    fn a_process_that_uses_all_of_its_threads_is_the_bottleneck() {
        let second = Duration::from_secs(1);
        assert!(Processor::new(second * 19 / 10, second, 2).is_bottleneck);
        assert!(!Processor::new(second, second, 2).is_bottleneck);
        assert!(!Processor::new(second, Duration::ZERO, 2).is_bottleneck);
    }
}
