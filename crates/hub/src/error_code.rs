//! Codes of errors in replies.

use crate::wire::ErrorReply;

/// Why a command failed. The connection stays open.
///
/// Applications have codes of their own, 400 to 1999: they fill an [`ErrorReply`] themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The server failed. Temporary: the client subscribes or connects again after a delay; other commands fail.
    Internal,
    /// The client isn't authorised at all. The client's command fails.
    Unauthorized,
    /// The channel's namespace isn't configured. The subscription ends for good.
    UnknownChannel,
    /// The client may not do this. The subscription ends for good; another command fails.
    PermissionDenied,
    /// The application has no such procedure. The client's command fails.
    MethodNotFound,
    /// The client is subscribed to the channel already. The subscription ends for good.
    AlreadySubscribed,
    /// A limit is reached, such as that of channels for one client. The subscription ends for good.
    LimitExceeded,
    /// The command makes no sense: a channel name that is too long, a filter that is none. It fails.
    BadRequest,
    /// The feature is off, in this channel or altogether. The command fails.
    NotAvailable,
    /// The token has expired. The client asks its application for another one, and tries again.
    TokenExpired,
    /// The connection or the subscription has expired. It ends for good.
    Expired,
    /// Too many commands in too short a time. Temporary: the client tries again after a delay.
    TooManyRequests,
    /// The position can't be recovered. The client subscribes without a position, or gets its state elsewhere first.
    UnrecoverablePosition,
    /// The client reads two pages of one channel at the same time. Temporary: the client tries again after a delay.
    ConcurrentPagination,
}

impl ErrorCode {
    /// Every code, in ascending order.
    pub const ALL: [Self; 14] = [
        Self::Internal,
        Self::Unauthorized,
        Self::UnknownChannel,
        Self::PermissionDenied,
        Self::MethodNotFound,
        Self::AlreadySubscribed,
        Self::LimitExceeded,
        Self::BadRequest,
        Self::NotAvailable,
        Self::TokenExpired,
        Self::Expired,
        Self::TooManyRequests,
        Self::UnrecoverablePosition,
        Self::ConcurrentPagination,
    ];

    /// Returns the number that clients get: 100 to 113.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Internal => 100,
            Self::Unauthorized => 101,
            Self::UnknownChannel => 102,
            Self::PermissionDenied => 103,
            Self::MethodNotFound => 104,
            Self::AlreadySubscribed => 105,
            Self::LimitExceeded => 106,
            Self::BadRequest => 107,
            Self::NotAvailable => 108,
            Self::TokenExpired => 109,
            Self::Expired => 110,
            Self::TooManyRequests => 111,
            Self::UnrecoverablePosition => 112,
            Self::ConcurrentPagination => 113,
        }
    }

    /// Returns the text that clients get.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Internal => "internal server error",
            Self::Unauthorized => "unauthorized",
            Self::UnknownChannel => "unknown channel",
            Self::PermissionDenied => "permission denied",
            Self::MethodNotFound => "method not found",
            Self::AlreadySubscribed => "already subscribed",
            Self::LimitExceeded => "limit exceeded",
            Self::BadRequest => "bad request",
            Self::NotAvailable => "not available",
            Self::TokenExpired => "token expired",
            Self::Expired => "expired",
            Self::TooManyRequests => "too many requests",
            Self::UnrecoverablePosition => "unrecoverable position",
            Self::ConcurrentPagination => "concurrent pagination",
        }
    }

    /// Returns whether clients are told that a later attempt may succeed.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::Internal | Self::TooManyRequests | Self::ConcurrentPagination
        )
    }
}

impl From<ErrorCode> for ErrorReply {
    fn from(error: ErrorCode) -> Self {
        Self {
            code: error.code(),
            message: error.message().to_owned(),
            temporary: error.is_temporary(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_from_100_to_113() {
        let codes: Vec<u32> = ErrorCode::ALL.into_iter().map(ErrorCode::code).collect();
        assert_eq!(codes, (100..=113).collect::<Vec<_>>());
    }

    #[test]
    fn a_reply_says_whether_the_error_is_temporary() {
        let reply = ErrorReply::from(ErrorCode::TooManyRequests);
        assert_eq!(
            serde_json::to_string(&reply).expect("JSON"),
            r#"{"code":111,"message":"too many requests","temporary":true}"#
        );
        let reply = ErrorReply::from(ErrorCode::TokenExpired);
        assert_eq!(
            serde_json::to_string(&reply).expect("JSON"),
            r#"{"code":109,"message":"token expired"}"#
        );
    }
}
