//! RFC 7692, clause by clause, both roles. Negotiation (section 7.1) is tested beside its code.

mod s6_frames;
mod s7_1_1_takeover;
mod s7_2_payload;
#[path = "../rfc6455/story.rs"]
mod story;
mod unfinished;
