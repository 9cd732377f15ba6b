//! The server: from a listening socket to an endpoint or a conversation.
//!
//! ```text
//!   listen ──> first_request ──────────> admit ──> handoff ──> worker ──> endpoint
//!   (TLS, PROXY)  │                      ^   └───────────────────────────> a tokio task ──> conversation
//!                 └──> http ─ upgrade ───┘
//!                       ├──> sockjs, engineio (by polling) ──> a tokio task ──> endpoint
//!                       └──> fallback (a tower service)
//!
//!   worker ──> its own acceptors and handshakes (no TLS) ──> admit ──> endpoint
//!                └── what a worker doesn't carry ──> first_request
//! ```
//!
//! Listeners with TLS or a PROXY head run on tokio. Other connections, over TCP or a Unix socket, are accepted by the workers
//! themselves. `route` says
//! which path leads where and who may come; `admit` applies it to a request.
//!
//! `registry` holds every open session that runs in a tokio task, so that `drain` can close it. No message passes
//! through it.

// What a program calls.
mod bindings;
mod builder;
mod handle;
mod http_settings;

// The way of a connection.
mod listen;

mod first_request;

mod route;

#[cfg(any(feature = "sockjs", feature = "engineio"))]
mod polling;

#[cfg(feature = "sockjs")]
mod sockjs;

#[cfg(feature = "engineio")]
mod engineio;

#[cfg(feature = "socketio")]
pub mod socketio;

mod admit;

mod http;

mod handoff;

mod worker;

// The state of the whole server, and how it ends.
mod bodies;
mod closing_notice;
mod drain;
mod failure;
#[cfg(feature = "axum")]
mod fallback;
mod listening;
mod registry;
mod shared;
mod stats;

#[cfg(feature = "axum")]
pub(crate) use admit::Capacity;
pub use builder::Server;
pub use closing_notice::Retry;
pub use drain::{Drain, DrainReport};
#[cfg(feature = "engineio")]
pub use engineio::{EngineIo, EngineIoSettings, EngineIoUpgrade};
pub use handle::ServerHandle;
pub use http_settings::HttpSettings;
pub use listen::UnixListen;
#[cfg(feature = "axum")]
pub(crate) use registry::Registration;
pub use route::{AddressLimits, AddressRateLimiter, Identify, Origins, Route, identity};
#[cfg(feature = "axum")]
pub(crate) use route::{Handler, ORIGIN_ADVICE, refuse_origin};
#[cfg(feature = "axum")]
pub(crate) use shared::ServerShared;
#[cfg(feature = "sockjs")]
pub use sockjs::{SessionCookie, SockJs, SockJsSettings, SockJsWebSocket};
pub use stats::Endings;
