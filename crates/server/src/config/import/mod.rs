//! `sockeye config import`: a configuration of Centrifugo 6 as ours.
//!
//! ```text
//!   file ─> source (JSON or TOML) ─> translation ──┬─> toml: the keys that we have too
//!                                    │ advice      └─> notes: the settings without a counterpart
//!                                    └ go_duration
//! ```
//!
//! Which keys there are is what the definition says: a key of ours that has the path of theirs is taken over.

mod advice;
mod args;
mod go_duration;
mod source;
mod toml_text;
mod translation;

pub(crate) use args::{ImportArgs, run};
