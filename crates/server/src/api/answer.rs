//! The answers of the API: JSON, for errors too.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

/// Returns an error as JSON: `{"error":{"code":"unknown_path","message":"…"}}`. `code` is for programs and stays.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "error": { "code": code, "message": message } });
    json(status, &body)
}

/// Returns `body` as JSON with a final newline, for terminals.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let mut text = serde_json::to_string(body).expect("an answer has nothing that JSON has not");
    text.push('\n');
    self::text(status, text)
}

/// Returns `text`, which is JSON, as it is.
pub(super) fn text(status: StatusCode, text: String) -> Response {
    let fields = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        // Presence changes all the time and is private, so no cache may store it.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, fields, text).into_response()
}
