//! Whole nodes in thousands of random runs, against a model that knows what each client must have seen.
//!
//! A run has one node or two over one broker, and clients as an SDK would be: they connect, subscribe, unsubscribe, publish,
//! drop, stall and come back; nodes are restarted; tokens expire. The broker takes its time, and in most runs loses and
//! repeats deliveries, answers from a replica that lags, and begins new histories. All of it follows from a seed: the clock
//! is tokio's paused one, and there is one thread.
//!
//! ```text
//!   clients (client) ── frames ──> nodes ── orders, questions ──> broker (broker): the truth, and what each node is given
//!      ^  every frame is judged by the truth                         │
//!      └──────────────── frames <── nodes <── deliveries, late ──────┘
//! ```

mod broker;
mod client;
mod random;
mod simulation;
