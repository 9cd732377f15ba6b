//! The hub's part of the API: publishing, and orders about channels and clients. Requests and answers are those of
//! Centrifugo's server API, so that its clients work unchanged.
//!
//! ```text
//!   POST /api/publish {…} ───────────────┐
//!   POST /api/batch {"commands": […]} ───┼──> method + parameters ──> execute ──> result or error
//!   POST /api {"method": …}\n{…} ────────┘                              │
//!                                                                       v
//!                                                                  hub::Node
//! ```

mod execute;
mod failure;
mod request;
mod router;

pub(super) use router::routes;
