//! What was published, by which client, and at which position.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::messages::messages;

messages! {
    /// One item published to a channel.
    pub struct Publication {
        /// Payload, or its difference from the one before (`delta`).
        4 (bytes = "bytes") data: Bytes,
        /// Client that published, if it was one.
        5 (message, optional) info: Option<ClientInfo>,
        /// Position in the channel's history. 0 if the channel has none.
        6 (uint64) offset: u64,
        /// Tags by name, which filters compare.
        7 (btree_map = "string, string") tags: BTreeMap<String, String>,
        /// Says that `data` is a difference.
        8 (bool) delta: bool,
        /// Milliseconds since 1970. Between servers only.
        9 (int64) time: i64,
        /// Channel, if it isn't the one of the subscription: a pattern was subscribed.
        10 (string) channel: String,
        /// Key of a map's entry.
        11 (string) key: String,
        /// Says that the map's entry was removed.
        12 (bool) removed: bool,
        /// Orders the entries of a map.
        13 (sint64) score: i64,
        /// Epoch, where the client can't know it: in the first publication of a history.
        14 (string) epoch: String,
        /// Payload of the publication before. Between servers only.
        15 (bytes = "bytes") prev_data: Bytes,
        /// Version of a shared poll's item.
        16 (uint64) version: u64,
    }

    /// A client as others see it.
    pub struct ClientInfo {
        /// User. Empty for an anonymous one. JSON always has it.
        1 (string) user: String = ALWAYS,
        /// Id of the connection. JSON always has it.
        2 (string) client: String = ALWAYS,
        /// Payload that belongs to the connection.
        3 (bytes = "bytes") conn_info: Bytes,
        /// Payload that belongs to the subscription.
        4 (bytes = "bytes") chan_info: Bytes,
    }

    /// A position in a channel's history.
    pub struct StreamPosition {
        /// Offset of a publication.
        1 (uint64) offset: u64,
        /// Identity of the history that the offset belongs to.
        2 (string) epoch: String,
    }
}
