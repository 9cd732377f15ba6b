//! What changes during the life of a client.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::{
    ConnectionInfo, command_queue::CommandQueue, ping::Ping, subscriptions::Subscriptions,
};
use crate::{
    BrokerError, ClientInfo, Disconnect, ErrorCode, RareBytes,
    memory::Charge,
    node::{
        ClientHeaders, ClientView, Rejection,
        compact_time::{Expiry, Moment},
    },
    transport::Transport,
    wire::ErrorReply,
};

pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) ping: Ping,
    /// `None` while no command takes time.
    pub(crate) commands: Option<Box<Commands>>,
    /// The node calls the client at this time; `None` if it has no reason to.
    pub(crate) alarm: Option<Moment>,
}

/// The commands of a client that wait, and their bytes.
pub(crate) struct Commands {
    pub(crate) queue: CommandQueue,
    pub(crate) charge: Charge,
}

/// See the drawing of the module.
pub(crate) enum Phase {
    Opened {
        /// The client must have sent its connect command by then.
        until: Moment,
        info: Box<ConnectionInfo>,
    },
    Connecting {
        until: Moment,
    },
    Refused {
        until: Moment,
    },
    Connected(Connected),
    Closed,
}

pub(crate) struct Connected {
    /// What others may know, in a channel that adds nothing to it. Shared with the channels.
    pub(crate) info: Arc<ClientInfo>,
    /// What most clients haven't.
    rare: Option<Box<Rare>>,
    pub(crate) expiry: Expiry,
    pub(crate) subscriptions: Subscriptions,
}

/// What most clients haven't.
#[derive(Default)]
struct Rare {
    /// What the application alone knows.
    meta: Bytes,
    /// `None`: the client brought none that are kept.
    headers: Option<Arc<ClientHeaders>>,
    /// Bytes of the client's filters, by channel. Channels that were left are dropped with the next filter.
    filter_bytes: Vec<(Arc<str>, usize)>,
}

/// Why a command has no result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// The client is told, and goes on.
    Error(ErrorReply),
    /// The client is ended.
    Disconnect(Disconnect),
    /// The client is gone meanwhile.
    Closed,
}

impl State {
    pub(crate) fn connected(&mut self) -> Result<&mut Connected, Failure> {
        match &mut self.phase {
            Phase::Connected(connected) => Ok(connected),
            Phase::Closed => Err(Failure::Closed),
            _ => Err(Failure::Disconnect(Disconnect::BAD_REQUEST)),
        }
    }
}

impl Connected {
    pub(crate) fn new(
        info: Arc<ClientInfo>,
        meta: Bytes,
        headers: Option<Arc<ClientHeaders>>,
        expiry: Expiry,
    ) -> Self {
        let has_rare = !meta.is_empty() || headers.is_some();
        let rare = Rare {
            meta,
            headers,
            ..Rare::default()
        };
        Self {
            info,
            rare: has_rare.then(|| Box::new(rare)),
            expiry,
            subscriptions: Subscriptions::default(),
        }
    }

    /// Sets what the application alone knows.
    pub(crate) fn set_meta(&mut self, meta: Bytes) {
        if self.rare.is_some() || !meta.is_empty() {
            self.rare.get_or_insert_default().meta = meta;
        }
    }

    /// Returns the bytes of the client's filters, by channel.
    pub(crate) fn filter_bytes(&mut self) -> &mut Vec<(Arc<str>, usize)> {
        &mut self.rare.get_or_insert_default().filter_bytes
    }

    /// Returns what others may know about the client in a channel.
    pub(crate) fn info_in(&self, chan_info: &RareBytes) -> Arc<ClientInfo> {
        info_in(&self.info, chan_info)
    }

    /// Returns what handlers are shown.
    pub(crate) fn view(&self, transport: &dyn Transport) -> ClientView {
        let rare = self.rare.as_deref();
        ClientView {
            client: Arc::clone(&self.info.client),
            user: Arc::clone(&self.info.user),
            info: self.info.conn_info.bytes(),
            meta: rare.map_or_else(Bytes::new, |rare| rare.meta.clone()),
            transport: transport.name(),
            encoding: transport.encoding(),
            headers: rare.and_then(|rare| rare.headers.clone()),
        }
    }
}

/// Returns what others may know about a client in a channel that adds `chan_info` to it.
pub(crate) fn info_in(info: &Arc<ClientInfo>, chan_info: &RareBytes) -> Arc<ClientInfo> {
    match chan_info.is_empty() {
        true => Arc::clone(info),
        false => Arc::new(ClientInfo {
            chan_info: chan_info.clone(),
            ..ClientInfo::clone(info)
        }),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => write!(f, "error {}: {}", error.code, error.message),
            Self::Disconnect(disconnect) => write!(f, "disconnect {disconnect}"),
            Self::Closed => f.write_str("the client is gone"),
        }
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::Error(code.into())
    }
}

impl From<Disconnect> for Failure {
    fn from(disconnect: Disconnect) -> Self {
        Self::Disconnect(disconnect)
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Error(error) => Self::Error(error),
            Rejection::Disconnect(disconnect) => Self::Disconnect(disconnect),
        }
    }
}

impl From<BrokerError> for Failure {
    fn from(error: BrokerError) -> Self {
        // A client can repeat it, and the broker has told what the operator must know.
        tracing::debug!(%error, "a client's command failed");
        ErrorCode::Internal.into()
    }
}
