//! What the hub sends, as acks and events. Payloads stay as they are: JSON is not parsed but for the check that it is JSON.

use std::collections::BTreeMap;

use axum::body::Bytes;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::value::RawValue;
use sockeye::socketio::JsonArgs;
use sockeye_hub::{
    Disconnect,
    wire::{
        ClientInfo, ConnectResult, ErrorReply, HistoryResult, Publication, Push, Reply,
        SubscribeResult, check_json,
    },
};

/// An event for the client.
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) args: JsonArgs,
    pub(super) moves: Move,
}

/// How an event moves the positions of a client that may come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Nothing,
    /// A publication. Offset 0 is none.
    Publication {
        channel: String,
        offset: u64,
    },
    /// The server has ended a subscription.
    Unsubscribed {
        channel: String,
    },
    /// The server has subscribed the client, which can't be repeated.
    Subscribed,
}

/// Returns the arguments of the ack that a reply is.
pub(super) fn ack(reply: Reply) -> JsonArgs {
    if let Some(error) = reply.error {
        return error_ack(&error);
    }
    let Reply {
        subscribe,
        presence,
        presence_stats,
        history,
        rpc,
        refresh,
        sub_refresh,
        ..
    } = reply;
    if let Some(result) = rpc {
        return data_ack(result.data);
    }
    one(&if let Some(result) = subscribe {
        Answer::Subscribed(Subscribed::new(result))
    } else if let Some(result) = history {
        Answer::History(History::new(result))
    } else if let Some(result) = presence {
        let clients = result.presence.into_map();
        let clients = clients.into_iter().map(|(id, info)| (id, Info::new(info)));
        Answer::Presence {
            clients: clients.collect(),
        }
    } else if let Some(stats) = presence_stats {
        Answer::PresenceStats {
            num_clients: stats.num_clients,
            num_users: stats.num_users,
        }
    } else if let Some(result) = refresh {
        Answer::Refreshed {
            expires: result.expires,
            ttl: result.ttl,
        }
    } else if let Some(result) = sub_refresh {
        Answer::Refreshed {
            expires: result.expires,
            ttl: result.ttl,
        }
    } else {
        Answer::Done {}
    })
}

/// Returns the arguments of an ack that says why a command failed.
pub(super) fn error_ack(error: &ErrorReply) -> JsonArgs {
    one(&Failed {
        error: FailedError {
            code: error.code,
            message: &error.message,
            temporary: error.temporary,
        },
    })
}

/// Returns the event that a push is; `None` if clients of Socket.IO aren't told of it.
pub(super) fn event(push: Push) -> Option<Event> {
    let channel = push.channel;
    if let Some(publication) = push.r#pub {
        return Some(publication_event(&channel, publication));
    }
    if let Some(message) = push.message {
        return Some(Event::plain("message", data_ack(message.data)));
    }
    let mut moves = Move::Nothing;
    let (name, json) = if let Some(join) = push.join {
        ("join", joined(&channel, &join.info.map(Info::new)))
    } else if let Some(leave) = push.leave {
        ("leave", joined(&channel, &leave.info.map(Info::new)))
    } else if let Some(unsubscribe) = push.unsubscribe {
        let why = Ending {
            code: unsubscribe.code,
            reason: &unsubscribe.reason,
        };
        moves = Move::Unsubscribed {
            channel: channel.clone(),
        };
        ("unsubscribed", joined(&channel, &why))
    } else if let Some(subscribe) = push.subscribe {
        moves = Move::Subscribed;
        let subscribed = Subscribed {
            epoch: subscribe.epoch,
            offset: subscribe.offset,
            recoverable: subscribe.recoverable,
            data: raw(&subscribe.data),
            ..Subscribed::default()
        };
        ("subscribed", joined(&channel, &subscribed))
    } else if let Some(refresh) = push.refresh {
        let refreshed = Answer::Refreshed {
            expires: refresh.expires,
            ttl: refresh.ttl,
        };
        ("refreshed", json(&refreshed))
    } else {
        return None;
    };
    Some(Event {
        name,
        args: JsonArgs {
            json,
            attachments: Vec::new(),
        },
        moves,
    })
}

impl Event {
    pub(super) fn plain(name: &'static str, args: JsonArgs) -> Self {
        Self {
            name,
            args,
            moves: Move::Nothing,
        }
    }
}

