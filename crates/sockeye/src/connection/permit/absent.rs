//! What stands for a permit in a build without the feature `server`, which counts no connections.

/// There is none.
pub(crate) enum Permit {}
