//! One order, from its parameters to its result.

use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sockeye_hub::{ErrorCode, Node};

use super::{
    failure::Failure,
    request,
    result::{
        self, BatchReply, BatchResult, BroadcastResult, ChannelsResult, Empty, HistoryResult,
        InfoResult, OrderResult, PresenceResult, PresenceStatsResult, PublishResult, Reply,
    },
};
use crate::api::ApiMetrics;

/// Commands in one batch, and channels in one broadcast.
const PARTS_MAX: usize = 10_000;

/// Channels in one answer; a node may have millions.
const CHANNELS_MAX: usize = 100_000;

/// The orders.
pub(super) const METHODS: [&str; 14] = [
    "batch",
    "broadcast",
    "channels",
    "disconnect",
    "history",
    "history_remove",
    "info",
    "presence",
    "presence_stats",
    "publish",
    "refresh",
    "rpc",
    "subscribe",
    "unsubscribe",
];

/// What carries out orders. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) node: Node,
    pub(crate) metrics: ApiMetrics,
}

impl Orders {
    /// Carries out the order `method`.
    pub(super) async fn execute(
        &self,
        method: &str,
        params: &RawValue,
    ) -> Result<OrderResult, Failure> {
        let begun = Instant::now();
        let result = self.carry_out(method, params).await;
        // A name that the back end made up would be a label of its own.
        let known = METHODS.iter().find(|known| **known == method);
        let method = known.copied().unwrap_or("unknown");
        self.metrics.executed(method, begun.elapsed());
        if let Err(failure) = &result {
            self.metrics.failed(method, failure.code);
        }
        result
    }

    async fn carry_out(&self, method: &str, params: &RawValue) -> Result<OrderResult, Failure> {
        let node = &self.node;
        Ok(match method {
            "publish" => publish(node, read(params)?).await?.into(),
            "broadcast" => broadcast(node, read(params)?).await?.into(),
            "subscribe" => subscribe(node, read(params)?, &read(params)?).await?.into(),
            "unsubscribe" => unsubscribe(node, read(params)?, &read(params)?)?.into(),
            "disconnect" => disconnect(node, read(params)?, read(params)?)?.into(),
            "refresh" => refresh(node, read(params)?, &read(params)?)?.into(),
            "presence" => presence(node, &read(params)?)?.into(),
            "presence_stats" => presence_stats(node, &read(params)?)?.into(),
            "history" => history(node, &read(params)?).await?.into(),
            "history_remove" => history_remove(node, &read(params)?).await?.into(),
            "channels" => channels(node, &read(params)?).into(),
            "info" => info(node).into(),
            "batch" => batch(self, read(params)?).await?.into(),
            // Also `rpc`: this server has no procedures for back ends.
            _ => return Err(ErrorCode::MethodNotFound.into()),
        })
    }
}

/// Reads parameters. What isn't an object of the right form is a bad request.
fn read<T: DeserializeOwned>(params: &RawValue) -> Result<T, Failure> {
    serde_json::from_str(params.get()).map_err(|error| {
        tracing::debug!(%error, "an order has wrong parameters");
        ErrorCode::BadRequest.into()
    })
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
    node.refresh(&clients.user, &clients.filter(), request.expire_at());
    Ok(Empty {})
}

fn presence(node: &Node, request: &request::OfChannel) -> Result<PresenceResult, Failure> {
    let clients = node.presence(&request.channel)?;
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

async fn history(node: &Node, request: &request::HistoryOf) -> Result<HistoryResult, Failure> {
    let history = node.history(&request.channel, request.query()).await?;
    let publications = history.publications.iter();
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

fn channels(node: &Node, request: &request::Channels) -> ChannelsResult {
    let pattern = Pattern(&request.pattern);
    let channels = node.channels();
    let channels = channels
        .into_iter()
        .filter(|(channel, _)| pattern.matches(channel));
    let channels = channels.take(CHANNELS_MAX).map(|(channel, num_clients)| {
        let info = result::ChannelInfo { num_clients };
        (channel.to_string(), info)
    });
    ChannelsResult {
        channels: channels.collect(),
    }
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
async fn batch(orders: &Orders, request: request::Batch) -> Result<BatchResult, Failure> {
    if request.commands.len() > PARTS_MAX {
        return Err(ErrorCode::BadRequest.into());
    }
    let replies = request
        .commands
        .iter()
        .map(|command| part_of_batch(orders, command.as_ref()));
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
    command: Option<&'a std::collections::BTreeMap<String, Box<RawValue>>>,
) -> BoxFuture<'a, BatchReply> {
    async move {
        let bad = || BatchReply::Error(ErrorCode::BadRequest.into());
        let Some((method, params)) = command.and_then(|command| command.iter().next()) else {
            return bad();
        };
        if method == "batch" {
            return bad();
        }
        match orders.execute(method, params).await {
            Ok(result) => BatchReply::Result(method.clone(), result),
            Err(failure) => BatchReply::Error(failure),
        }
    }
    .boxed()
}

/// A pattern of channel names: `*` is any text, also none, `?` any character. An empty one matches all.
struct Pattern<'a>(&'a str);

impl Pattern<'_> {
    /// Takes time in proportion to both lengths at most.
    fn matches(&self, name: &str) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut in_name) = (0, 0);
        // Where the last star is, and how much of the name it takes.
        let mut star: Option<(usize, usize)> = None;
        while in_name < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, in_name));
                    at += 1;
                }
                Some(byte) if *byte == b'?' || *byte == name[in_name] => {
                    at += 1;
                    in_name += 1;
                }
                _ => match star {
                    Some((place, taken)) => {
                        star = Some((place, taken + 1));
                        at = place + 1;
                        in_name = taken + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, matches) in [
            ("", "news", true),
            ("*", "", true),
            ("news", "news", true),
            ("news", "newsletter", false),
            ("news*", "newsletter", true),
            ("*letter", "newsletter", true),
            ("n*t*r", "newsletter", true),
            ("n?ws", "news", true),
            ("n?ws", "nws", false),
            ("chat:*", "chat:", true),
            ("*:*", "chat", false),
            ("a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(Pattern(pattern).matches(name), matches, "{pattern} {name}");
        }
    }
}
