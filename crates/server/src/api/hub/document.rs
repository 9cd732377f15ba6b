//! What the OpenAPI document says about orders, from the types that they are read into and answered with.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{
    order::METHODS,
    request,
    result::{
        BroadcastResult, ChannelsResult, Empty, HistoryResult, InfoResult, MapChangeResult,
        MapStateResult, MapStatsResult, MapStreamResult, PresenceResult, PresenceStatsResult,
        PublishResult, Reply,
    },
};
use crate::api::document::{Schemas, reference, with_status};

/// What is said about one order.
struct OrderDocument {
    name: &'static str,
    summary: &'static str,
    /// The types into which its parameters are read.
    parameters: &'static [fn(&mut SchemaGenerator) -> Schema],
    /// Fields of these types that the order doesn't look at.
    ignored: &'static [&'static str],
    required: &'static [&'static str],
    /// The type of its result, and of the reply that holds it.
    result: Kind,
    reply: Kind,
}

type Kind = fn(&mut SchemaGenerator) -> Schema;

fn whole<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

fn named<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Makes the description of an order.
macro_rules! order {
    ($name:literal, $summary:literal, [$($parameters:ty),*], without $ignored:expr, needs $required:expr, $result:ty) => {
        OrderDocument {
            name: $name,
            summary: $summary,
            parameters: &[$(whole::<$parameters>),*],
            ignored: &$ignored,
            required: &$required,
            result: named::<$result>,
            reply: named::<Reply<$result>>,
        }
    };
}

/// All orders but `batch`, which is made of them.
const ORDERS: [OrderDocument; 19] = [
    order!(
        "publish",
        "Publishes to a channel.",
        [request::Publish],
        without["channels"],
        needs["channel"],
        PublishResult
    ),
    order!(
        "broadcast",
        "Publishes the same to several channels, at most 10,000.",
        [request::Publish],
        without["channel"],
        needs["channels"],
        BroadcastResult
    ),
    order!(
        "subscribe",
        "Subscribes the clients of a user that are connected now.",
        [request::Clients, request::Subscribe],
        without["whitelist"],
        needs["channel"],
        Empty
    ),
    order!("unsubscribe", "Unsubscribes the clients of a user. Without a channel nothing happens.",
        [request::Clients, request::OfChannel], without ["whitelist"], needs [], Empty),
    order!("disconnect", "Ends the connections of a user.",
        [request::Clients, request::Disconnect], without [], needs [], Empty),
    order!("refresh", "Sets when the connections of a user expire.",
        [request::Clients, request::Refresh], without ["whitelist"], needs [], Empty),
    order!("presence", "Lists the clients in a channel.", [request::OfChannel],
        without [], needs ["channel"], PresenceResult),
    order!("presence_stats", "Counts the clients in a channel.", [request::OfChannel],
        without [], needs ["channel"], PresenceStatsResult),
    order!("history", "Reads publications of a channel.", [request::HistoryOf],
        without [], needs ["channel"], HistoryResult),
    order!("history_remove", "Drops the publications of a channel. Its position stays.", [request::OfChannel],
        without [], needs ["channel"], Empty),
    order!("channels", "Lists the channels that have subscribers, at most 100,000.", [request::Channels],
        without [], needs [], ChannelsResult),
    order!("info", "Describes the node.", [], without [], needs [], InfoResult),
    order!("map_publish", "Sets an entry of a map.", [request::MapPublish],
        without [], needs ["channel", "key"], MapChangeResult),
    order!("map_remove", "Removes an entry of a map.", [request::MapRemove],
        without [], needs ["channel", "key"], MapChangeResult),
    order!("map_read_state", "Reads entries of a map, at most 100,000.", [request::MapReadState],
        without [], needs ["channel"], MapStateResult),
    order!("map_read_stream", "Reads changes of a map.", [request::MapReadStream],
        without [], needs ["channel"], MapStreamResult),
    order!("map_stats", "Counts the entries of a map.", [request::OfChannel],
        without [], needs ["channel"], MapStatsResult),
    order!("map_clear", "Removes all entries of a map, each by a change.", [request::OfChannel],
        without [], needs ["channel"], Empty),
    order!("rpc", "Fails with error 104: there are no procedures for back ends.", [],
        without [], needs [], Empty),
];

