//! The node, as transports see it.

use std::{fmt, sync::Arc};

use super::{NodeBuilder, NodeShared};
use crate::{
    namespace::Namespaces,
    node::client::{Client, ConnectionInfo},
    shard::ClientKey,
    transport::Transport,
};

/// One process's part of the hub. Cheap to clone.
#[derive(Clone)]
pub struct Node(Arc<NodeShared>);

impl Node {
    pub(crate) fn new(shared: Arc<NodeShared>) -> Self {
        Self(shared)
    }

    /// Begins to make a node with these channels.
    pub fn builder(namespaces: Namespaces) -> NodeBuilder {
        NodeBuilder::new(namespaces)
    }

    pub(crate) fn shared(&self) -> &Arc<NodeShared> {
        &self.0
    }

    /// Returns the node's id, which is new at each start.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Takes in a connection. The client has to send its connect command in time
    /// ([`NodeSettings::stale_close_delay`](super::NodeSettings::stale_close_delay)).
    #[must_use = "the transport hands it frames and closes it"]
    pub fn open(&self, transport: impl Transport, info: ConnectionInfo) -> Arc<Client> {
        let key = ClientKey(self.0.next_number());
        Client::new(&self.0, key, Box::new(transport), info)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.0.id)
            .finish_non_exhaustive()
    }
}
