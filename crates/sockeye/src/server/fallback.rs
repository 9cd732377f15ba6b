//! The service that answers plain requests.

use std::{future::poll_fn, pin::Pin};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{Request, StatusCode};
use tower_service::Service;

use crate::{error::report, handshake::Refusal};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

/// The service that answers plain requests, whatever its type.
pub(crate) struct Fallback(Box<dyn Fn(Request<Body>) -> ResponseFuture + Send + Sync>);

impl Fallback {
    pub(crate) fn new<S>(service: S) -> Self
    where
        S: Service<Request<Body>> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Error: Into<BoxError>,
        S::Future: Send,
    {
        Self(Box::new(move |request| {
            let service = service.clone();
            Box::pin(respond(service, request))
        }))
    }

    /// Answers one request, with a clone of the service.
    pub(crate) async fn respond(&self, request: Request<Body>) -> Response {
        (self.0)(request).await
    }
}

async fn respond<S>(mut service: S, request: Request<Body>) -> Response
where
    S: Service<Request<Body>>,
    S::Response: IntoResponse,
    S::Error: Into<BoxError>,
{
    // An error may not be Send, so that it becomes one that is before anything is awaited.
    let ready: Result<(), BoxError> =
        poll_fn(|cx| service.poll_ready(cx).map_err(Into::into)).await;
    let answered = match ready {
        Ok(()) => service.call(request).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    match answered {
        Ok(response) => response.into_response(),
        Err(error) => {
            let error = report(&*error);
            tracing::error!(%error, "the fallback service has failed");
            let text = "the program behind this path has failed\n";
            Refusal::text(StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}
