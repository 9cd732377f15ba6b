//! One order, from its parameters to its result.

use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use sockeye::MemoryBudget;
use sockeye_hub::{ErrorCode, Node};

use super::{
    failure::Failure,
    order::{BatchCommand, BatchOrder, Order},
    pattern::Pattern,
    request,
    result::{
        self, BatchReply, BatchResult, BroadcastResult, ChannelsResult, Empty, HistoryResult,
        InfoResult, MapChangeResult, MapEntry, MapPosition, MapStateResult, MapStatsResult,
        MapStreamResult, OrderResult, PresenceResult, PresenceStatsResult, PublishResult, Reply,
    },
    room::AnswerRoom,
};
use crate::api::ApiMetrics;

/// Commands in one batch, and channels in one broadcast.
const PARTS_MAX: usize = 10_000;

/// Bytes. What a publication or a client takes in an answer beside its payloads, about.
const ITEM_BYTES: usize = 128;

/// Bytes. What a channel takes in an answer beside its name, about.
const CHANNEL_BYTES: usize = 64;

/// Channels in one answer; a node may have millions.
const CHANNELS_MAX: usize = 100_000;

/// Entries of a map in one answer. The cursor gets the others.
const ENTRIES_MAX: usize = 100_000;

/// Bytes. Data of entries of a map in one answer, but at least one page. Others follow with its cursor.
const ENTRY_BYTES_MAX: usize = 16 << 20;

/// What carries out orders. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) node: Node,
    pub(crate) metrics: ApiMetrics,
    pub(crate) budget: MemoryBudget,
}

impl Orders {
    /// Carries out an order.
    pub(super) async fn execute(
        &self,
        order: Order,
        room: &AnswerRoom,
    ) -> Result<OrderResult, Failure> {
        let method = order.method();
        let begun = Instant::now();
        let result = self.carry_out(order, room).await;
        self.metrics.executed(method, begun.elapsed());
        if let Err(failure) = &result {
            self.metrics.failed(method, failure.code);
        }
        result
    }

    async fn carry_out(&self, order: Order, room: &AnswerRoom) -> Result<OrderResult, Failure> {
        let node = &self.node;
        Ok(match order {
            Order::Publish(request) => publish(node, request).await?.into(),
            Order::Broadcast(request) => broadcast(node, request).await?.into(),
            Order::Subscribe(clients, request) => subscribe(node, clients, &request).await?.into(),
            Order::Unsubscribe(clients, request) => unsubscribe(node, clients, &request)?.into(),
            Order::Disconnect(clients, request) => disconnect(node, clients, request)?.into(),
            Order::Refresh(clients, request) => refresh(node, clients, &request)?.into(),
            Order::Presence(request) => presence(node, &request, room).await?.into(),
            Order::PresenceStats(request) => presence_stats(node, &request)?.into(),
            Order::History(request) => history(node, &request, room).await?.into(),
            Order::HistoryRemove(request) => history_remove(node, &request).await?.into(),
            Order::MapPublish(request) => map_publish(node, request).await?.into(),
            Order::MapRemove(request) => map_remove(node, &request).await?.into(),
            Order::MapReadState(request) => map_read_state(node, &request, room).await?.into(),
            Order::MapReadStream(request) => map_read_stream(node, &request, room).await?.into(),
            Order::MapStats(request) => map_stats(node, &request).await?.into(),
            Order::MapClear(request) => map_clear(node, &request).await?.into(),
            Order::Channels(request) => channels(node, &request, room).await?.into(),
            Order::Info => info(node).into(),
            Order::Batch(request) => batch(self, request, room).await?.into(),
            Order::Rpc(request) if request.method.is_empty() => {
                return Err(ErrorCode::BadRequest.into());
            }
            // This server has no procedures for back ends.
            Order::Rpc(_) => return Err(ErrorCode::MethodNotFound.into()),
        })
    }
}

async fn publish(node: &Node, request: request::Publish) -> Result<PublishResult, Failure> {
    let data = request.data()?;
    let channel = request.channel.clone();
    let published = node.publish(&channel, data, request.publishing()).await?;
    Ok(PublishResult::of(&published))
}

async fn broadcast(node: &Node, request: request::Publish) -> Result<BroadcastResult, Failure> {
    let data = request.data()?;
    let channels = request.channels.clone();
    if channels.is_empty() || channels.len() > PARTS_MAX {
        return Err(ErrorCode::BadRequest.into());
    }
    let publishing = request.publishing();
    let mut responses = Vec::with_capacity(channels.len());
    for channel in channels {
        let published = node
            .publish(&channel, data.clone(), publishing.clone())
            .await;
        responses.push(match published {
            Ok(published) => Reply::Result {
                result: PublishResult::of(&published),
            },
            Err(error) => Reply::Error {
                error: error.into(),
            },
        });
    }
    Ok(BroadcastResult { responses })
}

async fn subscribe(
    node: &Node,
    clients: request::Clients,
    request: &request::Subscribe,
) -> Result<Empty, Failure> {
    node.subscribe(
        &clients.user,
        &request.channel,
        &clients.filter(),
        request.subscribing()?,
    )
    .await?;
    Ok(Empty {})
}

