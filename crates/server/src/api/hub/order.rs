//! An order: its name and parameters, read.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::request;
use crate::hub::json::{fields_of, unknown_keys};

/// The names of orders.
pub(super) const METHODS: [&str; 20] = [
    "batch",
    "broadcast",
    "channels",
    "disconnect",
    "history",
    "history_remove",
    "info",
    "map_clear",
    "map_publish",
    "map_read_state",
    "map_read_stream",
    "map_remove",
    "map_stats",
    "presence",
    "presence_stats",
    "publish",
    "refresh",
    "rpc",
    "subscribe",
    "unsubscribe",
];

/// What can be in a batch. The first of these counts, where one command has several.
const METHODS_OF_BATCH: [&str; 19] = [
    "publish",
    "broadcast",
    "subscribe",
    "unsubscribe",
    "disconnect",
    "history",
    "history_remove",
    "presence",
    "presence_stats",
    "info",
    "rpc",
    "refresh",
    "channels",
    "map_publish",
    "map_remove",
    "map_read_state",
    "map_read_stream",
    "map_stats",
    "map_clear",
];

/// An order.
#[derive(Debug)]
pub(super) enum Order {
    Publish(request::Publish),
    Broadcast(request::Publish),
    Subscribe(request::Clients, request::Subscribe),
    Unsubscribe(request::Clients, request::OfChannel),
    Disconnect(request::Clients, request::Disconnect),
    Refresh(request::Clients, request::Refresh),
    Presence(request::OfChannel),
    PresenceStats(request::OfChannel),
    History(request::HistoryOf),
    HistoryRemove(request::OfChannel),
    MapPublish(request::MapPublish),
    MapRemove(request::MapRemove),
    MapReadState(request::MapReadState),
    MapReadStream(request::MapReadStream),
    MapStats(request::OfChannel),
    MapClear(request::OfChannel),
    Channels(request::Channels),
    Info,
    Rpc(request::Rpc),
    Batch(BatchOrder),
}

/// Several orders.
#[derive(Debug)]
pub(super) struct BatchOrder {
    pub(super) commands: Vec<BatchCommand>,
    /// Carries them out at the same time.
    pub(super) parallel: bool,
}

/// One element of a batch.
#[derive(Debug)]
pub(super) enum BatchCommand {
    Null,
    /// It names no order.
    Unknown,
    Order(Box<Order>),
}

/// Why a request has no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoOrder {
    /// No order has this name.
    Unknown,
    /// The parameters aren't an object whose values have the right types.
    Malformed,
}

impl Order {
    /// Reads an order.
    pub(super) fn read(method: &str, params: &RawValue) -> Result<Self, NoOrder> {
        if tracing::enabled!(tracing::Level::DEBUG) {
            log_unknown_keys(method, params);
        }
        Ok(match method {
            "publish" => Self::Publish(read(params)?),
            "broadcast" => Self::Broadcast(read(params)?),
            "subscribe" => Self::Subscribe(read(params)?, read(params)?),
            "unsubscribe" => Self::Unsubscribe(read(params)?, read(params)?),
            "disconnect" => Self::Disconnect(read(params)?, read(params)?),
            "refresh" => Self::Refresh(read(params)?, read(params)?),
            "presence" => Self::Presence(read(params)?),
            "presence_stats" => Self::PresenceStats(read(params)?),
            "history" => Self::History(read(params)?),
            "history_remove" => Self::HistoryRemove(read(params)?),
            "map_publish" => Self::MapPublish(read(params)?),
            "map_remove" => Self::MapRemove(read(params)?),
            "map_read_state" => Self::MapReadState(read(params)?),
            "map_read_stream" => Self::MapReadStream(read(params)?),
            "map_stats" => Self::MapStats(read(params)?),
            "map_clear" => Self::MapClear(read(params)?),
            "channels" => Self::Channels(read(params)?),
            "info" => Self::Info,
            "rpc" => Self::Rpc(read(params)?),
            "batch" => Self::Batch(BatchOrder::read(read(params)?)?),
            _ => return Err(NoOrder::Unknown),
        })
    }

    /// Returns the order's name.
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::Publish(_) => "publish",
            Self::Broadcast(_) => "broadcast",
            Self::Subscribe(..) => "subscribe",
            Self::Unsubscribe(..) => "unsubscribe",
            Self::Disconnect(..) => "disconnect",
            Self::Refresh(..) => "refresh",
            Self::Presence(_) => "presence",
            Self::PresenceStats(_) => "presence_stats",
            Self::History(_) => "history",
            Self::HistoryRemove(_) => "history_remove",
            Self::MapPublish(_) => "map_publish",
            Self::MapRemove(_) => "map_remove",
            Self::MapReadState(_) => "map_read_state",
            Self::MapReadStream(_) => "map_read_stream",
            Self::MapStats(_) => "map_stats",
            Self::MapClear(_) => "map_clear",
            Self::Channels(_) => "channels",
            Self::Info => "info",
            Self::Rpc(_) => "rpc",
            Self::Batch(_) => "batch",
        }
    }
}

