//! `/api/presence`: which clients are online, when the others were last seen, and changes.
//!
//! All times are milliseconds since 1970-01-01T00:00:00Z, in keys that end in `_ms`.

use std::convert::Infallible;

use axum::{
    Router,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::StatusCode,
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing,
};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sockeye_hub::presence::{Change, Changes, Presence, Status, Update};

use super::{
    answer,
    document::{Schemas, reference, with_status},
};
use crate::query::parameters;

/// Adds the schemas of the answers to `schemas`, and returns their paths.
pub(super) fn paths(schemas: &mut Schemas) -> Map<String, Value> {
    let list = schemas.answers.subschema_for::<ListAnswer>().to_value();
    let one = schemas.answers.subschema_for::<ClientAnswer>().to_value();
    let change = schemas.answers.subschema_for::<ChangeAnswer<'_>>();
    let bad = || with_status("A parameter is wrong.", reference("api_failure"));
    let unknown = "The client was never online, or is forgotten.";
    let paths = json!({
        "/api/presence": { "get": {
            "operationId": "online",
            "summary": "Lists the clients that are online, in the byte order of their names.",
            "parameters": [
                {
                    "name": "limit",
                    "in": "query",
                    "description": "Clients on the page.",
                    "schema": { "type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT },
                },
                {
                    "name": "after",
                    "in": "query",
                    "description": "The page begins after this name.",
                    "schema": { "type": "string" },
                },
            ],
            "responses": { "200": with_status("The page.", list), "400": bad() },
        }},
        "/api/presence/{client}": { "get": {
            "operationId": "online_client",
            "summary": "Says whether a client is online, and since when, or when it was.",
            "parameters": [
                { "name": "client", "in": "path", "required": true, "schema": { "type": "string" } },
            ],
            "responses": {
                "200": with_status("The client.", one),
                "400": bad(),
                "404": with_status(unknown, reference("api_failure")),
            },
        }},
        "/api/presence/changes": { "get": {
            "operationId": "online_changes",
            "summary": "Sends server-sent events: ready and missed with a count, online and offline with a client and a time.",
            "responses": { "200": {
                "description": "The events, until either side ends. The schema is that of the data of online and offline.",
                "content": { "text/event-stream": { "schema": change } },
            }},
        }},
    });
    match paths {
        Value::Object(paths) => paths,
        _ => Map::new(),
    }
}

/// Returns the routes. The caller adds the check of the key.
pub(super) fn routes(presence: Presence) -> Router {
    Router::new()
        .route("/api/presence", routing::get(list))
        .route("/api/presence/changes", routing::get(changes))
        .route("/api/presence/{client}", routing::get(one))
        .with_state(presence)
}

/// A page of clients that are online.
#[derive(Serialize, JsonSchema)]
struct ListAnswer {
    /// The number of online clients, on all pages.
    count: usize,
    clients: Vec<ListedClient>,
    /// The value of `after` for the next page; `null` on the last one.
    next: Option<String>,
    /// The store's error. While there is one, clients of other nodes may be missing.
    store_trouble: Option<String>,
}

/// A client that is online.
#[derive(Serialize, JsonSchema)]
struct ListedClient {
    /// Its name.
    client: String,
    /// Since when it has been online without a gap.
    since_ms: u64,
    /// How many devices are connected.
    devices: usize,
}

/// What is known of a client.
#[derive(Serialize, JsonSchema)]
struct ClientAnswer {
    /// Its name.
    client: String,
    /// Whether at least one device is connected.
    online: bool,
    /// `null` for an offline client.
    since_ms: Option<u64>,
    /// Now if it is online, else when its last device disconnected.
    last_seen_ms: Option<u64>,
    /// The connected ones.
    devices: Vec<DeviceAnswer>,
}

/// A device of a client.
#[derive(Serialize, JsonSchema)]
struct DeviceAnswer {
    /// A label: `echo`, `room` and others.
    device: String,
    /// Since when it has been connected.
    since_ms: u64,
}

/// A client has come or gone.
#[derive(Serialize, JsonSchema)]
struct ChangeAnswer<'a> {
    /// Its name.
    client: &'a str,
    /// When.
    at_ms: u64,
}

