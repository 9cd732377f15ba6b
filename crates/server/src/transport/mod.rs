//! How clients of the hub are reached: one module for each way.
//!
//! ```text
//!   WebSocket ── messages ──> endpoint ──────────┐
//!             <── session, groups ───────────┐   │
//!                                            │   v
//!   POST /emulation ── frames ──> sessions ──┼─> client (hub)
//!   response body  <── frame queue <─────────┘   ^
//!   request of http_stream, sse, uni_sse ────────┤
//!   Socket.IO ── events ──> namespace ───────────┤
//!             <── link, receivers ───────────────┘
//! ```

mod close_codes;
mod frame_queue;
mod http;
mod http_stream;
mod origin;
mod request_fields;
mod sessions;
mod socketio;
mod uni_websocket;
mod websocket;

pub use close_codes::CloseCodes;
pub use http::{HttpPath, HttpTransportSettings, HttpTransports};
pub use socketio::{SocketIoTransportSettings, socketio_mount};
pub use uni_websocket::uni_websocket_route;
pub use websocket::{WebSocketSettings, websocket_route};
