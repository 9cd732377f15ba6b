//! The hub's part of the API: publishing, and orders about channels and clients. Requests and answers are those of
//! Centrifugo's server API, so that its clients work unchanged.
//!
//! ```text
//!   POST /api/publish {…} ───────────────┐
//!   POST /api/batch {"commands": […]} ───┼──> method + parameters ──> order ──> execute ──> result or error
//!   POST /api {"method": …}\n{…} ────────┘                              │
//!                                                                       v
//!                                                                  hub::Node
//! ```

mod document;
mod execute;
mod failure;
mod held_body;
mod order;
mod pattern;
mod request;
mod result;
mod room;
mod router;

pub(super) use document::paths;
pub(crate) use execute::Orders;
pub(super) use router::routes;
