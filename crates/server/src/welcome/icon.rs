//! The icon, which pages also request to check the connection.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

/// Answers a GET or HEAD of `/favicon.ico`.
///
/// Pages that check their network (Offline.js) request it, also from other sites. So it is an image that any page can load,
/// and no cache stores it.
pub(crate) async fn icon() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "no-store"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        // It can be opened as a document, and needs no scripts.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, ICON).into_response()
}

const ICON: &str = include_str!("icon.svg");
