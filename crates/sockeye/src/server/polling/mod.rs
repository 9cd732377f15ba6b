//! What the protocols have in common by which plain HTTP requests carry a session. A session's connection is one of RFC 6455 whose
//! stream is a `relay`: requests hand over and take its messages.
//!
//! ```text
//!   request ──> path_mounts ──> access (which origin) ──> a protocol ──> session_table (by id, for its opener) ──> session
//!                                                                                                                   │
//!   POST ──> frames ──> relay <──> the session's connection <──> endpoint                                            │
//!   response <───────── relay <──────────────────────────────────────────────────────────────────────────────────────┘
//! ```

mod frames;
mod relay;

mod opener;
mod session_table;

mod access;
mod host;
mod path_mounts;

#[cfg(feature = "sockjs")]
pub(crate) use access::YEAR;
pub(crate) use access::{Access, Readable, allow_caching, forbid_caching};
#[cfg(feature = "engineio")]
pub(crate) use frames::push_binary;
pub(crate) use frames::push_text;
pub(crate) use host::{SessionHost, Uncounted};
pub(crate) use opener::{CredentialHasher, Opener};
pub(crate) use path_mounts::{FoundMount, MountExtent, PathMounts, with_path};
pub(crate) use relay::{
    AlreadyReceiving, Outbound, Received, Relay, RelayEnd, RelayHolder, RelayStream,
};
pub(crate) use session_table::{Check, Found, OpenError, SessionTable, TableSession};
