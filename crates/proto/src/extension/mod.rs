//! Extensions: the grammar of `Sec-WebSocket-Extensions` and permessage-deflate (RFC 7692).

/// Settings of permessage-deflate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deflate {}

/// What both ends agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {}