/// Returns the first event of a client.
pub(super) fn connected_event(result: ConnectResult, recovered: bool) -> Event {
    let subs = result.subs.into_map();
    let subs = subs
        .into_iter()
        .map(|(channel, result)| (channel, Subscribed::new(result)));
    let connected = Connected {
        client: result.client,
        version: result.version,
        expires: result.expires,
        ttl: result.ttl,
        data: raw(&result.data),
        subs: subs.collect(),
        recovered,
    };
    Event::plain("connected", one(&connected))
}

/// Returns the last event of a client that the hub ends.
pub(super) fn closing_event(disconnect: &Disconnect) -> Event {
    let why = Ending {
        code: u32::from(disconnect.code()),
        reason: disconnect.reason(),
    };
    Event::plain("closing", one(&why))
}

/// Returns a publication as an event: channel, data, and what else is known of it. Data that aren't JSON are an attachment.
pub(super) fn publication_event(channel: &str, publication: Publication) -> Event {
    let rest = PublicationRest::new(&publication);
    let (data, attachments) = match check_json(publication.data.clone()) {
        Ok(data) => (text(&data), Vec::new()),
        Err(_) => (PLACEHOLDER.to_owned(), vec![publication.data]),
    };
    Event {
        name: "publication",
        args: JsonArgs {
            json: format!("{},{data},{}", json(channel), json(&rest)),
            attachments,
        },
        moves: Move::Publication {
            channel: channel.to_owned(),
            offset: rest.offset,
        },
    }
}

/// Returns the event that only brings a client of a recoverable connection its positions.
pub(super) fn position_event() -> Event {
    Event::plain("position", JsonArgs::default())
}

/// What stands for the only attachment of an event.
const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;

fn data_ack(data: Bytes) -> JsonArgs {
    if data.is_empty() {
        return JsonArgs {
            json: "null".to_owned(),
            attachments: Vec::new(),
        };
    }
    match check_json(data.clone()) {
        Ok(data) => JsonArgs {
            json: text(&data),
            attachments: Vec::new(),
        },
        Err(_) => JsonArgs {
            json: PLACEHOLDER.to_owned(),
            attachments: vec![data],
        },
    }
}

fn one(value: &impl Serialize) -> JsonArgs {
    JsonArgs {
        json: json(value),
        attachments: Vec::new(),
    }
}

fn joined(channel: &str, value: &impl Serialize) -> String {
    format!("{},{}", json(channel), json(value))
}

/// Writes a value of this file, which can always be written.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Returns checked JSON as text.
fn text(json: &[u8]) -> String {
    String::from_utf8_lossy(json).into_owned()
}

/// Returns a payload that the application has made, if it is JSON.
fn raw(payload: &Bytes) -> Option<Box<RawValue>> {
    let checked = check_json(payload.clone()).ok()?;
    RawValue::from_string(text(&checked)).ok()
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Subscribed(Subscribed),
    History(History),
    Presence { clients: BTreeMap<String, Info> },
    PresenceStats { num_clients: u32, num_users: u32 },
    Refreshed { expires: bool, ttl: u32 },
    Done {},
}

#[derive(Serialize)]
struct Failed<'e> {
    error: FailedError<'e>,
}

#[derive(Serialize)]
struct FailedError<'e> {
    code: u32,
    message: &'e str,
    temporary: bool,
}

#[derive(Serialize)]
struct Ending<'e> {
    code: u32,
    reason: &'e str,
}

#[derive(Serialize)]
struct Connected {
    client: String,
    version: String,
    expires: bool,
    #[serde(skip_serializing_if = "is_zero")]
    ttl: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    subs: BTreeMap<String, Subscribed>,
    recovered: bool,
}

#[derive(Default, Serialize)]
struct Subscribed {
    epoch: String,
    offset: u64,
    recoverable: bool,
    recovered: bool,
    publications: Vec<ListedPublication>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    expires: bool,
    #[serde(skip_serializing_if = "is_zero")]
    ttl: u32,
}

impl Subscribed {
    fn new(result: SubscribeResult) -> Self {
        let publications = result.publications.into_iter();
        Self {
            epoch: result.epoch,
            offset: result.offset,
            recoverable: result.recoverable,
            recovered: result.recovered,
            publications: publications.map(ListedPublication::new).collect(),
            data: raw(&result.data),
            expires: result.expires,
            ttl: result.ttl,
        }
    }
}

