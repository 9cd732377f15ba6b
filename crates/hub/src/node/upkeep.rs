//! What a node does by itself: it calls clients in time, and checks positions.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::task::JoinHandle;

use super::NodeShared;
use crate::{HistoryQuery, Limit};

/// The broker frees what has expired this often, and a node that is gone ends its task after it.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Positions that the broker is asked for at the same time.
const POSITION_CHECKS_AT_ONCE: usize = 16;

/// Runs until the node is gone.
pub(crate) async fn run(node: Weak<NodeShared>) {
    let mut next_sweep = Duration::ZERO;
    let mut next_check = Duration::ZERO;
    let mut checking: Option<JoinHandle<()>> = None;
    let mut sweeping: Option<JoinHandle<()>> = None;
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
            node.sweep_catch_ups(now);
            let is_sweeping = sweeping.as_ref().is_some_and(|task| !task.is_finished());
            let due = if is_sweeping {
                Vec::new()
            } else {
                node.maps.take_due()
            };
            if !due.is_empty() {
                sweeping = Some(tokio::spawn(sweep_maps(Arc::clone(&node), due)));
            }
        }
        if now >= next_check {
            // A slow broker has one round of questions to answer, not one more every interval.
            let is_checking = checking.as_ref().is_some_and(|task| !task.is_finished());
            if next_check > Duration::ZERO && !is_checking {
                checking = Some(tokio::spawn(check_positions(Arc::clone(&node))));
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

/// Removes the entries of maps whose time is over.
async fn sweep_maps(node: Arc<NodeShared>, due: Vec<Arc<str>>) {
    for name in due {
        let Ok(resolved) = node.namespaces.resolve_trusted(&name) else {
            continue;
        };
        let swept = node.maps.len(&*node.broker, &name, resolved.options).await;
        if let Err(error) = swept {
            tracing::warn!(map = &*name, %error, "what has expired in a map is not removed");
        }
        tokio::task::consume_budget().await;
    }
}

/// Compares the position of each channel with the broker's, so that a publication that was lost on its way is noticed
/// although nothing follows it.
async fn check_positions(node: Arc<NodeShared>) {
    let channels = stream::iter(node.channels.positioned());
    let check = |channel| check_position(&node, channel);
    channels
        .for_each_concurrent(POSITION_CHECKS_AT_ONCE, check)
        .await;
}

async fn check_position(node: &NodeShared, channel: Arc<str>) {
    let query = HistoryQuery {
        limit: Limit::PositionOnly,
        ..HistoryQuery::default()
    };
    let patience = node.settings.position_check_interval;
    let answer = match node.broker.history(&channel, query).try_now() {
        Ok(answer) => answer,
        Err(later) => match tokio::time::timeout(patience, later).await {
            Ok(answer) => answer,
            Err(_) => return,
        },
    };
    // Without an answer nothing is known. A broker that is away for a while has lost nothing yet.
    if let Ok(history) = answer {
        node.channels.check(&channel, &history.position).settle();
    }
    // A broker in memory would keep the thread for as long as there are channels.
    tokio::task::consume_budget().await;
}
