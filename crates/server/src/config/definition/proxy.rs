//! The keys of hooks: where and how the application is asked.

use clap::Args;

use crate::config::{
    FieldName, HttpUrl, NamedList, Period, ProxyHttp, Section, Switch, TableKeys, Text,
    shape::Shape,
};

/// The section of the hook for connections.
#[derive(Clone, Debug)]
pub(crate) struct InConnectProxy;

/// The section of the hook for connections whose time is over.
#[derive(Clone, Debug)]
pub(crate) struct InRefreshProxy;

/// The section of the hook for subscriptions.
#[derive(Clone, Debug)]
pub(crate) struct InSubscribeProxy;

/// The section of the hook for publications of clients.
#[derive(Clone, Debug)]
pub(crate) struct InPublishProxy;

/// The section of the hook for subscriptions whose time is over.
#[derive(Clone, Debug)]
pub(crate) struct InSubRefreshProxy;

/// The section of the hook for entries of maps that clients set.
#[derive(Clone, Debug)]
pub(crate) struct InMapPublishProxy;

/// The section of the hook for entries of maps that clients remove.
#[derive(Clone, Debug)]
pub(crate) struct InMapRemoveProxy;

/// The section of procedure calls.
#[derive(Clone, Debug)]
pub(crate) struct InRpc;

/// The section of the hook for procedure calls.
#[derive(Clone, Debug)]
pub(crate) struct InRpcProxy;

/// The section of procedures without a namespace.
#[derive(Clone, Debug)]
pub(crate) struct InRpcWithoutNamespace;

impl Section for InConnectProxy {
    const PATH: &'static str = "client.proxy.connect";
}

impl Section for InRefreshProxy {
    const PATH: &'static str = "client.proxy.refresh";
}

impl Section for InSubscribeProxy {
    const PATH: &'static str = "channel.proxy.subscribe";
}

impl Section for InPublishProxy {
    const PATH: &'static str = "channel.proxy.publish";
}

impl Section for InSubRefreshProxy {
    const PATH: &'static str = "channel.proxy.sub_refresh";
}

impl Section for InMapPublishProxy {
    const PATH: &'static str = "channel.proxy.map_publish";
}

impl Section for InMapRemoveProxy {
    const PATH: &'static str = "channel.proxy.map_remove";
}

impl Section for InRpc {
    const PATH: &'static str = "rpc";
}

impl Section for InRpcProxy {
    const PATH: &'static str = "rpc.proxy";
}

impl Section for InRpcWithoutNamespace {
    const PATH: &'static str = "rpc.without_namespace";
}

/// How the application is asked.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyKeys {
    /// URL of the application that is asked by POST. Redirects are not followed
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<HttpUrl>,

    /// Time in which the application must have answered
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub(crate) timeout: Period,

    /// Header fields of the client's request that the application gets too. A client can set any of them, unless a proxy
    /// before the server replaces it. May be given many times
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) http_headers: Vec<FieldName>,

    /// Fields of the client's connect command (headers) that the application gets as header fields, where the request
    /// has none of that name. The client chooses their values. May be given many times
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) emulated_headers: Vec<FieldName>,

    /// Send the client's payload as base64 in b64data, for payloads that are not JSON
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) binary_encoding: Switch,

    /// Send what the connect hook or the token gave as meta
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) include_connection_meta: Switch,

    /// What the requests have beside: static_headers, status_to_code_transforms, tls
    #[arg(long, value_name = "JSON")]
    pub(crate) http: Option<ProxyHttp>,
}

impl TableKeys for ProxyKeys {
    const SHAPE: Shape = Shape::Proxies;
}

/// A hook that is switched on where it is defined.
#[derive(Args, Clone, Debug)]
pub(crate) struct SwitchedProxyKeys {
    /// Ask the application
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) enabled: Switch,

    #[command(flatten)]
    pub(crate) proxy: ProxyKeys,
}

/// Procedure calls of clients.
#[derive(Args, Clone, Debug)]
pub(crate) struct RpcKeys {
    /// What stands between a namespace and the rest of a procedure's name. Empty: there are no namespaces
    #[arg(long, value_name = "TEXT", default_value = ":")]
    pub(crate) namespace_boundary: Text,

    /// Namespaces: a table [[rpc.namespaces]] for each in the file, a JSON array as a flag and in the environment. Each
    /// has a name and the options of rpc.without_namespace
    #[arg(long, value_name = "JSON", default_value = "[]")]
    pub(crate) namespaces: NamedList<RpcOptionKeys>,
}

/// The options of the procedures in one namespace, or of those without one.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct RpcOptionKeys {
    /// Let the application answer calls
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) proxy_enabled: Switch,

    /// How it is asked: the name of one of proxies, or default for rpc.proxy
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) proxy_name: Text,
}

impl TableKeys for RpcOptionKeys {
    const SHAPE: Shape = Shape::RpcNamespaces;
}