#[derive(Serialize)]
struct History {
    publications: Vec<ListedPublication>,
    offset: u64,
    epoch: String,
}

impl History {
    fn new(result: HistoryResult) -> Self {
        let publications = result.publications.into_iter();
        Self {
            publications: publications.map(ListedPublication::new).collect(),
            offset: result.offset,
            epoch: result.epoch,
        }
    }
}

/// A publication among others. Binary data are base64 there, because a packet has at most ten attachments.
#[derive(Serialize)]
struct ListedPublication {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b64data: Option<String>,
    #[serde(flatten)]
    rest: PublicationRest,
}

impl ListedPublication {
    fn new(publication: Publication) -> Self {
        let rest = PublicationRest::new(&publication);
        let data = raw(&publication.data);
        let b64data = data.is_none().then(|| STANDARD.encode(&publication.data));
        Self {
            data,
            b64data,
            rest,
        }
    }
}

/// What is known of a publication beside its data.
#[derive(Serialize)]
struct PublicationRest {
    #[serde(skip_serializing_if = "is_no_offset")]
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Info>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
}

impl PublicationRest {
    fn new(publication: &Publication) -> Self {
        let tags = publication.tags.to_map().into_iter();
        Self {
            offset: publication.offset,
            info: publication.info.clone().map(Info::new),
            tags: tags
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect(),
        }
    }
}

/// A client as others see it.
#[derive(Serialize)]
struct Info {
    user: String,
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn_info: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chan_info: Option<Box<RawValue>>,
}

impl Info {
    fn new(info: ClientInfo) -> Self {
        Self {
            user: info.user,
            client: info.client,
            conn_info: raw(&info.conn_info),
            chan_info: raw(&info.chan_info),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Returns whether an offset is none.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_no_offset(offset: &u64) -> bool {
    *offset == 0
}

#[cfg(test)]
mod tests {
    use sockeye_hub::wire::{PublishResult, UnsubscribePush};

    use super::*;

    fn publication(data: &'static [u8]) -> Publication {
        Publication {
            data: Bytes::from_static(data),
            offset: 7,
            ..Publication::default()
        }
    }

    #[test]
    fn a_publication_has_its_data_as_they_were_published() {
        let event = publication_event(
            "a\"b",
            publication(b"{\"z\":1.0,\"a\":12345678901234567890123}"),
        );
        assert_eq!(event.name, "publication");
        assert_eq!(
            event.args.json,
            r#""a\"b",{"z":1.0,"a":12345678901234567890123},{"offset":7}"#
        );
        assert!(event.args.attachments.is_empty());
    }

    #[test]
    fn data_that_are_not_json_are_an_attachment_and_base64_in_a_list() {
        let event = publication_event("a", publication(b"\xff"));
        assert_eq!(
            event.args.json,
            r#""a",{"_placeholder":true,"num":0},{"offset":7}"#
        );
        assert_eq!(event.args.attachments, [&b"\xff"[..]]);
        let reply = Reply {
            history: Some(HistoryResult {
                publications: vec![publication(b"\xff"), publication(b"1")],
                offset: 9,
                epoch: "e".to_owned(),
            }),
            ..Reply::default()
        };
        let expected = r#"{"publications":[{"b64data":"/w==","offset":7},{"data":1,"offset":7}],"offset":9,"epoch":"e"}"#;
        assert_eq!(ack(reply).json, expected);
    }

    #[test]
    fn replies_are_acks_and_errors_too() {
        let done = Reply {
            publish: Some(PublishResult::default()),
            ..Reply::default()
        };
        assert_eq!(ack(done).json, "{}");
        let failed = Reply {
            error: Some(ErrorReply {
                code: 103,
                message: "permission denied".to_owned(),
                temporary: false,
            }),
            ..Reply::default()
        };
        let expected = r#"{"error":{"code":103,"message":"permission denied","temporary":false}}"#;
        assert_eq!(ack(failed).json, expected);
    }

    #[test]
    fn pushes_are_events() {
        let push = Push {
            channel: "a".to_owned(),
            unsubscribe: Some(UnsubscribePush {
                code: 2500,
                reason: "insufficient".to_owned(),
            }),
            ..Push::default()
        };
        let event = event(push).unwrap();
        assert_eq!(event.name, "unsubscribed");
        assert_eq!(
            event.args.json,
            r#""a",{"code":2500,"reason":"insufficient"}"#
        );
    }
}
