//! Why an order has no result.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use sockeye_hub::{ApiError, ErrorCode};

/// The error of an order, as back ends see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OrderError")]
pub(super) struct Failure {
    /// What went wrong, for programs.
    pub(super) code: u32,
    /// The same for people.
    message: &'static str,
}

impl Failure {
    /// Returns the status that stands for the error, for back ends that ask for it
    /// (`X-Centrifugo-Error-Mode: transport`).
    pub(super) fn status(&self) -> StatusCode {
        match self.code {
            102 | 104 => StatusCode::NOT_FOUND,
            107 | 108 => StatusCode::BAD_REQUEST,
            112 => StatusCode::RANGE_NOT_SATISFIABLE,
            113 => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self {
            code: code.code(),
            message: match code {
                // The server API has no methods but paths.
                ErrorCode::MethodNotFound => "not found",
                code => code.message(),
            },
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        // The broker has told what the operator must know.
        match &error {
            ApiError::Broker(cause) => tracing::debug!(error = %cause, "an order failed"),
            error => tracing::debug!(%error, "an order is refused"),
        }
        error.code().into()
    }
}
