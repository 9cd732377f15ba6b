//! `sockeye token`: makes tokens for development and tests, and shows what is in one.
//!
//! ```text
//!   connection, subscription:  options ──> claims ──┬──> sign ──> stdout
//!                                        secret ────┘
//!   inspect:  stdin ──> header, claims, verdict ──> stdout, exit code
//! ```

mod args;
mod claims;
mod command;
mod keys;
mod lifetime;
mod pretty;
mod report;

pub(crate) use args::{EXAMPLES, TokenCommand};
pub(crate) use command::run;
