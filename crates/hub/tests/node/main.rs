//! A node with clients in memory: commands, pushes, codes, orders of a back end.

mod commands;
mod connections;
mod delivery;
mod orders;
mod subscriptions;
mod tokens;
mod world;
