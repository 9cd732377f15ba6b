//! What lies below `/api`, and the key that is asked for before all of it.

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing,
};

use super::{Key, answer};

/// Everything below `/api`.
pub(crate) fn router(key: Key) -> Router {
    Router::new()
        .route("/api", routing::any(unknown))
        .route("/api/{*path}", routing::any(unknown))
        .route_layer(middleware::from_fn_with_state(key, ask_for_key))
}

async fn ask_for_key(State(key): State<Key>, request: Request, next: Next) -> Response {
    if key.is_shown(request.headers()) {
        return next.run(request).await;
    }
    answer::error(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "show the server's API key in the header field X-API-Key",
    )
}

async fn unknown() -> Response {
    answer::error(
        StatusCode::NOT_FOUND,
        "unknown_path",
        "the API has nothing on this path",
    )
}
