//! What the WebSocket server counts, and the memory budget.

use sockeye::{MemoryBudget, ServerHandle};

use super::families::Families;
use crate::transport::CloseCodes;

/// Adds what the server counts.
pub(super) fn add(families: &mut Families<'_>, server: &ServerHandle) {
    families.gauge(
        "connections",
        "Open connections of any kind; each WebSocket on an HTTP/2 connection counts, but for the first.",
        server.connections() as f64,
    );
    families.gauge(
        "websocket_connections",
        "Open WebSockets, of all endpoints.",
        server.sessions() as f64,
    );
    let endings = server.endings();
    let causes = [
        ("clean", endings.clean),
        ("unclean", endings.unclean),
        ("silent", endings.silent),
        ("stalled", endings.stalled),
        ("idle", endings.idle),
        ("expired", endings.expired),
        ("unfinished", endings.unfinished),
        ("shed", endings.shed),
    ];
    families.counters(
        "websocket_endings_total",
        "WebSockets that have ended, by cause.",
        causes.map(|(cause, count)| (vec![("cause", cause)], count as f64)),
    );
}

pub(super) fn add_close_codes(families: &mut Families<'_>, codes: &CloseCodes) {
    let counts = codes.counts();
    families.counters(
        "transport_outgoing_close_count",
        "Close frames that the server sent to clients of the hub, by code.",
        counts.iter().map(|(code, count)| {
            let labels = vec![("transport", "websocket"), ("code", &**code)];
            (labels, *count as f64)
        }),
    );
}

pub(super) fn add_budget(families: &mut Families<'_>, budget: &MemoryBudget) {
    families.gauge(
        "memory_budget_used_bytes",
        "Bytes that clients make the server hold.",
        budget.used_bytes() as f64,
    );
    families.gauge(
        "memory_budget_soft_limit_bytes",
        "Beyond it the server stops reading from the clients that hold most.",
        budget.soft_bytes_max() as f64,
    );
    families.gauge(
        "memory_budget_limit_bytes",
        "Beyond it the server closes the clients that hold most.",
        budget.bytes_max() as f64,
    );
}
