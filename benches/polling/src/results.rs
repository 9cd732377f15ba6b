//! What was measured, as a table and as CSV.

use std::fmt::Write as _;

use crate::cell::Cell;

/// One measurement's result.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) cell: Cell,
    /// WebSocket handshakes are requests too.
    pub(crate) requests: u64,
    /// Client to server: HTTP heads, handshake, frames.
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    /// In both directions, acknowledgements without data included.
    pub(crate) segments: u64,
    /// Of the server, user and system.
    pub(crate) processor_ns: u64,
    /// Nanoseconds from an update to a client, in order.
    pub(crate) delays: Vec<u64>,
}

impl Outcome {
    /// With the delays in order, as the percentiles need them.
    pub(crate) fn sorted(mut self) -> Self {
        self.delays.sort_unstable();
        self
    }

    /// Bytes in both directions, without the headers of TCP and IP.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes_up + self.bytes_down
    }

    /// The same with them.
    pub(crate) fn bytes_with_headers(&self) -> u64 {
        self.bytes() + self.segments * HEADER_BYTES
    }

    /// Milliseconds; 0 if there was no update.
    pub(crate) fn delay_ms(&self, quantile: f64) -> f64 {
        let last = self.delays.len().saturating_sub(1);
        let index = (last as f64 * quantile).round() as usize;
        self.delays.get(index).map_or(0.0, |ns| *ns as f64 / 1e6)
    }

    pub(crate) fn processor_ms(&self) -> f64 {
        self.processor_ns as f64 / 1e6
    }
}

/// Bytes of a segment's headers: IPv4 20, TCP 20, time stamps 12 (RFC 7323), which today's systems send. Ethernet isn't in it.
pub(crate) const HEADER_BYTES: u64 = 52;

/// In Markdown, aligned so that it also reads well in a terminal.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let names = [
        "clients",
        "updates",
        "method",
        "requests",
        "KiB up",
        "KiB down",
        "segments",
        "KiB with TCP/IP",
        "server CPU ms",
        "delay p50 ms",
        "delay p99 ms",
    ];
    let mut rows = vec![names.map(str::to_owned)];
    rows.push(std::array::from_fn(|column| {
        if column == METHOD_COLUMN { "-" } else { "-:" }.to_owned()
    }));
    for outcome in outcomes {
        rows.push([
            outcome.cell.clients.to_string(),
            outcome.cell.updates.to_string(),
            outcome.cell.method.to_string(),
            outcome.requests.to_string(),
            kib(outcome.bytes_up),
            kib(outcome.bytes_down),
            outcome.segments.to_string(),
            kib(outcome.bytes_with_headers()),
            format!("{:.0}", outcome.processor_ms()),
            format!("{:.2}", outcome.delay_ms(0.5)),
            format!("{:.2}", outcome.delay_ms(0.99)),
        ]);
    }
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        for (column, (value, width)) in row.iter().zip(widths).enumerate() {
            let _ = match (column == METHOD_COLUMN, value.starts_with('-')) {
                (true, false) => write!(text, "| {value:<width$} "),
                (true, true) => write!(text, "| {value:-<width$} "),
                (false, true) => write!(text, "| {value:->width$} "),
                (false, false) => write!(text, "| {value:>width$} "),
            };
        }
        text.push_str("|\n");
    }
    text
}

const COLUMNS: usize = 11;
const METHOD_COLUMN: usize = 2;

fn kib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1024.0)
}

/// One line for each measurement, after the names.
pub(crate) fn csv(outcomes: &[Outcome]) -> String {
    let mut text = "method,clients,updates,span_ms,requests,bytes_up,bytes_down,segments,\
                    bytes_with_headers,server_cpu_ms,delay_p50_ms,delay_p99_ms\n"
        .to_owned();
    for outcome in outcomes {
        let cell = &outcome.cell;
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{},{},{},{:.3},{:.3},{:.3}",
            cell.method,
            cell.clients,
            cell.updates,
            cell.span.as_millis(),
            outcome.requests,
            outcome.bytes_up,
            outcome.bytes_down,
            outcome.segments,
            outcome.bytes_with_headers(),
            outcome.processor_ms(),
            outcome.delay_ms(0.5),
            outcome.delay_ms(0.99),
        );
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::visitor::Method;

    pub(crate) fn outcome(method: Method, updates: usize) -> Outcome {
        Outcome {
            cell: Cell {
                method,
                clients: 10,
                updates,
                span: Duration::from_secs(2),
            },
            requests: 20,
            bytes_up: 2048,
            bytes_down: 1024,
            segments: 10,
            processor_ns: 5_000_000,
            delays: (1..=100).map(|ms| ms * 1_000_000).collect(),
        }
    }

    /// What each method has given for each of these numbers of updates.
    pub(crate) fn outcomes(updates: &[usize]) -> Vec<Outcome> {
        let methods = [
            Method::Ajax(Duration::from_secs(1)),
            Method::LongPolling,
            Method::WebSocket,
        ];
        let of = |method| updates.iter().map(move |updates| outcome(method, *updates));
        methods.into_iter().flat_map(of).collect()
    }

    #[test]
    fn a_row_says_what_was_measured() {
        let outcome = outcome(Method::Ajax(Duration::from_secs(1)), 3);
        assert_eq!(outcome.bytes_with_headers(), 3072 + 520);
        let table = table(std::slice::from_ref(&outcome));
        let widths: Vec<_> = table.lines().map(str::len).collect();
        assert!(
            widths.len() == 3 && widths.iter().all(|width| *width == widths[0]),
            "{table}"
        );
        assert!(table.contains("| Ajax polling 1 s |"), "{table}");
        assert!(
            csv(&[outcome])
                .ends_with("Ajax polling 1 s,10,3,2000,20,2048,1024,10,3592,5.000,51.000,99.000\n")
        );
    }

    #[test]
    fn without_updates_there_is_no_delay() {
        let mut outcome = outcome(Method::WebSocket, 0);
        outcome.delays.clear();
        assert!(outcome.delay_ms(0.99).abs() < f64::EPSILON);
    }
}
