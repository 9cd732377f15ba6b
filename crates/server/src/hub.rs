//! The hub of this server: its channels, its clients, and how they are reached.

use sockeye::{MemoryBudget, Route};
use sockeye_hub::{
    Node, NodeSettings,
    namespace::{ChannelConfig, Namespaces},
};

use crate::{
    config::Config,
    transport::{
        HttpTransportSettings, HttpTransports, WebSocketSettings, uni_websocket_route,
        websocket_route,
    },
};

/// Starts the hub.
///
/// # Errors
///
/// The configuration of channels contradicts itself.
pub(crate) fn start(_config: &Config) -> Result<Node, String> {
    let namespaces =
        Namespaces::new(ChannelConfig::default()).map_err(|error| error.to_string())?;
    Ok(Node::builder(namespaces)
        .settings(NodeSettings::default())
        .start())
}

/// Returns the routes of WebSockets by which clients reach the hub.
pub(crate) fn routes(node: &Node, settings: sockeye::Settings) -> [Route; 2] {
    let settings = WebSocketSettings {
        settings,
        ..WebSocketSettings::default()
    };
    [
        websocket_route(node, "/connection/websocket", settings.clone()),
        uni_websocket_route(node, "/connection/uni_websocket", settings),
    ]
}

/// Returns the ways by which clients reach the hub without WebSocket.
pub(crate) fn http_transports(node: &Node, budget: &MemoryBudget) -> HttpTransports {
    let settings = HttpTransportSettings {
        memory_budget: budget.clone(),
        ..HttpTransportSettings::default()
    };
    HttpTransports::new(node, settings)
}
