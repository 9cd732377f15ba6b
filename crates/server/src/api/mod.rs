//! The server API: HTTP and JSON below `/api`, for back ends with an API key.
//!
//! ```text
//!   request ──> X-API-Key right? ── no ──> 401
//!                     │ yes
//!                     v
//!               the path's handler ── or ──> 404, both as JSON
//! ```

mod answer;
mod api_metrics;
mod document;
mod hub;
mod key;
mod presence;
mod router;

pub(crate) use api_metrics::ApiMetrics;
pub(crate) use hub::Orders;
pub(crate) use key::Key;
pub(crate) use router::router;
