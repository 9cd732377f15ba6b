//! The configuration of `sockeye serve`, each key defined once.
//!
//! [`Config`] is that definition: each field has a flag, help text, type and default. The other names follow from the flag:
//!
//! ```text
//!   --message-bytes-max    under the help heading "limits"
//!   SOCKEYE_MESSAGE_BYTES_MAX            environment
//!   [limits] message_bytes_max           file
//!   docs/reference/config.md             `sockeye config reference`
//! ```
//!
//! A value comes from the flag, else the environment, else the file, else the default ([`layers`]).

mod definition;
mod error;
mod file;
mod key;
mod layers;
mod listen_addr;
mod print;
mod value;

pub(crate) use definition::Config;
pub(crate) use error::ConfigError;
pub(crate) use key::{at_path, with_origins};
pub(crate) use layers::{Loaded, layers};
pub(crate) use listen_addr::{FileMode, FileOwner, ListenAddr};
pub(crate) use print::{checked, defaults, reference};
pub(crate) use value::{
    ApiKey, Bytes, ChatToken, ClientAuth, Count, Filter, LogFormat, MemoryMax, Network, Period,
    PresenceStore, Switch, Term, TrustedProxy, UrlPath,
};
