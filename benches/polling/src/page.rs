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

Before WebSocket a page that wanted news had two ways. With **Ajax polling** it asks every so often; most answers are empty,
and news waits for the next question. With **long polling** it asks and the server keeps the question until there is
something to say; news comes at once, but each costs a request again. With **WebSocket** the server just sends.

This page shows what each way costs for the same updates, from one server, to the same number of clients.

![Four panels of bars: bytes, requests, processor time and delay, for each method and number of updates](images/polling.svg)

{table}
{findings}Ajax polling is cheap when the interval is long, and then its news is old: on average by half the interval. When several
updates fall into one interval they come in one answer, so it may need fewer segments than WebSocket, which
sends each at once; with an interval so short that its news is fresh, it asks for nothing most of the time. Long polling is as
fresh as WebSocket and pays a whole request for each update.

## How it is measured

```sh
make polling     # about a minute; writes this page, its picture and its figures
```

Measured on {date}: {machine}. The figures as CSV: [polling.csv](polling.csv).
Other numbers of clients and updates: `cargo run --release --manifest-path benches/polling/Cargo.toml -- --help`.

- The updates are spread over {span} s; an update is JSON of {update_bytes} bytes. Ajax polling asks at the interval beside its
  name, each client at its own moment. A measurement ends when every client has every update, and not before the {span} s are over.
- One server process answers all three: HTTP by hyper and axum, WebSocket by Sockeye. Each measurement begins with a fresh
  one. The clients are in another process on the same machine.
- The clients keep their connections open (HTTP/1.1 keep-alive) and send the header fields that Chrome sends with a script's `fetch`:
  {request_bytes} bytes for a request, with a short cookie. Real pages often send longer cookies. WebSocket's handshake is counted: its
  bytes, its request and its processor time.
- Bytes are counted where the clients' sockets are read and written, HTTP heads and frames included. TLS isn't
  used. **With TCP/IP** adds {header_bytes} bytes for each segment (IPv4 20, TCP 20, time stamps 12), acknowledgements without data included, as
  the kernel counts them for each connection. Ethernet would add 18 more and isn't in it.
- The server's processor time is user and system together, opening the connections included.
- The delay runs from the moment the server publishes an update to the moment a client has read it. On loopback the network takes
  no time: over a real one, each method adds half a round trip, and long polling up to one and a half more
  when an update comes while its next request is still on its way.
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
            "{updates} updates to {} clients, against WebSocket, by which half of them have come after {:.1} ms:\n",
            websocket.cell.clients,
            websocket.delay_ms(0.5)
        );
        for other in same().filter(|outcome| outcome.cell.method != Method::WebSocket) {
            let ratio =
                |value: fn(&Outcome) -> f64| value(other) / value(websocket).max(f64::MIN_POSITIVE);
            let _ = writeln!(
                text,
                "- {}: {:.1} times the bytes, {:.1} times the server's processor time; half have come after {:.1} ms",
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
            findings.matches("against WebSocket").count(),
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
