//! What the hub counts, under the names that Centrifugo's dashboards know.

use sockeye_hub::{
    broker::LogBroker,
    metrics::{CodeCount, ConnectionMetrics, FrameMetrics, ItemMetrics, NodeMetrics},
};

use super::families::{Families, Labels};

/// Adds what the hub counts.
pub(super) fn add(families: &mut Families<'_>, node: &NodeMetrics) {
    add_node(families, node);
    add_clients(families, node);
    add_commands(families, node);
    add_transports(families, node);
    add_maps(families, node);
}

fn add_maps(families: &mut Families<'_>, node: &NodeMetrics) {
    for (change, name, help) in [
        (
            "publish",
            "map_broker_publish_suppressed_count",
            "Entries of maps that were not set, by the reason.",
        ),
        (
            "remove",
            "map_broker_remove_suppressed_count",
            "Entries of maps that were not removed, by the reason.",
        ),
    ] {
        let counts = node.map_suppressions.iter();
        let counts = counts.filter(|count| count.change == change);
        families.counters(
            name,
            help,
            counts.map(|count| (vec![("reason", count.reason)], count.count as f64)),
        );
    }
    for (name, help, value) in [
        (
            "map_num_maps",
            "Maps with entries in memory.",
            node.num_maps,
        ),
        (
            "map_num_entries",
            "Entries of maps in memory.",
            node.num_map_entries,
        ),
        (
            "map_bytes",
            "Bytes that the entries of maps take.",
            node.map_bytes,
        ),
    ] {
        families.gauge(name, help, value as f64);
    }
}

/// Adds what the log of channels tells.
pub(super) fn add_log(families: &mut Families<'_>, log: &LogBroker) {
    let is_failing = log.has_ended() || log.failure().is_some();
    families.gauge(
        "log_failing",
        "1 while the log of channels can't be written, as on a full disk.",
        f64::from(u8::from(is_failing)),
    );
    families.counter(
        "log_failures_total",
        "Writes of the log of channels that have failed, each of one or more publications.",
        log.failures() as f64,
    );
}

fn add_node(families: &mut Families<'_>, node: &NodeMetrics) {
    families.gauges(
        "node_build",
        "1, with the version as label.",
        [(vec![("version", &*node.version)], 1.0)],
    );
    families.gauge("node_num_nodes", "Nodes: this one.", 1.0);
    families.gauge(
        "node_num_clients",
        "Connected clients.",
        node.num_clients as f64,
    );
    families.gauge(
        "node_num_users",
        "Different users among the connected clients.",
        node.num_users as f64,
    );
    let subscriptions = node.subscriptions.iter();
    families.gauge(
        "node_num_subscriptions",
        "Subscriptions.",
        subscriptions
            .map(|count| count.inflight as f64)
            .sum::<f64>(),
    );
    families.gauge(
        "node_num_channels",
        "Channels with subscribers.",
        node.num_channels as f64,
    );
    families.counters(
        "node_messages_sent_count",
        "What the node gave to its broker, by type.",
        node.to_broker.iter().map(of_item),
    );
    families.counters(
        "node_messages_received_count",
        "What the node got from its broker, by type.",
        node.from_broker.iter().map(of_item),
    );
    families.histograms(
        "node_pub_sub_lag_seconds",
        "Time from a publication's time stamp until the node got it from the broker, in whole milliseconds.",
        [(Labels::new(), &node.lag)],
    );
    families.histograms(
        "node_broadcast_duration_seconds",
        "Time in which a publication was handed to the transports of all its subscribers on the node.",
        [(vec![("type", "publication")], &node.broadcast)],
    );
    families.histograms(
        "node_publish_to_delivery_seconds",
        "Time from a publication's time stamp until the transports of all its subscribers on the node had it.",
        [(Labels::new(), &node.delivery)],
    );
}

fn add_clients(families: &mut Families<'_>, node: &NodeMetrics) {
    families.counters(
        "client_connections_accepted",
        "Clients that have connected, by transport and name.",
        node.connections
            .iter()
            .map(|count| (of_connection(count), count.accepted as f64)),
    );
    families.gauges(
        "client_connections_inflight",
        "Connected clients, by transport and name.",
        node.connections
            .iter()
            .map(|count| (of_connection(count), count.inflight as f64)),
    );
    let subscriptions = || {
        let counts = node.subscriptions.iter();
        counts.map(|count| (vec![("client_name", &*count.client_name)], count))
    };
    families.counters(
        "client_subscriptions_accepted",
        "Subscriptions that have begun, by the client's name.",
        subscriptions().map(|(labels, count)| (labels, count.accepted as f64)),
    );
    families.gauges(
        "client_subscriptions_inflight",
        "Subscriptions, by the client's name.",
        subscriptions().map(|(labels, count)| (labels, count.inflight as f64)),
    );
}

