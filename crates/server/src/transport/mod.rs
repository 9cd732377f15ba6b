//! How clients of the hub are reached: one module for each way.
//!
//! ```text
//!   WebSocket ── messages ──> endpoint ── frames ──> client (hub)
//!             <── session, groups ──────────────────
//! ```

mod websocket;

pub use websocket::{WebSocketSettings, websocket_route};
