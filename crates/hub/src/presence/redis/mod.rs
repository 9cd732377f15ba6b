//! The store that several nodes share: Redis, or what speaks its protocol.
//!
//! ```text
//!   {sockeye:presence}:nodes            set      names of the nodes
//!   {sockeye:presence}:node:NAME        hash     client -> its devices there; "" -> number of the last change
//!   {sockeye:presence}:seen             sorted   client, by the time at which it was last seen
//!   {sockeye:presence}:changes          channel  what a node has changed, numbered by node
//! ```
//!
//! A node's hash is its lease: the node renews its time to live, and with the node it goes. Each node holds
//! what all nodes have in memory, so a question never waits for Redis: it reads a node's hash once, and then
//! follows the node's numbered changes. A number that is missing makes it read the hash again, and at each
//! beat it compares numbers, since a channel may lose messages. Edges follow from the sum: a client is away
//! when no node has a device of it, and every node sees that once.
//!
//! One hash tag keeps all keys in one slot of a Redis Cluster.

mod link;
mod notice;
mod peers;
mod script;
mod store;

pub use store::Redis;
