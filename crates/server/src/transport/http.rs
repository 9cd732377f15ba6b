//! The hub without WebSocket: the paths, and what they share.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{self, MethodRouter},
};
use sockeye::{MemoryBudget, Origins, RequestInfo};
use sockeye_hub::{
    Disconnect, Node,
    wire::{EmulationRequest, Encoding},
};

use super::{
    http_stream,
    origin::{self, ForeignPage},
    sessions::Sessions,
};
use crate::line_limit::LineLimit;

/// How the hub is run without WebSocket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpTransportSettings {
    /// The pages that may use it. Default: those of the same origin.
    pub origins: Origins,
    /// HTTP streams. Default `/connection/http_stream`.
    pub http_stream: HttpPath,
    /// Server-sent events. Default `/connection/sse`.
    pub sse: HttpPath,
    /// Server-sent events for clients that only receive. Default `/connection/uni_sse`.
    pub uni_sse: HttpPath,
    /// The commands of clients that read a response. Default `/emulation`.
    pub emulation: HttpPath,
    /// Bytes that may wait for a client that doesn't read. Default 1 MiB. Beyond it the client is ended with 3008.
    pub queue_max_size: usize,
    /// Clients at the same time. Default 10,000. One more is answered with 503 and `Retry-After`.
    pub clients_max: usize,
    /// Charged with what waits.
    pub memory_budget: MemoryBudget,
}

/// Where one of them is, and how large its requests can be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpPath {
    /// The path; `None` serves none.
    pub path: Option<String>,
    /// Bytes. Largest body of a request. Default 64 KiB. A larger one is answered with 413.
    pub max_request_body_size: usize,
}

impl HttpPath {
    /// Serves it at this path.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self {
            path: Some(path.into()),
            max_request_body_size: 64 << 10,
        }
    }

    /// Adds it to a router.
    fn mount(
        &self,
        router: Router<HttpTransports>,
        methods: MethodRouter<HttpTransports>,
    ) -> Router<HttpTransports> {
        match &self.path {
            Some(path) => {
                let limit = DefaultBodyLimit::max(self.max_request_body_size);
                router.route(path, methods.options(preflight).layer(limit))
            }
            None => router,
        }
    }
}

impl Default for HttpTransportSettings {
    fn default() -> Self {
        Self {
            origins: Origins::Same,
            http_stream: HttpPath::new("/connection/http_stream"),
            sse: HttpPath::new("/connection/sse"),
            uni_sse: HttpPath::new("/connection/uni_sse"),
            emulation: HttpPath::new("/emulation"),
            queue_max_size: 1 << 20,
            clients_max: 10_000,
            memory_budget: MemoryBudget::of_process(),
        }
    }
}

/// The hub without WebSocket: `/connection/http_stream`, `/connection/sse` and `/emulation`, to which the JavaScript SDK
/// falls back, and `/connection/uni_sse` for `EventSource` and curl.
///
/// ```
/// use sockeye::Server;
/// use sockeye_hub::{Node, namespace::{ChannelConfig, Namespaces}};
/// use sockeye_server::transport::{HttpTransportSettings, HttpTransports};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let node = Node::builder(Namespaces::new(ChannelConfig::default())?).start();
/// let transports = HttpTransports::new(&node, HttpTransportSettings::default());
/// let server = Server::bind("127.0.0.1:0").fallback(transports.router());
/// # drop(server);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct HttpTransports(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) node: Node,
    pub(super) settings: HttpTransportSettings,
    pub(super) sessions: Sessions,
    refused_origins: LineLimit,
}

impl HttpTransports {
    /// Makes the transports of a node.
    #[must_use]
    pub fn new(node: &Node, settings: HttpTransportSettings) -> Self {
        Self(Arc::new(Shared {
            node: node.clone(),
            settings,
            sessions: Sessions::default(),
            refused_origins: LineLimit::every(Duration::from_secs(10)),
        }))
    }

