//! Engine.IO 4, the protocol below Socket.IO: a session that plain HTTP requests carry at first, and a WebSocket as soon as one is open.
//! A session's connection is one of RFC 6455 whose stream is a relay (`polling`).
//!
//! ```text
//!   request ──> query ──> service ──┬─ session_table (by id) ──> session (lifecycle: heartbeat, what carries it)
//!                                   │                               │ relay
//!   POST ──> packet ────────────────┼──────────────────────────> ──┼──> connection ──> endpoint
//!   response <── packet <── receiver┴──────────────── packet <─────┤
//!   WebSocket <──> websocket <──> receiver ────────────────────────┘
//! ```

mod settings;

// The protocol's text, and the state of a session: no I/O, no clock.
mod lifecycle;
mod packet;
mod query;

mod session;

mod mount;
mod service;
mod websocket;

pub use mount::EngineIo;
pub(crate) use mount::EngineIoMounts;
pub(crate) use service::EngineIoRequest;
pub use settings::{EngineIoSettings, EngineIoUpgrade};