fn unsubscribe(
    node: &Node,
    clients: request::Clients,
    request: &request::OfChannel,
) -> Result<Empty, Failure> {
    // No channel means none here, while it means all of the client's for `Node::unsubscribe`.
    if !request.channel.is_empty() {
        node.unsubscribe(&clients.user, &request.channel, &clients.filter())?;
    }
    Ok(Empty {})
}

fn disconnect(
    node: &Node,
    clients: request::Clients,
    request: request::Disconnect,
) -> Result<Empty, Failure> {
    let disconnect = request.disconnect()?;
    node.disconnect(&clients.user, &clients.filter(), &disconnect);
    Ok(Empty {})
}

fn refresh(
    node: &Node,
    clients: request::Clients,
    request: &request::Refresh,
) -> Result<Empty, Failure> {
    node.refresh(&clients.user, &clients.filter(), &request.refreshing());
    Ok(Empty {})
}

async fn presence(
    node: &Node,
    request: &request::OfChannel,
    room: &AnswerRoom,
) -> Result<PresenceResult, Failure> {
    let clients = node.presence(&request.channel)?;
    let bytes = clients.iter().map(|info| {
        let payloads = info.conn_info.len() + info.chan_info.len();
        ITEM_BYTES + info.user.len() + info.client.len() + payloads
    });
    room.lock().await.take(bytes.sum()).await?;
    let presence = clients.iter().map(|info| {
        let client = info.client.to_string();
        (client, result::ClientInfo::of(info))
    });
    Ok(PresenceResult {
        presence: presence.collect(),
    })
}

fn presence_stats(
    node: &Node,
    request: &request::OfChannel,
) -> Result<PresenceStatsResult, Failure> {
    let stats = node.presence_stats(&request.channel)?;
    Ok(PresenceStatsResult {
        num_clients: stats.num_clients,
        num_users: stats.num_users,
    })
}

/// Fails when the answer can't have more, and returns fewer publications than are asked for when it can't have all.
async fn history(
    node: &Node,
    request: &request::HistoryOf,
    room: &AnswerRoom,
) -> Result<HistoryResult, Failure> {
    // Locked until the history is read, so that those of a parallel batch don't take the same bytes.
    let mut locked = room.lock().await;
    let mut query = request.query();
    query.bytes_max = Some(locked.bytes_left()?);
    let history = node.history(&request.channel, query).await?;
    let publications = history.publications.iter();
    let bytes = publications.clone().map(|publication| {
        let tags = publication.tags.iter();
        let tags: usize = tags.map(|(name, value)| name.len() + value.len()).sum();
        let info = publication.info.as_ref();
        let info = info.map_or(0, |info| info.conn_info.len() + info.chan_info.len());
        ITEM_BYTES + publication.data.len() + tags + info
    });
    locked.take_last(bytes.sum()).await?;
    drop(locked);
    Ok(HistoryResult {
        publications: publications
            .map(|publication| result::Publication::of(publication))
            .collect(),
        offset: history.position.offset,
        epoch: history.position.epoch.as_str().to_owned(),
    })
}

async fn history_remove(node: &Node, request: &request::OfChannel) -> Result<Empty, Failure> {
    node.remove_history(&request.channel).await?;
    Ok(Empty {})
}

async fn map_publish(
    node: &Node,
    request: request::MapPublish,
) -> Result<MapChangeResult, Failure> {
    let data = request.data()?;
    let (channel, key) = (request.channel.clone(), request.key.clone());
    let how = request.publishing()?;
    let changed = node.map_publish(&channel, &key, data, how).await?;
    Ok(MapChangeResult::of(&changed))
}

async fn map_remove(node: &Node, request: &request::MapRemove) -> Result<MapChangeResult, Failure> {
    let idempotency_key = request.idempotency_key();
    let changed = node.map_remove(&request.channel, &request.key, idempotency_key);
    Ok(MapChangeResult::of(&changed.await?))
}

async fn map_read_state(
    node: &Node,
    request: &request::MapReadState,
    room: &AnswerRoom,
) -> Result<MapStateResult, Failure> {
    // As with histories.
    let mut room = room.lock().await;
    room.bytes_left()?;
    let mut query = request.query();
    let mut entries = Vec::new();
    let mut bytes = 0;
    loop {
        let state = node.map_state(&request.channel, query.clone()).await?;
        if !request.accepts(state.position.epoch.as_str()) {
            return Err(ErrorCode::UnrecoverablePosition.into());
        }
        bytes += state.entries.iter().map(|it| it.data.len()).sum::<usize>();
        entries.extend(state.entries.iter().map(|entry| MapEntry::of(entry)));
        let next = state.next.map(|key| key.to_string());
        let is_full = entries.len() >= ENTRIES_MAX || bytes >= ENTRY_BYTES_MAX;
        if next.is_none() || !request.wants_all() || is_full {
            room.take_last(bytes + entries.len() * ITEM_BYTES).await?;
            return Ok(MapStateResult {
                entries,
                position: MapPosition::of(&state.position),
                cursor: next,
            });
        }
        query.after = next;
    }
}

