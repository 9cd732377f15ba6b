//! What a request says in its query, and what the protocol answers to one that it refuses.

use http::{HeaderValue, StatusCode, header};

use crate::handshake::{Refusal, Request};

/// What a request says in its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EngineQuery {
    pub(super) transport: Transport,
    /// The id of the session, if the request belongs to one.
    pub(super) session: Option<String>,
    /// Whether the revision of the protocol is 4.
    pub(super) is_supported: bool,
}

/// How the messages are to be carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Polling,
    WebSocket,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EngineError {
    UnknownTransport,
    UnknownSession,
    BadMethod,
    /// The session is carried otherwise, or speaks another revision.
    BadRequest,
    Forbidden,
    UnsupportedVersion,
}

impl EngineQuery {
    /// # Errors
    ///
    /// The transport is missing or is none of ours.
    pub(super) fn parse(request: &Request) -> Result<Self, EngineError> {
        let transport = match request.query_param("transport").as_deref() {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(EngineError::UnknownTransport),
        };
        Ok(Self {
            transport,
            session: request.query_param("sid"),
            is_supported: request.query_param("EIO").as_deref() == Some("4"),
        })
    }
}

/// Returns whether a parameter of the query is the protocol's, so that it differs between the requests of one client.
pub(super) fn is_own_param(name: &str) -> bool {
    matches!(name, "EIO" | "transport" | "sid" | "t" | "b64" | "j")
}

impl EngineError {
    fn status(self) -> StatusCode {
        match self {
            Self::Forbidden => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn code_and_message(self) -> (u8, &'static str) {
        match self {
            Self::UnknownTransport => (0, "Transport unknown"),
            Self::UnknownSession => (1, "Session ID unknown"),
            Self::BadMethod => (2, "Bad handshake method"),
            Self::BadRequest => (3, "Bad request"),
            Self::Forbidden => (4, "Forbidden"),
            Self::UnsupportedVersion => (5, "Unsupported protocol version"),
        }
    }

    /// Returns the answer to a plain request.
    pub(super) fn refusal(self) -> Refusal {
        let (code, message) = self.code_and_message();
        Refusal::new(self.status())
            .body(format!("{{\"code\":{code},\"message\":\"{message}\"}}"))
            .header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            )
    }

    /// Returns the answer to the opening handshake of a WebSocket.
    pub(super) fn handshake_refusal(self) -> Refusal {
        let (_, message) = self.code_and_message();
        Refusal::text(self.status(), message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<EngineQuery, EngineError> {
        EngineQuery::parse(&Request {
            uri: format!("/engine.io/?{query}").parse().unwrap(),
            ..Request::default()
        })
    }

    #[test]
    fn a_query_has_a_transport_and_perhaps_a_session() {
        let query = parse("EIO=4&transport=polling&t=abc").unwrap();
        assert_eq!((query.transport, query.session), (Transport::Polling, None));
        let query = parse("EIO=4&transport=websocket&sid=x").unwrap();
        assert_eq!(
            (query.transport, query.session.as_deref()),
            (Transport::WebSocket, Some("x"))
        );
        for unknown in ["EIO=4", "EIO=4&transport=abc", "EIO=4&transport=Polling"] {
            assert_eq!(parse(unknown), Err(EngineError::UnknownTransport));
        }
    }

    #[test]
    fn only_revision_4_is_supported() {
        // engine.io#616: a client that names none speaks revision 3 or is none.
        for (eio, expected) in [
            ("EIO=4&", true),
            ("EIO=3&", false),
            ("EIO=abc&", false),
            ("", false),
        ] {
            let query = parse(&format!("{eio}transport=polling")).unwrap();
            assert_eq!(query.is_supported, expected, "{eio}");
        }
    }

    #[test]
    fn an_error_has_its_code_and_its_message() {
        use EngineError::*;
        for (error, status, body) in [
            (
                UnknownTransport,
                400,
                "{\"code\":0,\"message\":\"Transport unknown\"}",
            ),
            (
                UnknownSession,
                400,
                "{\"code\":1,\"message\":\"Session ID unknown\"}",
            ),
            (
                BadMethod,
                400,
                "{\"code\":2,\"message\":\"Bad handshake method\"}",
            ),
            (BadRequest, 400, "{\"code\":3,\"message\":\"Bad request\"}"),
            (Forbidden, 403, "{\"code\":4,\"message\":\"Forbidden\"}"),
            (
                UnsupportedVersion,
                400,
                "{\"code\":5,\"message\":\"Unsupported protocol version\"}",
            ),
        ] {
            let answer = error.refusal().into_http::<Vec<u8>>();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.body(), body.as_bytes());
            assert_eq!(answer.headers()["content-type"], "application/json");
        }
    }
}
