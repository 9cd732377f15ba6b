//! The server: listeners, routes, and the way from an accepted socket to an endpoint.
//!
//! ```text
//!   listener ──> intake ──────────────> gate ───────────────> Established ──> endpoint | conversation
//!   (accept)     TLS, first, deadline   route, origin,         (the seam: what is beneath it may
//!                   │                   authorize, factory      change, what is above may not)
//!                   └──> http1, http2 ──> desk ^
//!                        later requests,  └──> fallback
//!                        streams
//! ```
//!
//! `registry` knows every open session, so that `drain` can say goodbye; a message passes it by.

mod accept;
mod authority;
mod body;
mod builder;
mod connections;
mod desk;
mod failure;
mod first;
mod forwarded;
mod gate;
mod handle;
mod http1;
mod http2;
mod http_settings;
mod intake;
mod listen;
mod listener;
mod log_limit;
mod opener;
mod origin;
mod path;
mod preface;
mod refusal;
mod registry;
mod replay;
mod request_info;
mod route;
mod shared;
mod stranger;
mod tally;

pub use builder::Server;
pub use handle::ServerHandle;
pub use http_settings::HttpSettings;
pub use origin::Origins;
pub use refusal::Refusal;
pub use request_info::RequestInfo;
pub use route::Route;
pub use tally::Endings;

pub(crate) use accept::{Patience, tune};
pub(crate) use authority::check as check_authority;
pub(crate) use connections::Permit;
pub(crate) use failure::Failure;
pub(crate) use first::First;
pub(crate) use gate::{Admission, Admitted};
pub(crate) use intake::{Accepted, Standing};
pub(crate) use log_limit::LogLimit;
pub(crate) use origin::{Tls, refuse as refuse_origin};
pub(crate) use registry::Registry;
pub(crate) use request_info::Shown;
pub(crate) use shared::{Phase, Shared};
pub(crate) use stranger::Stranger;
pub(crate) use tally::{Ending, Tally};
