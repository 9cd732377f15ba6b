//! Who is subscribed to a channel, on all nodes that share a store.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use bytes::Bytes;

use super::{DeviceGuard, Limits, Presence, Store};
use crate::{ClientInfo, Clock, StoreError};

/// The clients that are subscribed to channels with presence, on all nodes that share a store. Cheap to clone.
///
/// A node enters its clients and takes them out. The store's task tells the other nodes, and renews a lease for all of
/// this node's clients together: those of a node that dies are gone when its lease has ended. No client waits for the
/// store, which may be slow or away; then a node knows its own clients, and for the time of a lease those of the others.
///
/// A node without it ([`NodeBuilder::channel_presence`](crate::NodeBuilder::channel_presence)) knows its own clients alone.
#[derive(Clone)]
pub struct ChannelPresence(Presence);

/// Bytes of what is kept about a client in a channel, as text. What others may know about a client is left out beyond it:
/// its user and its id stay.
pub const CHANNEL_CLIENT_BYTES_MAX: usize = 16 << 10;

impl ChannelPresence {
    /// Returns the limits of its store.
    #[must_use]
    pub fn limits() -> Limits {
        Limits {
            name_bytes_max: NAME_BYTES_MAX,
            device_bytes_max: CHANNEL_CLIENT_BYTES_MAX,
            last_seen_max: 0,
            ..Limits::default()
        }
    }

    /// Opens the store, which must have been made with [`ChannelPresence::limits`], and spawns the task that saves to it.
    ///
    /// # Errors
    ///
    /// As [`Presence::open`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn open(clock: Arc<dyn Clock>, store: impl Store) -> Result<Self, StoreError> {
        let opened = Presence::open_as("presence of channels", Self::limits(), clock, store);
        Ok(Self(opened.await?))
    }

    /// Takes out all clients of this node and closes the store.
    pub async fn close(&self) {
        self.0.close().await;
    }

    /// Returns the store's current error in one line; `None` if the store works.
    #[must_use]
    pub fn store_error(&self) -> Option<String> {
        self.0.store_error()
    }

    /// Enters a client of this node, until the guard is dropped.
    pub(crate) fn enter(&self, channel: &str, info: &ClientInfo) -> DeviceGuard {
        let name = format!("{}{}", prefix(channel), info.client);
        let text = to_text(info, &info.conn_info, &info.chan_info);
        let text = match text.len() <= CHANNEL_CLIENT_BYTES_MAX {
            true => text,
            false => to_text(info, &[], &[]),
        };
        self.0.join(name, text)
    }

    /// Returns the clients in a channel, on all nodes.
    pub(crate) fn clients(&self, channel: &str) -> Vec<Arc<ClientInfo>> {
        let prefix = prefix(channel);
        self.0.with_prefix(&prefix, |name, device| {
            let client = name.strip_prefix(&prefix)?;
            from_text(client, &device.name).map(Arc::new)
        })
    }
}

/// Bytes. The longest name of a channel, its length before it, and the id of a connection.
const NAME_BYTES_MAX: usize = 512;

/// Returns what the names of a channel's clients begin with, and those of no other channel.
fn prefix(channel: &str) -> String {
    format!("{}:{channel}:", channel.len())
}

/// Payloads may be any bytes, so they are base64.
fn to_text(info: &ClientInfo, conn_info: &[u8], chan_info: &[u8]) -> String {
    let infos = [conn_info, chan_info].map(|info| BASE64.encode(info));
    let [conn_info, chan_info] = infos;
    format!("{conn_info} {chan_info} {}", info.user)
}

fn from_text(client: &str, text: &str) -> Option<ClientInfo> {
    let mut parts = text.splitn(3, ' ');
    let mut info = || BASE64.decode(parts.next()?).ok().map(Bytes::from);
    let (conn_info, chan_info) = (info()?, info()?);
    Some(ClientInfo {
        user: parts.next()?.into(),
        client: client.into(),
        conn_info: conn_info.into(),
        chan_info: chan_info.into(),
    })
}

impl fmt::Debug for ChannelPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelPresence")
            .field("clients", &self.0.count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RareBytes, SystemClock};

    fn info(user: &str, client: &str) -> ClientInfo {
        ClientInfo {
            user: user.into(),
            client: client.into(),
            conn_info: Bytes::from_static(b"\xff\x00 any").into(),
            chan_info: RareBytes::default(),
        }
    }

    fn presence() -> ChannelPresence {
        let limits = ChannelPresence::limits();
        ChannelPresence(Presence::in_memory(limits, Arc::new(SystemClock)))
    }

    #[test]
    fn clients_are_in_their_channel_and_in_no_other() {
        let presence = presence();
        let names = ["a", "a:b", "ab", "", "1:a:", "a b"];
        let guards: Vec<_> = names
            .iter()
            .map(|channel| presence.enter(channel, &info("ann bell", channel)))
            .collect();
        for channel in names {
            let clients = presence.clients(channel);
            assert_eq!(clients.len(), 1, "{channel}");
            assert_eq!(*clients[0], info("ann bell", channel));
        }
        drop(guards);
        assert!(presence.clients("a").is_empty());
    }

    #[test]
    fn who_has_gone_leaves_nothing_behind() {
        let presence = presence();
        drop(presence.enter("a", &info("ann", "1")));
        assert_eq!(presence.0.last_seen("1:a:1"), None);
    }

    #[test]
    fn information_that_is_too_long_is_left_out() {
        let presence = presence();
        let mut large = info("ann", "1");
        large.conn_info = Bytes::from(vec![7; CHANNEL_CLIENT_BYTES_MAX]).into();
        let _guard = presence.enter("a", &large);
        let clients = presence.clients("a");
        assert_eq!((&*clients[0].user, clients[0].conn_info.len()), ("ann", 0));
    }
}
