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
//! A section can stand within another: `channel.without_namespace`. A set of keys that stands under several sections is
//! defined once ([`Under`]), and the tables of `[[channel.namespaces]]` have the keys of `channel.without_namespace`.
//!
//! A value comes from the flag, else the environment, else the file, else the default ([`layers`]).

mod choice;
mod definition;
mod error;
mod file;
mod hub;
mod import;
mod key;
mod layers;
mod listen_addr;
mod namespace_list;
mod network;
mod print;
mod section;
mod suggest;
mod text;
mod value;

pub(crate) use definition::{ChannelOptionKeys, Config};
pub(crate) use error::ConfigError;
pub(crate) use hub::HubConfig;
pub(crate) use import::{ImportArgs, run as import};
pub(crate) use key::{at_path, with_origins};
pub(crate) use layers::{Loaded, layers};
pub(crate) use listen_addr::{FileMode, FileOwner, ListenAddr};
pub(crate) use namespace_list::NamespaceList;
pub(crate) use network::{Network, TrustedProxy};
pub(crate) use print::{checked, defaults, reference};
pub(crate) use section::{Section, Under};
pub(crate) use text::{PublicKey, PublicUrl, Text, TokenSecret, WebOrigin};
pub(crate) use value::{
    ApiKey, Bytes, ChatToken, ClientAuth, Count, Filter, LogFormat, LongPeriod, MemoryMax, Number,
    Period, PresenceStore, Switch, Term, UrlPath,
};
