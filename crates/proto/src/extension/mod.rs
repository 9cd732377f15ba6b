//! Extensions: the grammar of `Sec-WebSocket-Extensions` and permessage-deflate (RFC 7692).
