//! The store that several nodes share: Redis, or a server that speaks its protocol.
//!
//! ```text
//!   {sockeye:presence}:nodes            set      names of the nodes
//!   {sockeye:presence}:node:NAME        hash     client -> its devices on it; "" -> number of the last change
//!   {sockeye:presence}:seen             sorted   clients by last-seen time
//!   {sockeye:presence}:changes          channel  the changes of the nodes, numbered for each node
//! ```
//!
//! A node's hash is its lease: the node renews its time to live, and a dead node's hash expires. Each node holds
//! the clients of all nodes in memory, so a query never waits for Redis. It reads another node's hash once, and then
//! applies the node's numbered changes. When a number is missing it reads the hash again. At each heartbeat it compares
//! numbers, since a channel may lose messages. A client is offline when no node has a device of it; every node
//! reports that once.
//!
//! One hash tag keeps all keys in one slot of a Redis Cluster.

mod connections;
mod notice;
mod peers;
mod script;
mod store;

pub use store::Redis;