/// Adds the schemas of all orders to `schemas`, and returns their paths.
pub(in crate::api) fn paths(schemas: &mut Schemas) -> Map<String, Value> {
    debug_assert_eq!(ORDERS.len() + 1, METHODS.len(), "every order is described");
    let mut paths = Map::new();
    let mut commands = Map::new();
    let mut results = Map::new();
    for order in &ORDERS {
        let name = format!("{}_request", order.name);
        let request = order.request(&mut schemas.requests);
        schemas.add(&name, request);
        commands.insert(order.name.to_owned(), reference(&name));
        let result = (order.result)(&mut schemas.answers);
        results.insert(order.name.to_owned(), result.to_value());
        let reply = (order.reply)(&mut schemas.answers);
        let path = path(order.name, order.summary, &name, reply.to_value());
        paths.insert(format!("/api/{}", order.name), path);
    }
    add_batch(schemas, commands, results);
    let failed = failure(schemas);
    schemas.add("order_failure", failed);
    let summary =
        "Carries out several orders. Their replies stand alone, without `result` around them.";
    let reply = json!({ "anyOf": [reference("batch_result"), reference("order_failure")] });
    let batch = path("batch", summary, "batch_request", reply);
    paths.insert("/api/batch".to_owned(), batch);
    paths.insert("/api".to_owned(), lines());
    paths
}

impl OrderDocument {
    /// Returns the schema of the order's parameters.
    fn request(&self, generator: &mut SchemaGenerator) -> Value {
        let mut properties = Map::new();
        for parameters in self.parameters {
            let schema = parameters(generator).to_value();
            if let Some(Value::Object(fields)) = schema.get("properties") {
                properties.extend(fields.clone());
            }
        }
        properties.retain(|name, _| !self.ignored.contains(&&**name));
        let mut schema = json!({ "type": "object", "properties": properties });
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        schema
    }
}

/// Adds the schemas of a batch, whose parts are the other orders.
fn add_batch(schemas: &mut Schemas, commands: Map<String, Value>, mut results: Map<String, Value>) {
    let mut request = whole::<request::Batch>(&mut schemas.requests).to_value();
    request["properties"]["commands"]["items"] = json!({
        "type": "object",
        "properties": commands,
        "minProperties": 1,
        "maxProperties": 1,
    });
    schemas.add("batch_request", request);
    results.insert("error".to_owned(), error(schemas));
    let replies = json!({
        "type": "array",
        "description": "One for each command, in their order.",
        "items": {
            "type": "object",
            "properties": results,
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        },
    });
    let result = json!({
        "type": "object",
        "properties": { "replies": replies },
        "required": ["replies"],
    });
    schemas.add("batch_result", result);
}

fn error(schemas: &mut Schemas) -> Value {
    named::<super::failure::Failure>(&mut schemas.answers).to_value()
}

fn failure(schemas: &mut Schemas) -> Value {
    json!({ "type": "object", "properties": { "error": error(schemas) }, "required": ["error"] })
}

fn path(name: &str, summary: &str, request: &str, reply: Value) -> Value {
    let mut responses = json!({
        "200": {
            "description": "The result; or the error, unless the field X-Centrifugo-Error-Mode asks for a status.",
            "content": { "application/json": { "schema": reply } },
        },
    });
    for (status, description) in [
        ("404", "With X-Centrifugo-Error-Mode: errors 102 and 104."),
        ("409", "With X-Centrifugo-Error-Mode: error 113."),
        ("416", "With X-Centrifugo-Error-Mode: error 112."),
        ("500", "With X-Centrifugo-Error-Mode: all other errors."),
    ] {
        responses[status] = with_status(description, reference("OrderError"));
    }
    let either = json!({ "anyOf": [reference("OrderError"), reference("api_failure")] });
    responses["400"] = with_status(
        "The body isn't JSON; or, with X-Centrifugo-Error-Mode, errors 107 and 108.",
        either,
    );
    json!({ "post": {
        "operationId": name,
        "summary": summary,
        "parameters": [{
            "name": "X-Centrifugo-Error-Mode",
            "in": "header",
            "description": "`transport` answers an order that fails with a status in place of 200.",
            "schema": { "type": "string", "enum": ["transport"] },
        }],
        "requestBody": {
            "content": { "application/json": { "schema": reference(request) } },
        },
        "responses": responses,
    }})
}

/// Describes the older form, whose bodies are no single JSON value.
fn lines() -> Value {
    let reply = "An object with `result` or `error` for each line, each on a line.";
    json!({ "post": {
        "operationId": "lines",
        "summary": "Carries out orders in the older form: an object with `method` and `params` on each line.",
        "deprecated": true,
        "requestBody": { "content": { "application/json": { "schema": {
            "type": "object",
            "properties": { "method": { "enum": METHODS }, "params": { "type": "object" } },
        } } } },
        "responses": {
            "200": with_status(reply, json!({ "type": "object" })),
            "400": with_status("The body isn't JSON.", reference("api_failure")),
        },
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_described_once() {
        let mut names: Vec<_> = ORDERS.iter().map(|order| order.name).collect();
        names.push("batch");
        names.sort_unstable();
        assert_eq!(names, METHODS);
    }
}
