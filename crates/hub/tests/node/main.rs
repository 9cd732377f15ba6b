//! A node with clients in memory: commands, pushes, codes, orders of a back end.

mod answers;
mod broker;
mod commands;
mod connections;
mod delivery;
mod delta;
mod filters;
mod limits;
mod map_simulation;
mod maps;
mod metrics;
mod orders;
mod presence;
mod refreshing;
mod scenarios;
mod scripted_broker;
mod shared_store;
mod slow_readers;
mod subscriptions;
mod tokens;
mod world;
