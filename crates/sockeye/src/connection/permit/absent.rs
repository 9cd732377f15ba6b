//! A type without a value in place of a connection's permit, for builds without the feature `server`.

/// Has no value: this build has none.
pub(crate) enum Permit {}
