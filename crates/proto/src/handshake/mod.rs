//! The opening handshake (RFC 6455 section 4): one HTTP request, one HTTP response.
