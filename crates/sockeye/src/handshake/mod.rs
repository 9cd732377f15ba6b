//! The opening handshake, as far as client and server share it: the request, the client that sent it, the answer, and
//! what both ends have agreed on.
//!
//! ```text
//!   request head ──> Incoming (checked: authority) ──> Request ──> Agreement (chosen from the offers) ──> 101
//!                       │                              ├ Fields, ClientId         └──> Negotiated ──> connection
//!                       │                              └ RequestInfo (Tls, WebOrigin), PeerCertificates
//!                       └──> Refusal (any other HTTP status)
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
#[cfg(feature = "rustls")]
mod peer_certificates;
#[cfg(not(feature = "rustls"))]
#[path = "peer_certificates/absent.rs"]
mod peer_certificates;
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
pub(crate) use negotiated::{Negotiated, SharedNegotiated};
pub use peer_certificates::PeerCertificates;
#[cfg(feature = "server")]
pub use refusal::Refusal;
pub use request::Request;
pub use request_info::RequestInfo;
pub(crate) use request_info::{Shown, host_of};
pub(crate) use tls::Tls;
pub(crate) use web_origin::{WebOrigin, is_same_origin};
