//! What all connections of one path share.

use std::sync::Arc;

use super::{namespace::AnyNamespace, settings::SocketIoSettings};

/// What all connections of one path share.
pub(super) struct SocketIoShared {
    pub(super) namespaces: Vec<Arc<dyn AnyNamespace>>,
    pub(super) settings: SocketIoSettings,
}
