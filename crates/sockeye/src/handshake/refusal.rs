//! The HTTP response that refuses a WebSocket.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use sockeye_proto::handshake;

use crate::address::RetryAfter;

/// The HTTP response that refuses a WebSocket. A route's `authorize` or its factory returns one.
///
/// ```
/// use http::StatusCode;
/// use sockeye::Refusal;
///
/// let refusal = Refusal::new(StatusCode::UNAUTHORIZED)
///     .header("www-authenticate", "Bearer")
///     .body("a token, please\n");
/// assert_eq!(refusal.status(), StatusCode::UNAUTHORIZED);
/// ```
#[derive(Clone, Debug)]
pub struct Refusal(Box<RefusalParts>);

/// Behind a pointer, so that a `Result` with a refusal in it is small.
#[derive(Clone, Debug)]
struct RefusalParts {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Refusal {
    /// Makes a response without a body. `status` is any except 1xx and 2xx.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self(Box::new(RefusalParts {
            status,
            headers: HeaderMap::new(),
            body: Vec::new(),
        }))
    }

    /// Sets the body. `Content-Type` is `text/plain; charset=utf-8` unless [`Refusal::header`] sets another.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// Adds a header field. The server writes `Content-Length` and `Connection` itself.
    ///
    /// # Panics
    ///
    /// Panics if the name is not a token or the value has a control character. Check values that come from
    /// a peer with [`HeaderValue`] first.
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        let (Ok(name), Ok(value)) = (name.try_into(), value.try_into()) else {
            panic!("a refusal's field cannot stand in a head");
        };
        self.0.headers.append(name, value);
        self
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Makes a response with a short text for people.
    pub(crate) fn text(status: StatusCode, body: &str) -> Self {
        Self::new(status).body(body)
    }

    /// Makes a 503 with `Retry-After: 1`.
    pub(crate) fn unavailable(body: &str) -> Self {
        Self::text(StatusCode::SERVICE_UNAVAILABLE, body)
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Makes a 503: the server has as many connections as it may.
    pub(crate) fn too_many() -> Self {
        Self::unavailable("too many connections\n")
    }

    /// Makes a 408: the request didn't come in time.
    pub(crate) fn too_late() -> Self {
        Self::text(StatusCode::REQUEST_TIMEOUT, "the request took too long\n")
    }

    /// Makes a 503: the server drains and takes no new connections.
    pub(crate) fn going_away() -> Self {
        Self::unavailable("the server is going away\n")
    }

    /// Returns the response as bytes of HTTP/1.1. The connection is closed after it.
    pub(crate) fn to_bytes(&self, now: SystemTime) -> Vec<u8> {
        let reason = self.0.status.canonical_reason().unwrap_or("");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.0.status.as_u16()).into_bytes();
        let mut write = |name: &str, value: &[u8]| {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        };
        for (name, value) in self.fields() {
            write(name.as_str(), value.as_bytes());
        }
        // RFC 9110 section 6.6.1: a server with a clock dates its responses of 2xx, 3xx and 4xx.
        if !self.0.headers.contains_key(header::DATE) {
            write("date", httpdate::fmt_http_date(now).as_bytes());
        }
        // RFC 9110 section 7.8: a sender of Upgrade names it in Connection.
        let connection: &[u8] = match self.0.headers.contains_key(header::UPGRADE) {
            true => b"upgrade, close",
            false => b"close",
        };
        write("connection", connection);
        write("content-length", self.0.body.len().to_string().as_bytes());
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(&self.0.body);
        head
    }

    /// Returns the response for an HTTP library to write.
    pub(crate) fn into_http<B: From<Vec<u8>>>(self) -> Response<B> {
        let fields = self.fields();
        let headers = fields.map(|(name, value)| (name.clone(), value.clone()));
        let headers = HeaderMap::from_iter(headers);
        let mut response = Response::new(B::from(self.0.body));
        *response.status_mut() = self.0.status;
        *response.headers_mut() = headers;
        response
    }

    /// Returns the header fields, without those that the server writes itself.
    fn fields(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        static CONTENT_TYPE: (HeaderName, HeaderValue) = (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        let is_typed = self.0.body.is_empty() || self.0.headers.contains_key(header::CONTENT_TYPE);
        let content_type = (!is_typed).then_some((&CONTENT_TYPE.0, &CONTENT_TYPE.1));
        self.0
            .headers
            .iter()
            .filter(|(name, _)| **name != header::CONTENT_LENGTH && **name != header::CONNECTION)
            .chain(content_type)
    }
}

#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        self.into_http()
    }
}

impl From<handshake::Refusal> for Refusal {
    fn from(refusal: handshake::Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
        let headers = refusal
            .headers
            .into_iter()
            .filter_map(|(name, value)| Some((name.try_into().ok()?, value.try_into().ok()?)))
            .collect();
        Self(Box::new(RefusalParts {
            status,
            headers,
            body: refusal.body.into_bytes(),
        }))
    }
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        Self::new(status)
    }
}

/// Makes a 429 (RFC 6585 section 4) with `Retry-After`.
impl From<RetryAfter> for Refusal {
    fn from(error: RetryAfter) -> Self {
        Self::text(StatusCode::TOO_MANY_REQUESTS, &format!("{error}\n"))
            .header(header::RETRY_AFTER, HeaderValue::from(error.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn refusal_is_a_whole_http_answer_with_its_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let refusal = Refusal::new(StatusCode::FORBIDDEN)
            .header("x-why", "because")
            .header("content-length", "999")
            .body("no\n");
        assert_eq!(
            String::from_utf8(refusal.to_bytes(now)).unwrap(),
            "HTTP/1.1 403 Forbidden\r\nx-why: because\r\ncontent-type: text/plain; charset=utf-8\r\n\
             date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             connection: close\r\ncontent-length: 3\r\n\r\nno\n"
        );
        let dated = refusal.header("date", "Mon, 07 Nov 1994 08:49:37 GMT");
        let bytes = String::from_utf8(dated.to_bytes(now)).unwrap();
        assert_eq!(bytes.matches("date: ").count(), 1);
    }

    #[test]
    fn content_type_is_the_applications_if_it_gives_one() {
        let refusal = Refusal::new(StatusCode::FORBIDDEN)
            .header("content-type", "application/json")
            .body("{}");
        let response: Response<Vec<u8>> = refusal.into_http();
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers().len(), 1);
    }

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        for (millis, secs) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (60_000, 60)] {
            let refusal = Refusal::from(RetryAfter::new(Duration::from_millis(millis)));
            assert_eq!(refusal.status(), StatusCode::TOO_MANY_REQUESTS);
            let bytes = refusal.to_bytes(std::time::SystemTime::UNIX_EPOCH);
            let text = String::from_utf8(bytes).unwrap();
            assert!(
                text.contains(&format!("\r\nretry-after: {secs}\r\n")),
                "{text}"
            );
        }
    }
}
