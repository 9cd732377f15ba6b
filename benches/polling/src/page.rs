//! The page for people: what was measured, how, where, and what it says.

use std::{fmt::Write as _, time::Duration};

use crate::{
    machine,
    results::{HEADER_BYTES, Outcome},
    update::Update,
    visitor::{Method, request_bytes},
};

/// In Markdown. `table` has all measurements, `outcomes` those that the picture shows.
pub(crate) fn page(span: Duration, table: &str, outcomes: &[Outcome]) -> String {
    let span = span.as_secs_f64();
    format!(
        "\
# Polling or WebSocket?

A page can get updates in three ways. With **Ajax polling** it sends a request at every interval; most responses are empty, and an update waits
for the next request. With **long polling** the server holds the request until there is an update; it arrives at once, but each update costs a
request. With **WebSocket** the server sends each update.

This page shows what each method costs for the same updates, from one server, to the same number of clients.

![Four panels of bars: bytes, requests, processor time and delay, for each method and number of updates](images/polling.svg)

{table}
{findings}Ajax polling is cheap when the interval is long, but then updates are late, on average by half the interval. Several updates within one interval
are in one response, so it may need fewer segments than WebSocket, which sends each at once. With a short interval updates are early, but most
requests return nothing. Long polling is as fast as WebSocket, and costs a whole request for each update.

## Method

```sh
make polling     # about a minute; writes this page, its picture and its figures
```

Measured on {date}: {machine}. The figures are in [polling.csv](polling.csv).
For other numbers of clients and updates: `cargo run --release --manifest-path benches/polling/Cargo.toml -- --help`.

- The updates are spread over {span} s; an update is JSON of {update_bytes} bytes. Ajax polling sends requests at the interval beside
  its name; the clients start at different times. A measurement ends when every client has every update, and not before the {span} s are over.
- One server process serves all three: HTTP with hyper and axum, WebSocket with Sockeye. Each measurement starts a new process. The clients are in
  another process on the same machine.
- The clients keep their connections open (HTTP/1.1 keep-alive) and send the header fields that Chrome sends with a script's `fetch`:
  {request_bytes} bytes for a request, with a short cookie. Real pages often send longer cookies. The WebSocket handshake is counted: its
  bytes, its request and its processor time.
- Bytes are counted at the clients' sockets, with HTTP heads and frames. TLS isn't
  used. **With TCP/IP** adds {header_bytes} bytes for each segment (IPv4 20, TCP 20, time stamps 12), with acknowledgements without data, as
  the kernel counts them for each connection. Ethernet would add 18 more, which are not counted.
- The server's processor time is user and system time together, with the opening of connections.
- The delay runs from the moment the server publishes an update to the moment a client has read it. Loopback has
  no latency. On a real network each method adds half a round trip, and long polling up to one and a half more when an update is published while the
  next request is in flight.
",
        findings = findings(outcomes),
        date = machine::today(),
        machine = machine::description(),
        update_bytes = Update::publish(10).len(),
        request_bytes = request_bytes(),
        header_bytes = HEADER_BYTES,
    )
}

/// The sentences that the figures make, for the fewest and the most updates.
fn findings(outcomes: &[Outcome]) -> String {
    let counts = || outcomes.iter().map(|outcome| outcome.cell.updates);
    let mut text = String::new();
    let (Some(few), Some(many)) = (counts().min(), counts().max()) else {
        return text;
    };
    let ends = if few == many {
        vec![few]
    } else {
        vec![few, many]
    };
    for updates in ends {
        let same = || {
            outcomes
                .iter()
                .filter(|outcome| outcome.cell.updates == updates)
        };
        let Some(websocket) = same().find(|outcome| outcome.cell.method == Method::WebSocket)
        else {
            continue;
        };
        let _ = writeln!(
            text,
            "{updates} updates to {} clients, compared with WebSocket, which delivers half of them within {:.1} ms:\n",
            websocket.cell.clients,
            websocket.delay_ms(0.5)
        );
        for other in same().filter(|outcome| outcome.cell.method != Method::WebSocket) {
            let ratio =
                |value: fn(&Outcome) -> f64| value(other) / value(websocket).max(f64::MIN_POSITIVE);
            let _ = writeln!(
                text,
                "- {}: {:.1} times the bytes, {:.1} times the server's processor time; half are delivered within {:.1} ms",
                other.cell.method,
                ratio(|outcome| outcome.bytes_with_headers() as f64),
                ratio(Outcome::processor_ms),
                other.delay_ms(0.5)
            );
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::outcomes;

    #[test]
    fn the_page_speaks_of_the_fewest_and_the_most_updates() {
        let outcomes = outcomes(&[3, 12, 60]);
        let findings = findings(&outcomes);
        assert_eq!(
            findings.matches("compared with WebSocket").count(),
            2,
            "{findings}"
        );
        assert_eq!(
            findings.matches("1.0 times the bytes").count(),
            4,
            "{findings}"
        );
    }
}
