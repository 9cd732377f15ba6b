//! The hub with the configured channels, and how clients reach it.

use parking_lot::Mutex;
use sockeye::{MemoryAccount, MemoryBudget, MemoryPressure, Route, Settings};
use sockeye_hub::{MemoryMeter, Node, presence::ChannelPresence};

use super::hooks::Hooks;
use crate::{
    config::HubConfig,
    transport::{
        HttpTransportSettings, HttpTransports, WebSocketSettings, uni_websocket_route,
        websocket_route,
    },
};

/// The hub, and how clients reach it.
pub(crate) struct Hub {
    pub(crate) node: Node,
    /// The WebSockets.
    pub(crate) routes: [Route; 2],
    /// What clients reach by SockJS, which the older SDK for JavaScript can use.
    pub(crate) sockjs_route: Route,
    /// The ways without WebSocket.
    pub(crate) transports: HttpTransports,
}

/// Starts the hub. Its WebSockets have `settings`, but for the limits that the configuration of the hub has.
pub(crate) fn start(
    config: HubConfig,
    settings: Settings,
    budget: &MemoryBudget,
    channel_presence: Option<ChannelPresence>,
) -> Hub {
    let mut builder = Node::builder(config.namespaces)
        .settings(config.settings)
        .memory_meter(BudgetMeter::new(budget));
    if let Some(verifier) = config.verifier {
        builder = builder.verifier(verifier);
    }
    if let Some(verifier) = config.subscription_verifier {
        builder = builder.subscription_verifier(verifier);
    }
    if let Some(presence) = channel_presence {
        builder = builder.channel_presence(presence);
    }
    let node = Hooks::new(config.hooks).install(builder).start();
    let websocket = WebSocketSettings {
        settings,
        message_size_limit: config.message_size_limit,
        queue_max_size: config.queue_max_size,
        origins: config.origins.clone(),
    };
    let http = HttpTransportSettings {
        origins: config.origins,
        queue_max_size: config.queue_max_size,
        memory_budget: budget.clone(),
        ..HttpTransportSettings::default()
    };
    let routes = [
        websocket_route(&node, &config.websocket_path, websocket.clone()),
        uni_websocket_route(&node, "/connection/uni_websocket", websocket.clone()),
    ];
    Hub {
        routes,
        sockjs_route: websocket_route(&node, "/connection/sockjs", websocket),
        transports: HttpTransports::new(&node, http),
        node,
    }
}

/// Charges what clients make the hub hold to the memory budget.
struct BudgetMeter(Mutex<MemoryAccount>);

impl BudgetMeter {
    fn new(budget: &MemoryBudget) -> Self {
        Self(Mutex::new(budget.account()))
    }
}

impl MemoryMeter for BudgetMeter {
    fn charge(&self, bytes: usize) {
        self.0.lock().charge(bytes);
    }

    fn release(&self, bytes: usize) {
        self.0.lock().release(bytes);
    }

    fn is_exhausted(&self) -> bool {
        self.0.lock().budget().pressure() == MemoryPressure::Hard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_hub_holds_counts_towards_the_budget() {
        let budget = MemoryBudget::new(10_000);
        let meter = BudgetMeter::new(&budget);
        meter.charge(8_000);
        assert!(!meter.is_exhausted());
        assert_eq!(budget.used_bytes(), 8_000);
        let mut other = budget.account();
        other.set(2_001);
        assert_eq!(budget.used_bytes(), 10_001);
        assert!(meter.is_exhausted());
        meter.release(8_000);
        assert_eq!(budget.used_bytes(), 2_001);
        assert!(!meter.is_exhausted());
    }
}
