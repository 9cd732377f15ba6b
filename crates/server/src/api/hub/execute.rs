//! One order, from its parameters to its result.

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json, value::RawValue};
use sockeye_hub::{ClientInfo, ErrorCode, Node, Publication, Published};

use super::{failure::Failure, request};

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

/// Carries out the order `method`.
pub(super) async fn execute(
    node: &Node,
    method: &str,
    params: &RawValue,
) -> Result<Value, Failure> {
    match method {
        "publish" => publish(node, read(params)?).await,
        "broadcast" => broadcast(node, read(params)?).await,
        "subscribe" => subscribe(node, read(params)?, &read(params)?).await,
        "unsubscribe" => unsubscribe(node, read(params)?, &read(params)?),
        "disconnect" => disconnect(node, read(params)?, read(params)?),
        "refresh" => refresh(node, read(params)?, &read(params)?),
        "presence" => presence(node, &read(params)?),
        "presence_stats" => presence_stats(node, &read(params)?),
        "history" => history(node, &read(params)?).await,
        "history_remove" => history_remove(node, &read(params)?).await,
        "channels" => channels(node, &read(params)?),
        "info" => Ok(info(node)),
        "batch" => batch(node, read(params)?).await,
        // Also `rpc`: this server has no procedures for back ends.
        _ => Err(ErrorCode::MethodNotFound.into()),
    }
}

/// Reads parameters. What isn't an object of the right form is a bad request.
fn read<T: DeserializeOwned>(params: &RawValue) -> Result<T, Failure> {
    serde_json::from_str(params.get()).map_err(|error| {
        tracing::debug!(%error, "an order has wrong parameters");
        ErrorCode::BadRequest.into()
    })
}

async fn publish(node: &Node, request: request::Publish) -> Result<Value, Failure> {
    let data = request.data()?;
    let channel = request.channel.clone();
    let published = node.publish(&channel, data, request.publishing()).await?;
    Ok(position_of(&published))
}

async fn broadcast(node: &Node, request: request::Publish) -> Result<Value, Failure> {
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
            Ok(published) => json!({ "result": position_of(&published) }),
            Err(error) => json!({ "error": Failure::from(error) }),
        });
    }
    Ok(json!({ "responses": responses }))
}

async fn subscribe(
    node: &Node,
    clients: request::Clients,
    request: &request::Subscribe,
) -> Result<Value, Failure> {
    node.subscribe(
        &clients.user,
        &request.channel,
        &clients.filter(),
        request.subscribing()?,
    )
    .await?;
    Ok(json!({}))
}

fn unsubscribe(
    node: &Node,
    clients: request::Clients,
    request: &request::OfChannel,
) -> Result<Value, Failure> {
    // No channel means none here, while it means all of the client's for `Node::unsubscribe`.
    if !request.channel.is_empty() {
        node.unsubscribe(&clients.user, &request.channel, &clients.filter())?;
    }
    Ok(json!({}))
}

fn disconnect(
    node: &Node,
    clients: request::Clients,
    request: request::Disconnect,
) -> Result<Value, Failure> {
    let disconnect = request.disconnect()?;
    node.disconnect(&clients.user, &clients.filter(), &disconnect);
    Ok(json!({}))
}

fn refresh(
    node: &Node,
    clients: request::Clients,
    request: &request::Refresh,
) -> Result<Value, Failure> {
    node.refresh(&clients.user, &clients.filter(), request.expire_at());
    Ok(json!({}))
}

fn presence(node: &Node, request: &request::OfChannel) -> Result<Value, Failure> {
    let clients = node.presence(&request.channel)?;
    let presence: Map<String, Value> = clients
        .iter()
        .map(|info| (info.client.to_string(), client_info(info)))
        .collect();
    Ok(json!({ "presence": presence }))
}

fn presence_stats(node: &Node, request: &request::OfChannel) -> Result<Value, Failure> {
    let stats = node.presence_stats(&request.channel)?;
    Ok(json!({ "num_clients": stats.num_clients, "num_users": stats.num_users }))
}

