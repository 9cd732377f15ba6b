//! The hub of this server: its channels, its clients, and how they are reached.

use sockeye::Route;
use sockeye_hub::{
    Node, NodeSettings,
    namespace::{ChannelConfig, Namespaces},
};

use crate::{
    config::Config,
    transport::{WebSocketSettings, websocket_route},
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

/// Returns the routes by which clients reach the hub.
pub(crate) fn routes(node: &Node, settings: sockeye::Settings) -> [Route; 1] {
    let websocket = WebSocketSettings {
        settings,
        ..WebSocketSettings::default()
    };
    [websocket_route(node, "/connection/websocket", websocket)]
}
