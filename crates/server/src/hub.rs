//! The hub of this server: its channels, its clients, and how they are reached.

use sockeye::{MemoryBudget, Route, Settings};
use sockeye_hub::Node;

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
    /// The ways without WebSocket.
    pub(crate) transports: HttpTransports,
}

/// Starts the hub. Its WebSockets have `settings`, but for the limits that the configuration of the hub has.
pub(crate) fn start(config: HubConfig, settings: Settings, budget: &MemoryBudget) -> Hub {
    let mut builder = Node::builder(config.namespaces).settings(config.settings);
    if let Some(verifier) = config.verifier {
        builder = builder.verifier(verifier);
    }
    if let Some(verifier) = config.subscription_verifier {
        builder = builder.subscription_verifier(verifier);
    }
    let node = builder.start();
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
        uni_websocket_route(&node, "/connection/uni_websocket", websocket),
    ];
    Hub {
        routes,
        transports: HttpTransports::new(&node, http),
        node,
    }
}
