//! The opening handshake as client and server share it: the request, who it comes from, the answer, and what
//! both ends have agreed on.
//!
//! ```text
//!   request head ──> incoming (checked) ──> Request ──> agreement ──> terms of the connection
//!                       └──────────────────────┴──> Refusal (any HTTP status, before 101)
//! ```

mod agreement;
mod authority;
mod client_id;
mod fields;
mod incoming;
mod negotiated;
mod refusal;
mod request;
mod request_info;
mod tls;
mod web_origin;

pub(crate) use agreement::Agreement;
pub(crate) use authority::check;
pub use client_id::{BadClientId, ClientId};
pub(crate) use fields::Fields;
pub(crate) use incoming::Incoming;
pub(crate) use negotiated::Negotiated;
pub use refusal::Refusal;
pub use request::Request;
pub use request_info::RequestInfo;
pub(crate) use request_info::{Shown, host_of};
pub(crate) use tls::Tls;
pub(crate) use web_origin::{WebOrigin, is_same_origin};
