//! The contract of [`sockeye_hub::broker::Broker`], and one line for each implementation that must fulfil it.
//!
//! The numbers in comments are those of the project's list of scenarios that a messaging server must get right.

mod concurrency;
mod contract;
mod delivery;
mod fixture;
mod history;
mod idempotency;
mod model;
mod version;
mod world;

contract::contract!(memory: crate::fixture::MemoryFixture);
contract::contract!(log: crate::fixture::LogFixture);
contract::contract!(log_synced: crate::fixture::SyncedLogFixture);
