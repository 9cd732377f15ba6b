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
mod hooks;
mod hub;
mod import;
mod key;
mod layers;
mod listen_addr;
mod log_size;
mod map_table;
mod named_list;
mod network;
mod paths;
mod print;
mod proxy_http;
mod section;
mod shape;
mod suggest;
mod text;
mod times;
mod toml_value;
mod value;
mod warnings;

pub(crate) use definition::{ChannelOptionKeys, Config, ProxyKeys, RpcOptionKeys};
pub(crate) use error::{ConfigError, ConfigErrors};
pub(crate) use hooks::{EndpointConfig, HookConfig};
pub(crate) use hub::{HubConfig, WebSocketPath};
pub(crate) use import::{ImportArgs, run as import};
pub(crate) use key::{at_path, with_origins};
pub(crate) use layers::{Loaded, layers, of_file};
pub(crate) use listen_addr::{FileMode, FileOwner, ListenAddr};
pub(crate) use log_size::LogSize;
pub(crate) use map_table::MapTable;
pub(crate) use named_list::{NamedList, TableKeys};
pub(crate) use network::{Network, TrustedProxy};
pub(crate) use paths::{SOCKETIO, SOCKJS_CHAT, SOCKJS_ECHO, SOCKJS_HUB, SOCKJS_ROOM};
pub(crate) use print::{checked, defaults, reference};
pub(crate) use proxy_http::{ProxyHttp, StatusTransform};
pub(crate) use section::{Section, Under};
pub(crate) use suggest::nearest;
pub(crate) use text::{
    FieldName, HttpUrl, MetricPrefix, PublicKey, PublicUrl, Text, TokenSecret, WebOrigin,
};
pub(crate) use value::{
    ApiKey, Bytes, ChatToken, ClientAuth, Count, Filter, LogFormat, LongPeriod, MemoryMax, Number,
    Period, PresenceStore, Switch, Term, UrlPath,
};
pub(crate) use warnings::{short_secret, warnings};
