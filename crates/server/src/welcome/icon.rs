//! The icon, which pages also ask for to learn whether the server is there.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

/// Answers a GET or HEAD of `/favicon.ico`.
///
/// Pages that watch their network (Offline.js) ask for it, as a request or as an image, also from elsewhere: so it
/// is an image that loads, for everybody, and never comes from a cache while the server is away.
pub(crate) async fn icon() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "no-store"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        // It is opened by itself too, and has no script to run.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, ICON).into_response()
}

const ICON: &str = include_str!("icon.svg");