impl BatchOrder {
    /// Reads all commands before one is carried out. A batch in a batch is none.
    fn read(batch: request::Batch) -> Result<Self, NoOrder> {
        let commands = batch.commands.into_iter().map(|command| {
            let Some(command) = command else {
                return Ok(BatchCommand::Null);
            };
            let given = |method: &str| command.get(method)?.as_deref();
            let mut orders = METHODS_OF_BATCH.iter();
            match orders.find_map(|method| Some((method, given(method)?))) {
                None => Ok(BatchCommand::Unknown),
                Some((method, params)) => {
                    Ok(BatchCommand::Order(Box::new(Order::read(method, params)?)))
                }
            }
        });
        Ok(Self {
            commands: commands.collect::<Result<_, _>>()?,
            parallel: batch.parallel,
        })
    }
}

/// Logs the keys of an order that mean nothing, as misspelt ones do.
fn log_unknown_keys(method: &str, params: &RawValue) {
    let clients = fields_of::<request::Clients>();
    let fields = match method {
        "publish" | "broadcast" => fields_of::<request::Publish>().to_vec(),
        "subscribe" => [clients, fields_of::<request::Subscribe>()].concat(),
        "unsubscribe" => [clients, fields_of::<request::OfChannel>()].concat(),
        "disconnect" => [clients, fields_of::<request::Disconnect>()].concat(),
        "refresh" => [clients, fields_of::<request::Refresh>()].concat(),
        "presence" | "presence_stats" | "history_remove" | "map_stats" | "map_clear" => {
            fields_of::<request::OfChannel>().to_vec()
        }
        "map_publish" => fields_of::<request::MapPublish>().to_vec(),
        "map_remove" => fields_of::<request::MapRemove>().to_vec(),
        "map_read_state" => fields_of::<request::MapReadState>().to_vec(),
        "map_read_stream" => fields_of::<request::MapReadStream>().to_vec(),
        "history" => fields_of::<request::HistoryOf>().to_vec(),
        _ => return,
    };
    let keys = unknown_keys(params.get(), &fields);
    if !keys.is_empty() {
        let keys = keys.join(", ");
        tracing::debug!(method, keys, "an order has keys that mean nothing");
    }
}

/// Reads parameters: an object, or `null` for none.
fn read<T: DeserializeOwned + Default>(params: &RawValue) -> Result<T, NoOrder> {
    match params.get() {
        "null" => Ok(T::default()),
        // A list would be taken for the values of an object.
        object if object.starts_with('{') => serde_json::from_str(object).map_err(|error| {
            tracing::debug!(%error, "an order has wrong parameters");
            NoOrder::Malformed
        }),
        _ => Err(NoOrder::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(method: &str, params: &str) -> Result<Order, NoOrder> {
        Order::read(method, &RawValue::from_string(params.to_owned()).unwrap())
    }

    #[test]
    fn null_is_no_value_and_a_wrong_type_is_no_order() {
        for params in ["null", "{}", r#"{"channel":null,"tags":null,"data":null}"#] {
            assert!(order("publish", params).is_ok(), "{params}");
        }
        for params in [
            "[]",
            "7",
            r#"{"channel":7}"#,
            r#"{"tags":[]}"#,
            r#"{"tags":{"a":1}}"#,
        ] {
            let read = order("publish", params);
            assert_eq!(read.unwrap_err(), NoOrder::Malformed, "{params}");
        }
        assert_eq!(order("hello", "{}").unwrap_err(), NoOrder::Unknown);
    }

    #[test]
    fn one_wrong_order_spoils_a_batch() {
        let params = r#"{"commands":[{"publish":{"channel":"a"}},{"history":7}]}"#;
        assert_eq!(order("batch", params).unwrap_err(), NoOrder::Malformed);
        let params = r#"{"commands":[null,{},{"batch":{}},{"history":{},"publish":{}}]}"#;
        let Ok(Order::Batch(batch)) = order("batch", params) else {
            panic!("no batch")
        };
        let names = batch.commands.iter().map(|command| match command {
            BatchCommand::Null => "null",
            BatchCommand::Unknown => "unknown",
            BatchCommand::Order(order) => order.method(),
        });
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["null", "unknown", "unknown", "publish"]
        );
    }
}