async fn list(State(presence): State<Presence>, RawQuery(query): RawQuery) -> Response {
    let (after, limit) = match page(query.as_deref().unwrap_or_default()) {
        Ok(page) => page,
        Err(message) => {
            return answer::error(StatusCode::BAD_REQUEST, "bad_parameter", &message);
        }
    };
    let page = presence.page(after.as_deref(), limit);
    let last = page.clients.last().filter(|_| page.has_more);
    let next = last.map(|last| last.client.to_string());
    let clients = page.clients.into_iter().map(|listed| ListedClient {
        client: listed.client.to_string(),
        since_ms: listed.since.0,
        devices: listed.devices,
    });
    let body = ListAnswer {
        count: page.count,
        clients: clients.collect(),
        next,
        store_trouble: page.store_error,
    };
    answer::json(StatusCode::OK, &body)
}

async fn one(
    State(presence): State<Presence>,
    client: Result<Path<String>, PathRejection>,
) -> Response {
    let Ok(Path(client)) = client else {
        let message = "the name in the path is not UTF-8";
        return answer::error(StatusCode::BAD_REQUEST, "bad_parameter", message);
    };
    // One query for both: the client could change between two.
    let (status, now) = presence.status_and_time(&client);
    let body = match status {
        Some(Status::Online { since, devices }) => ClientAnswer {
            client,
            online: true,
            since_ms: Some(since.0),
            last_seen_ms: Some(now.0),
            devices: devices
                .into_iter()
                .map(|device| DeviceAnswer {
                    device: device.name.into_owned(),
                    since_ms: device.since.0,
                })
                .collect(),
        },
        Some(Status::Offline { last_seen }) => ClientAnswer {
            client,
            online: false,
            since_ms: None,
            last_seen_ms: Some(last_seen.0),
            devices: Vec::new(),
        },
        None => {
            let message = "no client of this name is here, or was";
            return answer::error(StatusCode::NOT_FOUND, "unknown_client", message);
        }
    };
    answer::json(StatusCode::OK, &body)
}

/// Sends server-sent events: `ready` first, then `online`, `offline`, and `missed` if the reader was too slow.
async fn changes(State(presence): State<Presence>) -> Response {
    let (count, changes) = presence.subscribe_with_count();
    let ready = event("ready", &serde_json::json!({ "count": count }));
    let events = stream::unfold((Some(ready), changes), next_event);
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

async fn next_event(
    (first, mut changes): (Option<Event>, Changes),
) -> Option<(Result<Event, Infallible>, (Option<Event>, Changes))> {
    let event = match first {
        Some(first) => first,
        None => match changes.next().await? {
            Update::Change(Change::Online { client, at }) => {
                event("online", &ChangeAnswer::new(&client, at.0))
            }
            Update::Change(Change::Offline { client, at }) => {
                event("offline", &ChangeAnswer::new(&client, at.0))
            }
            Update::Missed(count) => event("missed", &serde_json::json!({ "count": count })),
        },
    };
    Some((Ok(event), (None, changes)))
}

impl<'a> ChangeAnswer<'a> {
    fn new(client: &'a str, at_ms: u64) -> Self {
        Self { client, at_ms }
    }
}

fn event(name: &str, data: &impl Serialize) -> Event {
    let data = serde_json::to_string(data).expect("names and numbers are JSON");
    Event::default().event(name).data(data)
}

/// The parameters `after` and `limit` of a query.
fn page(query: &str) -> Result<(Option<String>, usize), String> {
    let mut after = None;
    let mut limit = LIMIT_DEFAULT;
    for (key, value) in parameters(query)? {
        match &*key {
            "after" => after = Some(value),
            "limit" => match value.parse() {
                Ok(number) if (1..=LIMIT_MAX).contains(&number) => limit = number,
                _ => {
                    return Err(format!(
                        "limit: {value:?} is not a number, 1 to {LIMIT_MAX}"
                    ));
                }
            },
            // A misspelt parameter must not be ignored silently.
            _ => return Err(format!("{key:?} is no parameter; allowed: after, limit")),
        }
    }
    Ok((after, limit))
}

/// Clients on a page by default.
const LIMIT_DEFAULT: usize = 100;

/// Most clients on a page, as in [`Presence::page`].
const LIMIT_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_after_a_name_and_has_a_length() {
        assert_eq!(page(""), Ok((None, 100)));
        let after = Some("M ü".to_owned());
        assert_eq!(page("after=M+%C3%BC&limit=7"), Ok((after, 7)));
        for bad in [
            "limit=0",
            "limit=1001",
            "limit=x",
            "limit=",
            "offset=3",
            "after=%ff",
        ] {
            assert!(page(bad).is_err(), "{bad}");
        }
    }
}
