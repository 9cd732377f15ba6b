//! The answers of the API: JSON, for errors too.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

/// Why a request to the API is refused before any order is carried out.
#[derive(Serialize, JsonSchema)]
pub(super) struct ErrorAnswer<'a> {
    /// What is wrong.
    error: ErrorBody<'a>,
}

/// What is wrong with a request.
#[derive(Serialize, JsonSchema)]
struct ErrorBody<'a> {
    /// For programs: it doesn't change.
    code: &'a str,
    /// For people.
    message: &'a str,
}

/// Returns an error as JSON: `{"error":{"code":"unknown_path","message":"…"}}`. `code` is for programs and stays.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let error = ErrorBody { code, message };
    json(status, &ErrorAnswer { error })
}

/// Returns `body` as JSON with a final newline, for terminals.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let mut text = Vec::new();
    write(body, &mut text);
    text.push(b'\n');
    self::text(status, text)
}

/// Appends `body` as JSON, which has no line break.
pub(super) fn write(body: &impl Serialize, text: &mut Vec<u8>) {
    serde_json::to_writer(text, body).expect("an answer has nothing that JSON has not");
}

/// Returns `text`, which is JSON, as it is.
pub(super) fn text(status: StatusCode, text: impl Into<Body>) -> Response {
    let fields = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        // Presence changes all the time and is private, so no cache may store it.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, fields, text.into()).into_response()
}
