//! What a node does by itself: it calls clients in time, and checks positions.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::NodeShared;
use crate::{HistoryQuery, Limit};

/// The broker frees what has expired this often, and a node that is gone ends its task after it.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until the node is gone.
pub(crate) async fn run(node: Weak<NodeShared>) {
    let mut next_sweep = Duration::ZERO;
    let mut next_check = Duration::ZERO;
    loop {
        let Some(node) = node.upgrade() else { return };
        let now = node.elapsed();
        while let Some(client) = node.deadlines.pop(now) {
            if let Some(client) = client.upgrade() {
                client.handle_timeout(now);
            }
        }
        if now >= next_sweep {
            next_sweep = now + SWEEP_INTERVAL;
            node.broker.sweep();
        }
        if now >= next_check {
            if next_check > Duration::ZERO {
                tokio::spawn(check_positions(Arc::clone(&node)));
            }
            next_check = now + node.settings.position_check_interval;
        }
        let next = node
            .deadlines
            .next()
            .map_or(next_sweep, |due| due.min(next_sweep));
        let wait = next.saturating_sub(node.elapsed());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = node.deadlines.moved.notified() => {}
        }
    }
}

/// Compares the position of each channel with the broker's, so that a publication that was lost on its way is noticed
/// although nothing follows it.
async fn check_positions(node: Arc<NodeShared>) {
    for channel in node.channels.positioned() {
        let query = HistoryQuery {
            limit: Limit::PositionOnly,
            ..HistoryQuery::default()
        };
        // Without an answer nothing is known. A broker that is away for a while has lost nothing yet.
        if let Ok(history) = node.broker.history(&channel, query).await {
            node.channels.check(&channel, &history.position).settle();
        }
    }
}
