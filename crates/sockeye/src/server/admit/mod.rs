//! Whether a WebSocket that a request asks for is opened.
//!
//! ```text
//!   accepted (capacity) ──> request_kind ──> admission: route ──> origin ──> identify ──> authorize ──> factory
//!                                              └──> Refusal (an HTTP answer)                              └──> Admitted
//! ```

mod accepted;

mod request_kind;

mod admission;

pub(crate) use accepted::{Accepted, Capacity};
pub(crate) use admission::Admission;
pub(crate) use admission::Admitted;
pub(crate) use request_kind::RequestKind;