async fn map_read_stream(
    node: &Node,
    request: &request::MapReadStream,
    room: &AnswerRoom,
) -> Result<MapStreamResult, Failure> {
    let mut room = room.lock().await;
    room.bytes_left()?;
    let history = node.map_stream(&request.channel, request.query()).await?;
    let changes = history.publications.iter();
    let bytes = changes.clone().map(|it| ITEM_BYTES + it.data.len()).sum();
    room.take_last(bytes).await?;
    Ok(MapStreamResult {
        entries: changes.map(|change| MapEntry::of(change)).collect(),
        position: MapPosition::of(&history.position),
    })
}

async fn map_stats(node: &Node, request: &request::OfChannel) -> Result<MapStatsResult, Failure> {
    let num_keys = node.map_len(&request.channel).await?;
    Ok(MapStatsResult {
        num_keys: num_keys as u64,
    })
}

async fn map_clear(node: &Node, request: &request::OfChannel) -> Result<Empty, Failure> {
    node.map_clear(&request.channel).await?;
    Ok(Empty {})
}

async fn channels(
    node: &Node,
    request: &request::Channels,
    room: &AnswerRoom,
) -> Result<ChannelsResult, Failure> {
    let pattern = Pattern::new(&request.pattern).map_err(|_| ErrorCode::BadRequest)?;
    let channels = node.channels();
    let channels = channels
        .into_iter()
        .filter(|(channel, _)| pattern.matches(channel));
    let channels: Vec<_> = channels.take(CHANNELS_MAX).collect();
    let bytes = channels
        .iter()
        .map(|(channel, _)| CHANNEL_BYTES + channel.len());
    room.lock().await.take(bytes.sum()).await?;
    let channels = channels.into_iter().map(|(channel, num_clients)| {
        let info = result::ChannelInfo { num_clients };
        (channel.to_string(), info)
    });
    Ok(ChannelsResult {
        channels: channels.collect(),
    })
}

fn info(node: &Node) -> InfoResult {
    let info = node.info();
    InfoResult {
        nodes: vec![result::NodeInfo {
            uid: info.uid,
            name: info.name,
            version: info.version,
            num_clients: info.num_clients,
            num_users: info.num_users,
            num_subs: info.num_subs,
            num_channels: info.num_channels,
            uptime: info.uptime.as_secs(),
        }],
    }
}

/// Carries out several orders. Each has its own result or error, in the order of the commands.
async fn batch(
    orders: &Orders,
    request: BatchOrder,
    room: &AnswerRoom,
) -> Result<BatchResult, Failure> {
    if request.commands.len() > PARTS_MAX {
        return Err(ErrorCode::BadRequest.into());
    }
    let commands = request.commands.into_iter();
    let replies = commands.map(|command| part_of_batch(orders, command, room));
    let replies = match request.parallel {
        true => join_all(replies).await,
        false => {
            let mut done = Vec::new();
            for reply in replies {
                done.push(reply.await);
            }
            done
        }
    };
    Ok(BatchResult { replies })
}

/// Boxed, since a batch could hold a batch; it may not.
fn part_of_batch<'a>(
    orders: &'a Orders,
    command: BatchCommand,
    room: &'a AnswerRoom,
) -> BoxFuture<'a, BatchReply> {
    async move {
        let order = match command {
            BatchCommand::Null => return BatchReply::Error(ErrorCode::BadRequest.into()),
            BatchCommand::Unknown => return BatchReply::Error(ErrorCode::MethodNotFound.into()),
            BatchCommand::Order(order) => *order,
        };
        let method = order.method();
        match orders.execute(order, room).await {
            Ok(result) => BatchReply::Result(method, result),
            Err(failure) => BatchReply::Error(failure),
        }
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn histories_and_presence_in_one_answer_have_so_many_bytes_together() {
        use sockeye_hub::namespace::{ChannelConfig, ChannelOptions, Namespaces};
        let options = ChannelOptions {
            history_size: 10,
            history_ttl: std::time::Duration::from_secs(60),
            presence: true,
            ..ChannelOptions::default()
        };
        let namespaces = Namespaces::new(ChannelConfig {
            without_namespace: options,
            ..ChannelConfig::default()
        });
        let node = Node::builder(namespaces.unwrap()).start();
        for _ in 0..4 {
            let data = format!("\"{}\"", "x".repeat(1_000));
            let published = node.publish("news", data, sockeye_hub::Publishing::default());
            published.await.unwrap();
        }
        let history_of: request::HistoryOf =
            serde_json::from_str(r#"{"channel":"news","limit":-1}"#).unwrap();
        let room = AnswerRoom::with(6_000, &MemoryBudget::new(1 << 20));
        let count = async || {
            let answer = history(&node, &history_of, &room).await;
            answer.map(|history| history.publications.len())
        };
        assert_eq!(count().await.unwrap(), 4);
        assert_eq!(count().await.unwrap(), 1);
        // One publication comes in any case, as long as there is any room.
        assert_eq!(count().await.unwrap(), 1);
        let limit = Failure::from(ErrorCode::LimitExceeded);
        assert_eq!(count().await.unwrap_err().code, limit.code);
    }
}
