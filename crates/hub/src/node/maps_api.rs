//! Maps: what a back end can do with them, and what the node does for its clients.

use std::{
    future::Future,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::{Node, NodeShared, VERSION_EPOCH_BYTES_MAX, shared::accepts};
use crate::{
    ApiError, BrokerError, ClientInfo, Epoch, History, HistoryQuery, KEY_BYTES_MAX, MapChanged,
    MapCondition, MapStateQuery, Publication, StreamPosition, Tags,
    map::Change,
    metrics::{ItemKind, MapChangeKind},
    namespace::{PublicationDataFormat, ResolvedChannel},
};

/// How an entry of a map is set. The default sets it in any case.
#[derive(Clone, Debug, Default)]
pub struct MapPublishing {
    /// What filters look at.
    pub tags: Tags,
    /// A change with a key that the map has seen within five minutes is answered as the first was, and does not happen again.
    pub idempotency_key: Option<String>,
    /// A change whose version isn't above the entry's does not happen. 0: no version. Only where the map has a stream.
    pub version: u64,
    /// Names the counter of `version`. At most [`VERSION_EPOCH_BYTES_MAX`] bytes, since the entry keeps it.
    pub version_epoch: String,
    /// Whether the entry must be there.
    pub condition: MapCondition,
}

/// Entries of a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapState {
    /// What has set them, in the order of their keys.
    pub entries: Vec<Arc<Publication>>,
    /// The last key, if others follow.
    pub next: Option<Arc<str>>,
    /// All changes up to here are in the entries. The offset is 0 where the map has no stream.
    pub position: StreamPosition,
}

impl Node {
    /// Sets an entry of a map. The answer comes after all subscribers on this node have been given it.
    ///
    /// # Errors
    ///
    /// The channel is unknown or no map, it doesn't take this payload, the key is empty or longer than [`KEY_BYTES_MAX`], or
    /// the broker failed.
    ///
    /// # Cancel safety
    ///
    /// A change that was begun may happen.
    pub async fn map_publish(
        &self,
        channel: &str,
        key: &str,
        data: impl Into<Bytes>,
        how: MapPublishing,
    ) -> Result<MapChanged, ApiError> {
        let node = self.shared();
        let resolved = node.resolve_map(channel)?;
        let change = node.change_of(&resolved, key, Some(data.into()), how)?;
        Ok(node.change_map(channel, change).await?)
    }

    /// Removes an entry of a map.
    ///
    /// # Errors
    ///
    /// As [`Node::map_publish`].
    ///
    /// # Cancel safety
    ///
    /// A change that was begun may happen.
    pub async fn map_remove(
        &self,
        channel: &str,
        key: &str,
        idempotency_key: Option<String>,
    ) -> Result<MapChanged, ApiError> {
        let node = self.shared();
        let resolved = node.resolve_map(channel)?;
        let how = MapPublishing {
            idempotency_key,
            ..MapPublishing::default()
        };
        let change = node.change_of(&resolved, key, None, how)?;
        Ok(node.change_map(channel, change).await?)
    }

    /// Returns entries of a map: at most as many as were asked for, and fewer where they are large.
    ///
    /// # Errors
    ///
    /// The channel is unknown or no map, or the broker failed.
    pub async fn map_state(
        &self,
        channel: &str,
        query: MapStateQuery,
    ) -> Result<MapState, ApiError> {
        let node = Arc::clone(self.shared());
        node.resolve_map(channel)?;
        let channel: Arc<str> = channel.into();
        Ok(to_the_end(async move { node.map_state(&channel, &query).await }).await?)
    }

    /// Returns changes of a map, and its position.
    ///
    /// # Errors
    ///
    /// The channel is unknown or no map, the epoch is another one, or the broker failed.
    pub async fn map_stream(
        &self,
        channel: &str,
        mut query: HistoryQuery,
    ) -> Result<History, ApiError> {
        // Removes what has expired, which is a change.
        let state = self.map_state(channel, MapStateQuery::default()).await?;
        let node = self.shared();
        let options = node.resolve_map(channel)?.options;
        let since = query.since.as_ref();
        let is_other =
            since.is_some_and(|it| !it.epoch.is_empty() && it.epoch != state.position.epoch);
        if is_other {
            return Err(ApiError::UnrecoverablePosition);
        }
        if !options.map.has_stream() {
            return Ok(History {
                publications: Vec::new(),
                position: state.position,
            });
        }
        query.meta_ttl = options.map.meta_ttl();
        Ok(node.broker.history(&channel.into(), query).await?)
    }

    /// Returns the number of entries of a map.
    ///
    /// # Errors
    ///
    /// As [`Node::map_state`].
    pub async fn map_len(&self, channel: &str) -> Result<usize, ApiError> {
        let node = Arc::clone(self.shared());
        node.resolve_map(channel)?;
        let channel: Arc<str> = channel.into();
        let len = async move {
            let options = node.map_options(&channel)?;
            node.maps
                .len(&*node.broker, &channel, options.options)
                .await
        };
        Ok(to_the_end(len).await?)
    }

    /// Removes all entries of a map, each by a change that subscribers get.
    ///
    /// # Errors
    ///
    /// As [`Node::map_state`].
    ///
    /// # Cancel safety
    ///
    /// What was begun goes on.
    pub async fn map_clear(&self, channel: &str) -> Result<(), ApiError> {
        let node = Arc::clone(self.shared());
        node.resolve_map(channel)?;
        let channel: Arc<str> = channel.into();
        let cleared = async move {
            let options = node.map_options(&channel)?;
            node.maps
                .clear(&*node.broker, &channel, options.options)
                .await
        };
        Ok(to_the_end(cleared).await?)
    }

