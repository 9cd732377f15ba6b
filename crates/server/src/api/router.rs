//! What lies below `/api`, and the key that is asked for before all of it.

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing,
};

use sockeye_hub::presence::Presence;

use super::{Key, answer, presence};

/// Everything below `/api`.
pub(crate) fn router(key: Key, presence: &Presence) -> Router {
    presence::routes(presence.clone())
        .method_not_allowed_fallback(wrong_method)
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

async fn wrong_method() -> Response {
    answer::error(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        "this path of the API is asked in another way, see Allow",
    )
}

async fn unknown() -> Response {
    answer::error(
        StatusCode::NOT_FOUND,
        "unknown_path",
        "the API has nothing on this path",
    )
}
