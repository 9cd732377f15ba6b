//! The syntax of configuration values, for errors and for the reference.

use std::{any::TypeId, path::PathBuf};

use sockeye_hub::{
    broker::LogSync,
    namespace::{DeltaType, PublicationDataFormat, RecoveryMode, SlowReader, SubscriptionType},
};

use super::{
    ApiKey, Bytes, ChannelOptionKeys, ChatToken, ClientAuth, Count, FieldName, FileMode, FileOwner,
    Filter, HttpUrl, ListenAddr, LogFormat, LogSize, LongPeriod, MapTable, MemoryMax, MetricPrefix,
    NamedList, Network, Number, Period, PresenceStore, ProxyHttp, ProxyKeys, PublicKey, PublicUrl,
    RpcOptionKeys, Switch, Term, Text, TokenSecret, TrustedProxy, UrlPath, WebOrigin, choice,
    key::Key,
};

/// The syntax of a value, by its Rust type. Shown in errors and in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Addr,
    Mode,
    Owner,
    Path,
    Size,
    Memory,
    Count,
    Period,
    Term,
    Switch,
    Format,
    ClientAuth,
    Filter,
    Secret,
    UrlPath,
    Store,
    Network,
    TrustedProxy,
    PublicUrl,
    Number,
    LongPeriod,
    Text,
    TokenSecret,
    PublicKey,
    Origin,
    RecoveryMode,
    DataFormat,
    Namespaces,
    RpcNamespaces,
    Proxies,
    ProxyHttp,
    HttpUrl,
    FieldName,
    LogSync,
    LogSize,
    MetricPrefix,
    SlowReader,
    DeltaType,
    SubscriptionType,
    MapTable,
}

impl Shape {
    /// # Panics
    /// The type is unknown, which the tests would have found.
    pub(crate) fn of(arg: &clap::Arg) -> Self {
        let parsed = arg.get_value_parser().type_id();
        let known = [
            (TypeId::of::<ListenAddr>(), Self::Addr),
            (TypeId::of::<FileMode>(), Self::Mode),
            (TypeId::of::<FileOwner>(), Self::Owner),
            (TypeId::of::<PathBuf>(), Self::Path),
            (TypeId::of::<Bytes>(), Self::Size),
            (TypeId::of::<MemoryMax>(), Self::Memory),
            (TypeId::of::<Count>(), Self::Count),
            (TypeId::of::<Period>(), Self::Period),
            (TypeId::of::<Term>(), Self::Term),
            (TypeId::of::<Switch>(), Self::Switch),
            (TypeId::of::<LogFormat>(), Self::Format),
            (TypeId::of::<ClientAuth>(), Self::ClientAuth),
            (TypeId::of::<Filter>(), Self::Filter),
            (TypeId::of::<ApiKey>(), Self::Secret),
            (TypeId::of::<ChatToken>(), Self::Secret),
            (TypeId::of::<UrlPath>(), Self::UrlPath),
            (TypeId::of::<PresenceStore>(), Self::Store),
            (TypeId::of::<Network>(), Self::Network),
            (TypeId::of::<TrustedProxy>(), Self::TrustedProxy),
            (TypeId::of::<PublicUrl>(), Self::PublicUrl),
            (TypeId::of::<Number>(), Self::Number),
            (TypeId::of::<LongPeriod>(), Self::LongPeriod),
            (TypeId::of::<Text>(), Self::Text),
            (TypeId::of::<TokenSecret>(), Self::TokenSecret),
            (TypeId::of::<PublicKey>(), Self::PublicKey),
            (TypeId::of::<WebOrigin>(), Self::Origin),
            (TypeId::of::<RecoveryMode>(), Self::RecoveryMode),
            (TypeId::of::<PublicationDataFormat>(), Self::DataFormat),
            (
                TypeId::of::<NamedList<ChannelOptionKeys>>(),
                Self::Namespaces,
            ),
            (
                TypeId::of::<NamedList<RpcOptionKeys>>(),
                Self::RpcNamespaces,
            ),
            (TypeId::of::<NamedList<ProxyKeys>>(), Self::Proxies),
            (TypeId::of::<ProxyHttp>(), Self::ProxyHttp),
            (TypeId::of::<HttpUrl>(), Self::HttpUrl),
            (TypeId::of::<FieldName>(), Self::FieldName),
            (TypeId::of::<LogSync>(), Self::LogSync),
            (TypeId::of::<LogSize>(), Self::LogSize),
            (TypeId::of::<MetricPrefix>(), Self::MetricPrefix),
            (TypeId::of::<SlowReader>(), Self::SlowReader),
            (TypeId::of::<DeltaType>(), Self::DeltaType),
            (TypeId::of::<SubscriptionType>(), Self::SubscriptionType),
            (TypeId::of::<MapTable>(), Self::MapTable),
        ];
        let shape = known.into_iter().find(|(id, _)| parsed == *id);
        shape
            .unwrap_or_else(|| panic!("{} has a type without a shape", arg.get_id()))
            .1
    }