    /// Returns about how many bytes the entries of all maps take.
    #[must_use]
    pub fn map_bytes(&self) -> usize {
        self.shared().maps.bytes()
    }
}

impl NodeShared {
    fn resolve_map<'a>(&'a self, channel: &'a str) -> Result<ResolvedChannel<'a>, ApiError> {
        let resolved = self.namespaces.resolve_trusted(channel)?;
        match resolved.options.subscription_type.is_map() {
            true => Ok(resolved),
            false => Err(ApiError::BadRequest("the channel is no map")),
        }
    }

    /// Returns a change of a map that is known to be one; without `data` it removes the entry.
    ///
    /// # Errors
    /// What makes no sense.
    pub(crate) fn change_of(
        &self,
        resolved: &ResolvedChannel<'_>,
        key: &str,
        data: Option<Bytes>,
        how: MapPublishing,
    ) -> Result<Change, ApiError> {
        if data.as_ref().is_some_and(|data| !takes(resolved, data)) {
            return Err(ApiError::BadRequest("the map does not take this payload"));
        }
        if how.version > 0 && !resolved.options.map.has_stream() {
            return Err(ApiError::BadRequest(
                "entries of maps without a stream have no versions",
            ));
        }
        if how.version_epoch.len() > VERSION_EPOCH_BYTES_MAX {
            return Err(ApiError::BadRequest("the version's epoch is too long"));
        }
        Ok(Change {
            key: checked_key(key)?,
            data,
            tags: how.tags,
            info: None,
            time: self.now(),
            idempotency_key: how.idempotency_key.map(Into::into),
            version: how.version,
            version_epoch: Epoch::new(&how.version_epoch),
            condition: how.condition,
        })
    }

    /// Changes an entry of a map that is known to be one.
    pub(crate) async fn change_map(
        self: &Arc<Self>,
        channel: &str,
        change: Change,
    ) -> Result<MapChanged, BrokerError> {
        self.recorder.to_broker(ItemKind::Publication);
        let node = Arc::clone(self);
        let channel: Arc<str> = channel.into();
        let kind = match change.data {
            Some(_) => MapChangeKind::Publish,
            None => MapChangeKind::Remove,
        };
        let changed = async move {
            let options = node.map_options(&channel)?.options;
            node.maps
                .change(&*node.broker, &channel, options, change)
                .await
        };
        let changed = to_the_end(changed).await?;
        if let Some(reason) = changed.suppressed {
            self.recorder.suppressed(kind, reason);
        }
        Ok(changed)
    }

    /// Returns entries of a map that is known to be one.
    ///
    /// # Cancel safety
    ///
    /// It must not be dropped before it ends.
    pub(crate) async fn map_state(
        &self,
        channel: &Arc<str>,
        query: &MapStateQuery,
    ) -> Result<MapState, BrokerError> {
        let options = self.map_options(channel)?.options;
        let state = self.maps.state(&*self.broker, channel, options, query);
        let (page, position) = state.await?;
        Ok(MapState {
            entries: page.entries,
            next: page.next,
            position,
        })
    }

    pub(crate) async fn enter_map(
        &self,
        channel: &Arc<str>,
        key: &Arc<str>,
        info: Option<Arc<ClientInfo>>,
    ) -> Result<(), BrokerError> {
        let options = self.map_options(channel)?.options;
        self.maps
            .enter(&*self.broker, channel, options, key, info)
            .await
    }

    pub(crate) async fn leave_map(
        &self,
        channel: &Arc<str>,
        key: &Arc<str>,
    ) -> Result<(), BrokerError> {
        let options = self.map_options(channel)?.options;
        self.maps.leave(&*self.broker, channel, options, key).await
    }

    pub(crate) async fn remove_from_map(
        &self,
        channel: &Arc<str>,
        key: Arc<str>,
    ) -> Result<(), BrokerError> {
        let options = self.map_options(channel)?.options;
        let change = Change {
            key,
            time: self.now(),
            ..Change::default()
        };
        let removed = self.maps.change(&*self.broker, channel, options, change);
        removed.await.map(drop)
    }

    fn map_options<'a>(&'a self, channel: &'a str) -> Result<ResolvedChannel<'a>, BrokerError> {
        self.resolve_map(channel)
            .map_err(|error| BrokerError::Unavailable {
                message: error.to_string(),
            })
    }
}

/// Returns a key that an entry may have.
fn checked_key(key: &str) -> Result<Arc<str>, ApiError> {
    match key.len() {
        0 => Err(ApiError::BadRequest("the key is empty")),
        length if length > KEY_BYTES_MAX => Err(ApiError::BadRequest("the key is too long")),
        _ => Ok(key.into()),
    }
}

/// Whether a map takes this payload. Where nothing is said about payloads, an entry may be its key alone.
fn takes(resolved: &ResolvedChannel<'_>, data: &[u8]) -> bool {
    let format = resolved.publication_data_format;
    accepts(format, data) || format == PublicationDataFormat::NotEmpty
}

/// Runs a future to its end, also when the caller is dropped: in a task, unless it ends at once.
async fn to_the_end<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let mut future = Box::pin(future);
    // The context must be gone before anything is awaited.
    let polled = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => match tokio::spawn(future).await {
            Ok(result) => result,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        },
    }
}
