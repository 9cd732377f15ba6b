//! Clients that read an HTTP response without an end.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use sockeye::RequestInfo;
use sockeye_hub::{
    Client, ConnectionInfo,
    wire::{ConnectRequest, Encoding},
};

use super::{
    frame_queue::{Form, FrameBody, FrameQueue, QueueOptions, QueueTransport},
    http::{HttpTransports, encoding_of, with_fields},
    request_fields::request_fields,
};
use crate::query::parameters;

/// `POST /connection/http_stream`: the body has the connect command, in JSON or Protobuf.
pub(super) async fn http_stream(
    State(transports): State<HttpTransports>,
    info: RequestInfo,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let encoding = encoding_of(&headers);
    let form = match encoding {
        Encoding::Json => Form::Line,
        Encoding::Protobuf => Form::Bare,
    };
    transports.stream("http_stream", encoding, form, &info, &headers, body)
}

/// `GET /connection/sse?cf_connect=…`: the query has the connect command.
pub(super) async fn sse_by_query(
    State(transports): State<HttpTransports>,
    info: RequestInfo,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let frame = match connect_parameter(query.as_deref()) {
        Ok(frame) => frame,
        Err(refused) => return refused.into_response(),
    };
    if frame.is_empty() {
        let text = "cf_connect has the connect command\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    transports.stream("sse", Encoding::Json, Form::Event, &info, &headers, frame)
}

/// `POST /connection/sse`: the body has the connect command.
pub(super) async fn sse_by_body(
    State(transports): State<HttpTransports>,
    info: RequestInfo,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    transports.stream("sse", Encoding::Json, Form::Event, &info, &headers, body)
}

/// `GET /connection/uni_sse?cf_connect=…`: the query may have a connect request.
pub(super) async fn uni_sse_by_query(
    State(transports): State<HttpTransports>,
    info: RequestInfo,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let frame = match connect_parameter(query.as_deref()) {
        Ok(frame) => frame,
        Err(refused) => return refused.into_response(),
    };
    transports.unidirectional(&info, &headers, &frame)
}

/// `POST /connection/uni_sse`: the body may have a connect request.
pub(super) async fn uni_sse_by_body(
    State(transports): State<HttpTransports>,
    info: RequestInfo,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    transports.unidirectional(&info, &headers, &body)
}

impl HttpTransports {
    /// Answers a request whose commands come by `/emulation` from then on.
    fn stream(
        &self,
        name: &'static str,
        encoding: Encoding,
        form: Form,
        info: &RequestInfo,
        headers: &HeaderMap,
        frame: Bytes,
    ) -> Response {
        let options = QueueOptions {
            name,
            encoding,
            is_unidirectional: false,
            form,
            bytes_max: self.0.settings.queue_max_size,
        };
        self.open(options, info, headers, |client| client.handle_frame(frame))
    }

    fn unidirectional(&self, info: &RequestInfo, headers: &HeaderMap, request: &[u8]) -> Response {
        let request: ConnectRequest = match request {
            [] => ConnectRequest::default(),
            json => match serde_json::from_slice(json) {
                Ok(request) => request,
                Err(_) => {
                    let text = "not a connect request\n";
                    return (StatusCode::BAD_REQUEST, text).into_response();
                }
            },
        };
        let options = QueueOptions {
            name: "uni_sse",
            encoding: Encoding::Json,
            is_unidirectional: true,
            form: Form::Event,
            bytes_max: self.0.settings.queue_max_size,
        };
        self.open(options, info, headers, |client| {
            let client = Arc::clone(client);
            tokio::spawn(async move { client.connect_unidirectional(request).await });
        })
    }

    fn open(
        &self,
        options: QueueOptions,
        info: &RequestInfo,
        headers: &HeaderMap,
        begin: impl FnOnce(&Arc<Client>),
    ) -> Response {
        let mut fields = match self.admit(headers, info) {
            Ok(fields) => fields,
            Err(refused) => return refused.into_response(),
        };
        if self.0.sessions.len() >= self.0.settings.clients_max {
            let fields = [(header::RETRY_AFTER, "1")];
            let text = "too many clients\n";
            return (StatusCode::SERVICE_UNAVAILABLE, fields, text).into_response();
        }
        fields.extend(stream_fields(&options));
        let form = options.form;
        let queue = FrameQueue::new(options, &self.0.settings.memory_budget);
        let info = ConnectionInfo {
            headers: request_fields(headers),
            credentials: None,
        };
        let transport = QueueTransport(Arc::clone(&queue));
        let client = self.0.node.open(transport, info);
        let registered = self.0.sessions.add(queue.session(), &client);
        begin(&client);
        let body = FrameBody {
            queue,
            client,
            // A browser reports an open stream at its first bytes.
            first: (form == Form::Event).then(|| Bytes::from_static(b"\r\n")),
            registered: Some(registered),
        };
        with_fields(Body::from_stream(body).into_response(), fields)
    }
}

/// Returns the fields of a response that must not be kept back by proxies, and by no cache.
fn stream_fields(options: &QueueOptions) -> [(HeaderName, HeaderValue); 3] {
    let content_type = match (options.form, options.encoding) {
        (Form::Event, _) => "text/event-stream",
        (_, Encoding::Protobuf) => "application/octet-stream",
        (_, Encoding::Json) => "application/json",
    };
    let cache_control = "private, no-cache, no-store, must-revalidate, max-age=0, no-transform";
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static(cache_control),
        ),
        // For nginx.
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ]
}

fn connect_parameter(query: Option<&str>) -> Result<Bytes, (StatusCode, &'static str)> {
    let refused = (
        StatusCode::BAD_REQUEST,
        "cf_connect must be UTF-8, and there once\n",
    );
    let parameters = parameters(query.unwrap_or_default()).map_err(|_| refused)?;
    let mut found = parameters
        .into_iter()
        .filter(|(name, _)| name == "cf_connect");
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(refused),
        (Some((_, value)), None) => Ok(value.into()),
        (None, None) => Ok(Bytes::new()),
    }
}