async fn history(node: &Node, request: &request::HistoryOf) -> Result<Value, Failure> {
    let history = node.history(&request.channel, request.query()).await?;
    let publications: Vec<Value> = history
        .publications
        .iter()
        .map(|publication| of_history(publication))
        .collect();
    Ok(json!({
        "publications": publications,
        "offset": history.position.offset,
        "epoch": history.position.epoch.as_str(),
    }))
}

async fn history_remove(node: &Node, request: &request::OfChannel) -> Result<Value, Failure> {
    node.remove_history(&request.channel).await?;
    Ok(json!({}))
}

fn channels(node: &Node, request: &request::Channels) -> Result<Value, Failure> {
    let pattern = Pattern(&request.pattern);
    let channels = node.channels();
    let channels = channels
        .into_iter()
        .filter(|(channel, _)| pattern.matches(channel));
    let channels: Map<String, Value> = channels
        .take(CHANNELS_MAX)
        .map(|(channel, clients)| (channel.to_string(), json!({ "num_clients": clients })))
        .collect();
    Ok(json!({ "channels": channels }))
}

fn info(node: &Node) -> Value {
    let info = node.info();
    json!({ "nodes": [{
        "uid": info.uid,
        "name": info.name,
        "version": info.version,
        "num_clients": info.num_clients,
        "num_users": info.num_users,
        "num_subs": info.num_subs,
        "num_channels": info.num_channels,
        "uptime": info.uptime.as_secs(),
    }] })
}

/// Carries out several orders. Each has its own result or error, in the order of the commands.
async fn batch(node: &Node, request: request::Batch) -> Result<Value, Failure> {
    if request.commands.len() > PARTS_MAX {
        return Err(ErrorCode::BadRequest.into());
    }
    let replies = request
        .commands
        .iter()
        .map(|command| part_of_batch(node, command.as_ref()));
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
    Ok(json!({ "replies": replies }))
}

/// Boxed, since a batch could hold a batch; it may not.
fn part_of_batch<'a>(
    node: &'a Node,
    command: Option<&'a std::collections::BTreeMap<String, Box<RawValue>>>,
) -> BoxFuture<'a, Value> {
    async move {
        let bad = || json!({ "error": Failure::from(ErrorCode::BadRequest) });
        let Some((method, params)) = command.and_then(|command| command.iter().next()) else {
            return bad();
        };
        if method == "batch" {
            return bad();
        }
        match execute(node, method, params).await {
            Ok(result) => json!({ method.as_str(): result }),
            Err(failure) => json!({ "error": failure }),
        }
    }
    .boxed()
}

fn position_of(published: &Published) -> Value {
    published.position.as_ref().map_or_else(
        || json!({}),
        |position| json!({ "offset": position.offset, "epoch": position.epoch.as_str() }),
    )
}

fn of_history(publication: &Publication) -> Value {
    let mut object = Map::new();
    object.insert("data".to_owned(), payload(&publication.data));
    if let Some(info) = &publication.info {
        object.insert("info".to_owned(), client_info(info));
    }
    object.insert("offset".to_owned(), json!(publication.offset));
    if !publication.tags.is_empty() {
        let tags: Map<String, Value> = publication
            .tags
            .iter()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        object.insert("tags".to_owned(), Value::Object(tags));
    }
    Value::Object(object)
}

fn client_info(info: &ClientInfo) -> Value {
    let mut object = Map::new();
    object.insert("client".to_owned(), json!(&*info.client));
    object.insert("user".to_owned(), json!(&*info.user));
    for (name, bytes) in [
        ("conn_info", &info.conn_info),
        ("chan_info", &info.chan_info),
    ] {
        if !bytes.is_empty() {
            object.insert(name.to_owned(), payload(bytes));
        }
    }
    Value::Object(object)
}

/// Returns a payload as the JSON that it is; `null` if it isn't JSON, which an answer in JSON can't hold.
fn payload(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
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