    /// Returns the paths.
    pub fn router(&self) -> Router {
        let stream = routing::post(http_stream::http_stream);
        let sse = routing::get(http_stream::sse_by_query).post(http_stream::sse_by_body);
        let uni_sse =
            routing::get(http_stream::uni_sse_by_query).post(http_stream::uni_sse_by_body);
        let settings = &self.0.settings;
        let router = settings.http_stream.mount(Router::new(), stream);
        let router = settings.sse.mount(router, sse);
        let router = settings.uni_sse.mount(router, uni_sse);
        let router = settings.emulation.mount(router, routing::post(emulate));
        router.with_state(self.clone())
    }

    /// Ends all clients with 3001: the server ends, and they come back.
    pub fn shut_down(&self) {
        self.0.sessions.disconnect_all(&Disconnect::SHUTDOWN);
    }

    /// Returns the fields by which a page may read the answer, or the answer to one that may not.
    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        info: &RequestInfo,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, (StatusCode, &'static str)> {
        let text = "pages of this origin may not use the hub\n";
        let admitted = origin::admit(&self.0.settings.origins, headers, info);
        admitted.map_err(|ForeignPage| {
            self.log_refused(headers);
            (StatusCode::FORBIDDEN, text)
        })
    }

    /// Logs that a page is refused: a browser doesn't say why, so the log is the only place to find out.
    fn log_refused(&self, headers: &HeaderMap) {
        let Some(suppressed) = self.0.refused_origins.due(Instant::now()) else {
            return;
        };
        let origin = headers.get(header::ORIGIN);
        let origin = origin.map_or(&b""[..], HeaderValue::as_bytes);
        let origin = origin[..origin.len().min(SHOWN_BYTES_MAX)].escape_ascii();
        tracing::warn!(
            suppressed,
            "a page of another origin was refused: if it is yours, add \"{origin}\" to client.allowed_origins; if a proxy \
             has changed Host, name it as a trusted proxy (docs/howto/origins.md)"
        );
    }
}

/// Bytes of a value from the peer that a log line shows: more than any host has.
const SHOWN_BYTES_MAX: usize = 300;

/// Answers a browser's question before a request from another origin (Fetch Standard, CORS-preflight).
async fn preflight(
    State(transports): State<HttpTransports>,
    info: RequestInfo,
    headers: HeaderMap,
) -> Response {
    let mut fields = match transports.admit(&headers, &info) {
        Ok(fields) => fields,
        Err(refused) => return refused.into_response(),
    };
    fields.push((
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, OPTIONS"),
    ));
    if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        fields.push((header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone()));
    }
    // An hour, so that not every request is asked about.
    fields.push((
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("3600"),
    ));
    with_fields(StatusCode::NO_CONTENT.into_response(), fields)
}

/// Takes the commands of a client whose answers go out by another response.
async fn emulate(
    State(transports): State<HttpTransports>,
    info: RequestInfo,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fields = match transports.admit(&headers, &info) {
        Ok(fields) => fields,
        Err(refused) => return refused.into_response(),
    };
    let request = EmulationRequest::decode(encoding_of(&headers), body);
    let response = match request {
        Err(_) => (StatusCode::BAD_REQUEST, "not an emulation request\n").into_response(),
        Ok(request) => match transports.0.sessions.find(&request.session) {
            // The node is not looked at: a session is known where it is, and nowhere else.
            Some(client) => {
                client.handle_frame(request.data);
                StatusCode::NO_CONTENT.into_response()
            }
            None => (StatusCode::NOT_FOUND, "no such session\n").into_response(),
        },
    };
    with_fields(response, fields)
}

pub(super) fn encoding_of(headers: &HeaderMap) -> Encoding {
    let content_type = headers.get(header::CONTENT_TYPE);
    match content_type
        .is_some_and(|value| value.as_bytes().starts_with(b"application/octet-stream"))
    {
        true => Encoding::Protobuf,
        false => Encoding::Json,
    }
}

pub(super) fn with_fields(
    mut response: Response,
    fields: Vec<(HeaderName, HeaderValue)>,
) -> Response {
    response.headers_mut().extend(fields);
    response
}
