//! Hooks: what the application decides about clients, asked over HTTP.
//!
//! ```text
//!   node ── event ──> hooks ── question (JSON) ──> endpoint ── POST ──> application
//!     ^                 │                              │
//!     └── grant, or ────┴──────── answer (JSON) <──────┘ no answer, or nonsense: error 100
//!         refusal
//! ```
//!
//! Each hook is a handler of the node. The questions and the answers are Centrifugo's.

mod answer;
mod endpoint;
mod failure_log;
mod hooks;
mod question;

pub(super) use hooks::Hooks;
