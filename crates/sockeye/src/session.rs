//! One open WebSocket, as an endpoint sees it.

/// One open WebSocket: cheap to clone, sends from any task.
#[derive(Clone)]
pub struct Session;
