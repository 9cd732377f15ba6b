//! From options to an open connection, for every command that is a client.

mod args;
mod causes;
mod connect;
mod resolve;

pub(crate) use args::DialArgs;
pub(crate) use causes::{reason, with_causes};
pub(crate) use connect::{dial, url, warn_if_insecure};