fn add_commands(families: &mut Families<'_>, node: &NodeMetrics) {
    families.histograms(
        "client_command_duration_seconds_histogram",
        "Time from the first look at a client's command to its reply, by command.",
        node.commands
            .iter()
            .map(|command| (vec![("method", command.method)], &command.durations)),
    );
    let codes: Vec<String> = node
        .reply_errors
        .iter()
        .map(|count| code(count.code))
        .collect();
    families.counters(
        "client_num_reply_errors",
        "Commands of clients that failed, by command and code of the error.",
        node.reply_errors.iter().zip(&codes).map(|(count, code)| {
            let labels = vec![("method", count.method), ("code", &**code)];
            (labels, count.count as f64)
        }),
    );
    add_codes(
        families,
        "client_num_server_disconnects",
        "Clients that the server ended, by code. 3008 are slow readers.",
        &node.disconnects,
    );
    add_codes(
        families,
        "client_num_server_unsubscribes",
        "Subscriptions that the server ended, by code.",
        &node.unsubscribes,
    );
    families.counter(
        "client_slow_reader_dropped_total",
        "Publications that slow readers have lost, in channels whose slow_reader isn't disconnect.",
        node.dropped as f64,
    );
    let yes = |is: bool| if is { "yes" } else { "no" };
    families.counters(
        "client_recover",
        "Recoveries, exact or refused, and whether anything had been missed.",
        node.recoveries.iter().map(|count| {
            let labels = vec![
                ("recovered", yes(count.is_recovered)),
                ("has_recovered_publications", yes(count.has_publications)),
            ];
            (labels, count.count as f64)
        }),
    );
    families.histograms(
        "client_ping_pong_duration_seconds",
        "Time from a ping to the client's pong, by transport.",
        node.pings
            .iter()
            .map(|pings| (vec![("transport", pings.transport)], &pings.durations)),
    );
}

fn add_transports(families: &mut Families<'_>, node: &NodeMetrics) {
    let messages = |frames: &FrameMetrics| frames.messages as f64;
    let bytes = |frames: &FrameMetrics| frames.bytes as f64;
    families.counters(
        "transport_messages_sent",
        "Replies and pushes, once for each client, by transport and kind.",
        node.sent
            .iter()
            .map(|frames| (of_frames(frames), messages(frames))),
    );
    families.counters(
        "transport_messages_sent_size",
        "Bytes of these, uncompressed and without the transport's framing.",
        node.sent
            .iter()
            .map(|frames| (of_frames(frames), bytes(frames))),
    );
    families.counters(
        "transport_messages_received",
        "Commands of clients, by transport and kind.",
        node.received
            .iter()
            .map(|frames| (of_frames(frames), messages(frames))),
    );
    families.counters(
        "transport_messages_received_size",
        "Bytes of these, uncompressed and without the transport's framing.",
        node.received
            .iter()
            .map(|frames| (of_frames(frames), bytes(frames))),
    );
}

fn add_codes(families: &mut Families<'_>, name: &str, help: &str, counts: &[CodeCount]) {
    let codes: Vec<String> = counts.iter().map(|count| code(count.code)).collect();
    let values = counts
        .iter()
        .zip(&codes)
        .map(|(count, code)| (vec![("code", &**code)], count.count as f64));
    families.counters(name, help, values);
}

/// Returns a code as a label; those of applications are one.
fn code(code: Option<u32>) -> String {
    code.map_or_else(|| "other".to_owned(), |code| code.to_string())
}

fn of_item(count: &ItemMetrics) -> (Labels<'_>, f64) {
    (vec![("type", count.kind)], count.count as f64)
}

fn of_connection(count: &ConnectionMetrics) -> Labels<'_> {
    vec![
        ("transport", count.transport),
        ("client_name", &count.client_name),
    ]
}

fn of_frames(frames: &FrameMetrics) -> Labels<'_> {
    vec![("transport", frames.transport), ("frame_type", frames.kind)]
}