    /// Parses one value as clap would, for values that don't come from the command line.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Self::Addr => text.parse::<ListenAddr>().map(drop),
            Self::Mode => text.parse::<FileMode>().map(drop),
            Self::Owner => text.parse::<FileOwner>().map(drop),
            Self::Path if text.is_empty() => Err(self.refuse(text)),
            Self::Path => Ok(()),
            Self::Size => text.parse::<Bytes>().map(drop),
            Self::Memory => text.parse::<MemoryMax>().map(drop),
            Self::Count => text.parse::<Count>().map(drop),
            Self::Period => text.parse::<Period>().map(drop),
            Self::Term => text.parse::<Term>().map(drop),
            Self::Switch => text.parse::<Switch>().map(drop),
            Self::Format => text.parse::<LogFormat>().map(drop),
            Self::ClientAuth => text.parse::<ClientAuth>().map(drop),
            Self::Filter => text.parse::<Filter>().map(drop),
            Self::Secret => text.parse::<ApiKey>().map(drop),
            Self::UrlPath => text.parse::<UrlPath>().map(drop),
            Self::Store => text.parse::<PresenceStore>().map(drop),
            Self::Network => text.parse::<Network>().map(drop),
            Self::TrustedProxy => text.parse::<TrustedProxy>().map(drop),
            Self::PublicUrl => text.parse::<PublicUrl>().map(drop),
            Self::Number => text.parse::<Number>().map(drop),
            Self::LongPeriod => text.parse::<LongPeriod>().map(drop),
            Self::Text => text.parse::<Text>().map(drop),
            Self::TokenSecret => text.parse::<TokenSecret>().map(drop),
            Self::PublicKey => text.parse::<PublicKey>().map(drop),
            Self::Origin => text.parse::<WebOrigin>().map(drop),
            Self::MetricPrefix => text.parse::<MetricPrefix>().map(drop),
            Self::SlowReader => choice::slow_reader(text).map(drop),
            Self::DeltaType => choice::delta_type(text).map(drop),
            Self::SubscriptionType => choice::subscription_type(text).map(drop),
            Self::MapTable => text.parse::<MapTable>().map(drop),
            Self::RecoveryMode => choice::recovery_mode(text).map(drop),
            Self::DataFormat => choice::data_format(text).map(drop),
            Self::Namespaces => text.parse::<NamedList<ChannelOptionKeys>>().map(drop),
            Self::RpcNamespaces => text.parse::<NamedList<RpcOptionKeys>>().map(drop),
            Self::Proxies => text.parse::<NamedList<ProxyKeys>>().map(drop),
            Self::ProxyHttp => text.parse::<ProxyHttp>().map(drop),
            Self::HttpUrl => text.parse::<HttpUrl>().map(drop),
            Self::FieldName => text.parse::<FieldName>().map(drop),
            Self::LogSync => choice::log_sync(text).map(drop),
            Self::LogSize => text.parse::<LogSize>().map(drop),
        }
    }

    pub(super) fn refuse(self, text: &str) -> String {
        format!(
            "{text:?} is not {}; allowed: {}",
            self.noun(),
            self.allowed()
        )
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Addr => "an address",
            Self::Mode => "a mode of a file",
            Self::Owner => "an owner of a file",
            Self::Path => "a path",
            Self::Size | Self::Memory | Self::LogSize => "a size",
            Self::Count => "a count",
            Self::Period | Self::Term => "a length of time",
            Self::Switch => "a switch",
            Self::Format => "a log format",
            Self::ClientAuth => "a rule for client certificates",
            Self::Filter => "a log filter",
            Self::Secret => "a secret",
            Self::UrlPath => "a path of a URL",
            Self::Store => "a store of presence",
            Self::Network => "a network",
            Self::TrustedProxy => "a proxy",
            Self::PublicUrl => "an address of a server",
            Self::Number => "a number",
            Self::LongPeriod => "a length of time",
            Self::Text => "a text",
            Self::TokenSecret => "a secret",
            Self::PublicKey => "a public key",
            Self::Origin => "an origin",
            Self::MetricPrefix => "a prefix of names of metrics",
            Self::SlowReader => "a rule for slow readers",
            Self::DeltaType => "a kind of delta compression",
            Self::SubscriptionType => "a type of subscriptions",
            Self::RecoveryMode => "a recovery mode",
            Self::DataFormat => "a data format",
            Self::Namespaces | Self::RpcNamespaces => "a list of namespaces",
            Self::Proxies => "a list of proxies",
            Self::ProxyHttp | Self::MapTable => "a table",
            Self::HttpUrl => "a URL",
            Self::FieldName => "the name of a header field",
            Self::LogSync => "a mode of syncing",
        }
    }

    /// Returns the end of the sentence "allowed: …".
    pub(crate) fn allowed(self) -> &'static str {
        match self {
            Self::Addr => {
                "HOST:PORT such as 127.0.0.1:8080, [::1]:8080 or localhost:0; unix:PATH; fd:NUMBER or fd:NAME"
            }
            Self::Mode => "permissions in octal, 0 to 777, such as 660",
            Self::Owner => "USER, USER:GROUP or :GROUP, each a name or a number",
            Self::Path => "a path, not empty",
            Self::Size => "bytes, or a number with KiB, MiB or GiB; 1 to 1GiB",
            Self::Memory => "auto; bytes, or a number with KiB, MiB or GiB, from 1MiB on",
            Self::Count => "a number, 1 to 4294967295",
            Self::Period => "a number with ms, s, m or h; up to 24h",
            Self::Term => "a number with ms, s, m or h, up to 24h; off",
            Self::Switch => "on, off",
            Self::Format => "text, json",
            Self::ClientAuth => "off, request, require",
            Self::Filter => {
                "off, error, warn, info, debug, trace, or a list such as warn,sockeye=debug"
            }
            Self::Secret => "1 to 256 visible ASCII characters, no spaces",
            Self::Store => {
                "auto, memory, durable, redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], redis+unix:///PATH"
            }
            Self::Network => "an address or a range, such as 127.0.0.1, 10.0.0.0/8 or fd00::/8",
            Self::TrustedProxy => {
                "an address or a range, such as 127.0.0.1, 10.0.0.0/8 or fd00::/8; unix:"
            }
            Self::PublicUrl => {
                "https://HOST or http://HOST, with a port if it is not the usual one"
            }
            Self::Number => "a number, 0 to 4294967295",
            Self::LongPeriod => "a number with ms, s, m or h; up to 87600h",
            Self::Text => "up to 1024 bytes without control characters",
            Self::TokenSecret => "1 to 4096 bytes",
            Self::PublicKey => "PEM, which begins with -----BEGIN; up to 16 KiB",
            Self::Origin => {
                "https://HOST or http://HOST, with a port if it is not the usual one; * for any"
            }
            Self::MetricPrefix => "letters, digits and _, not beginning with a digit; up to 64",
            Self::SlowReader => "disconnect, drop-oldest, latest-only",
            Self::DeltaType => "fossil",
            Self::SubscriptionType => "stream, map, map_clients, map_users",
            Self::MapTable => {
                "a table with mode, key_ttl and so on; outside the file a JSON object"
            }
            Self::RecoveryMode => "stream, cache",
            Self::DataFormat => "not_empty, json, json_object, binary",
            Self::Namespaces | Self::RpcNamespaces | Self::Proxies => {
                "tables with a name each; outside the file a JSON array of objects"
            }
            Self::ProxyHttp => {
                "a table with static_headers, status_to_code_transforms and tls; outside the file a JSON object"
            }
            Self::HttpUrl => "an http:// or https:// URL without placeholders, up to 2048 bytes",
            Self::FieldName => "the name of a header field, such as Authorization",
            Self::LogSync => "none, interval, each",
            Self::LogSize => "bytes, or a number with KiB, MiB or GiB; 1MiB to 65536GiB",
            Self::UrlPath => "/ and then letters, digits, / - . _ ~; such as /chat",
        }
    }

    /// Returns whether the value must not be shown.
    pub(crate) fn is_secret(self, text: &str) -> bool {
        // User and password of a URL come before an @.
        let has_password = || text.contains('@');
        match self {
            Self::Secret | Self::TokenSecret => true,
            Self::Store | Self::HttpUrl => has_password(),
            Self::ProxyHttp | Self::Proxies => {
                let holds = |name: &str| text.contains(name);
                has_password() || holds("static_headers") || holds("key_pem")
            }
            _ => false,
        }
    }

    /// Returns the keys of the tables, if the value is a list of them.
    pub(crate) fn table_keys(self) -> Option<Vec<Key>> {
        match self {
            Self::Namespaces => Some(Key::all_of::<ChannelOptionKeys>()),
            Self::RpcNamespaces => Some(Key::all_of::<RpcOptionKeys>()),
            Self::Proxies => Some(Key::all_of::<ProxyKeys>()),
            _ => None,
        }
    }

    /// Returns the word for one table of a list.
    pub(crate) fn table_noun(self) -> &'static str {
        match self {
            Self::Proxies => "proxy",
            _ => "namespace",
        }
    }

    /// Returns whether a TOML table can be such a value.
    pub(crate) fn takes_table(self) -> bool {
        matches!(self, Self::ProxyHttp | Self::MapTable)
    }

    /// Returns whether a TOML integer can be such a value.
    pub(crate) fn takes_integer(self) -> bool {
        matches!(
            self,
            Self::Size | Self::Memory | Self::LogSize | Self::Count | Self::Number | Self::Term
        )
    }

    /// Returns whether a TOML boolean can be such a value.
    pub(crate) fn takes_boolean(self) -> bool {
        matches!(self, Self::Switch | Self::Term | Self::ClientAuth)
    }

    /// Returns whether a TOML string can be such a value.
    pub(crate) fn takes_string(self) -> bool {
        !matches!(self, Self::Count | Self::Number)
    }
}
