//! Connects to a server by the options that `connect` and `bench` share.

mod args;
mod causes;
mod connect;
mod resolve;

pub(crate) use args::DialArgs;
pub(crate) use causes::reason;
pub(crate) use connect::{dial, url, warn_if_insecure};
