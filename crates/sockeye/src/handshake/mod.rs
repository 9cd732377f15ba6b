//! The opening handshake as client and server share it: the request, who it comes from, the answer, and what
//! both ends have agreed on.
//!
//! ```text
//!   request head ──> incoming (checked) ──> Request ──> agreement ──> terms of the connection
//!                       └──────────────────────┴──> Refusal (any HTTP status, before 101)
//! ```

#[cfg(feature = "server")]
mod agreement;
#[cfg(feature = "server")]
mod authority;
mod client_id;
mod fields;
#[cfg(feature = "server")]
mod incoming;
mod negotiated;
#[cfg(feature = "server")]
mod refusal;
mod request;
mod request_info;
mod tls;
mod web_origin;

#[cfg(feature = "server")]
pub(crate) use agreement::Agreement;
#[cfg(feature = "server")]
pub(crate) use authority::check;
pub use client_id::{BadClientId, ClientId};
pub(crate) use fields::Fields;
#[cfg(feature = "server")]
pub(crate) use incoming::Incoming;
pub(crate) use negotiated::Negotiated;
#[cfg(feature = "server")]
pub use refusal::Refusal;
pub use request::Request;
pub use request_info::RequestInfo;
pub(crate) use request_info::{Shown, host_of};
pub(crate) use tls::Tls;
pub(crate) use web_origin::{WebOrigin, is_same_origin};
