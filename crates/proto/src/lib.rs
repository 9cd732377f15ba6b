//! The WebSocket protocol (RFC 6455, RFC 7692) as a state machine.
//!
//! What it is:
//! - bytes in, events and bytes out, for both roles;
//! - strict: every MUST of the two RFCs is checked, every refusal names its close code or HTTP status;
//! - bounded: everything that a peer can make grow has a named limit ([`Limits`]).
//!
//! What it is not:
//! - no socket, no clock, no task, no global random number: those are the caller's, and arguments here;
//! - no HTTP library: it reads the one request or response that a handshake is.
//!
//! ```text
//!   network                                                                        application
//!   bytes ──> decoder ──> frame ──> assembler (inflate, UTF-8) ──> message ──> Event
//!   bytes <── encoder <── frame <── (deflate) <── message / ping / close
//! ```
//!
//! Without the default feature `std` the crate is `no_std` + `alloc`.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod close;
mod error;
pub mod extension;
pub mod handshake;
mod limits;
mod message;
mod role;

pub use close::{CloseCode, CloseFrame};
pub use error::{ProtocolError, Violation};
pub use limits::Limits;
pub use message::{Kind, Message};
pub use role::Role;
