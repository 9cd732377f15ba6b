//! How the hub ends a client's connection.

use std::{borrow::Cow, fmt};

use serde::de::IgnoredAny;

use crate::wire::DisconnectPush;

/// Why the hub ends a client's connection, and whether the client comes back.
///
/// A WebSocket carries it as close code and close reason, another transport as a push
/// ([`DisconnectPush`]).
///
/// | codes | the client |
/// |---|---|
/// | 3000 to 3499, 4000 to 4499 | connects again after a delay |
/// | 3500 to 3999, 4500 to 4999 | stays disconnected |
///
/// Below 4000 are the protocol's codes, from 4000 on the application's ([`Disconnect::new`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Disconnect {
    code: u16,
    // At most REASON_BYTES_MAX, and not JSON.
    reason: Cow<'static, str>,
}

impl Disconnect {
    /// The connection has ended, and there is no more to say. It is never sent: handlers and metrics see it, and a client that is
    /// ended with it finds its connection closed. It connects again.
    pub const CLOSED: Self = Self::builtin(3000, "connection closed");
    /// The server ends. The client connects again, to another node.
    pub const SHUTDOWN: Self = Self::builtin(3001, "shutdown");
    /// The server failed. The client connects again.
    pub const SERVER_ERROR: Self = Self::builtin(3004, "internal server error");
    /// The connection's token has expired, and no other came in time. The client gets a new token and connects again.
    pub const EXPIRED: Self = Self::builtin(3005, "connection expired");
    /// A subscription's token has expired. The client connects again, with a new token for the subscription.
    pub const SUBSCRIPTION_EXPIRED: Self = Self::builtin(3006, "subscription expired");
    /// The client reads too slowly, so its queue is full. The client connects again and recovers.
    pub const SLOW: Self = Self::builtin(3008, "slow");
    /// Writing to the connection failed. The client connects again.
    pub const WRITE_ERROR: Self = Self::builtin(3009, "write error");
    /// The position in a server-side subscription is lost. The client connects again and recovers.
    pub const INSUFFICIENT_STATE: Self = Self::builtin(3010, "insufficient state");
    /// The application wants the client to connect again. It does.
    pub const FORCE_RECONNECT: Self = Self::builtin(3011, "force reconnect");
    /// The client didn't answer a ping in time. The client connects again.
    pub const NO_PONG: Self = Self::builtin(3012, "no pong");
    /// The client sent too many commands in too short a time. The client connects again after a delay.
    pub const TOO_MANY_REQUESTS: Self = Self::builtin(3013, "too many requests");
    /// What the client knows of its server-side subscriptions is void. The client connects again as if for the first
    /// time.
    pub const STATE_INVALIDATED: Self = Self::builtin(3014, "state invalidated");

    /// The token isn't valid. The client stays disconnected.
    pub const INVALID_TOKEN: Self = Self::builtin(3500, "invalid token");
    /// The client broke the protocol. It stays disconnected.
    pub const BAD_REQUEST: Self = Self::builtin(3501, "bad request");
    /// The client sent no connect command in time. It stays disconnected.
    pub const STALE: Self = Self::builtin(3502, "stale");
    /// The application ended the connection. The client stays disconnected.
    pub const FORCE_DISCONNECT: Self = Self::builtin(3503, "force disconnect");
    /// The user or the server has too many connections. The client stays disconnected.
    pub const CONNECTION_LIMIT: Self = Self::builtin(3504, "connection limit");
    /// The connection has too many channels. The client stays disconnected.
    pub const CHANNEL_LIMIT: Self = Self::builtin(3505, "channel limit");
    /// The client's encoding can't carry what was published: the payload isn't JSON. The client stays disconnected.
    pub const INAPPROPRIATE_PROTOCOL: Self = Self::builtin(3506, "inappropriate protocol");
    /// The client may not connect. It stays disconnected.
    pub const PERMISSION_DENIED: Self = Self::builtin(3507, "permission denied");
    /// Nothing handles what the client sent. It stays disconnected.
    pub const NOT_AVAILABLE: Self = Self::builtin(3508, "not available");
    /// The client's commands failed too often. It stays disconnected.
    pub const TOO_MANY_ERRORS: Self = Self::builtin(3509, "too many errors");

    /// Creates an ending of the application: 4000 to 4499 if the client shall connect again, 4500 to 4999 if it shall
    /// not.
    ///
    /// # Errors
    ///
    /// [`DisconnectError`] for another code, a reason of more than 123 bytes, which a close frame can't carry, and a
    /// reason that is valid JSON: clients would read it as instructions.
    ///
    /// # Example
    ///
    /// ```
    /// use sockeye_hub::Disconnect;
    ///
    /// let banned = Disconnect::new(4500, "banned")?;
    /// assert!(!banned.reconnects());
    /// assert!(Disconnect::new(4500, "{}").is_err());
    /// # Ok::<(), sockeye_hub::DisconnectError>(())
    /// ```
    pub fn new(code: u16, reason: impl Into<Cow<'static, str>>) -> Result<Self, DisconnectError> {
        let reason = reason.into();
        if !APPLICATION_CODES.contains(&code) {
            return Err(DisconnectError::Code);
        }
        if reason.len() > REASON_BYTES_MAX {
            return Err(DisconnectError::ReasonTooLong);
        }
        if serde_json::from_str::<IgnoredAny>(&reason).is_ok() {
            return Err(DisconnectError::ReasonIsJson);
        }
        Ok(Self { code, reason })
    }

    /// Creates an ending that the application has chosen as a whole: any code that makes sense to a client, 3000 to 4999.
    ///
    /// The codes below 4000 have a meaning in the protocol, and a client acts on it: use [`Disconnect::new`] for codes of
    /// your own.
    ///
    /// # Errors
    ///
    /// [`DisconnectError`], as for [`Disconnect::new`].
    pub fn of_application(
        code: u16,
        reason: impl Into<Cow<'static, str>>,
    ) -> Result<Self, DisconnectError> {
        match code {
            3000..4000 => Ok(Self {
                code,
                ..Self::new(*APPLICATION_CODES.start(), reason)?
            }),
            code => Self::new(code, reason),
        }
    }

    /// Returns the number that clients get.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Returns the text that clients get: at most 123 bytes, and not JSON.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns whether the client connects again.
    #[must_use]
    pub fn reconnects(&self) -> bool {
        matches!(self.code, 3000..=3499 | 4000..=4499)
    }

    /// Returns whether the client is told code and reason: always but for 3000 ([`Disconnect::CLOSED`]).
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.code != Self::CLOSED.code
    }

    const fn builtin(code: u16, reason: &'static str) -> Self {
        Self {
            code,
            reason: Cow::Borrowed(reason),
        }
    }
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.reason)
    }
}

impl From<&Disconnect> for DisconnectPush {
    fn from(disconnect: &Disconnect) -> Self {
        Self {
            code: disconnect.code.into(),
            reason: disconnect.reason().to_owned(),
            // Clients decide by the code.
            reconnect: false,
        }
    }
}

/// The program can't end a connection like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisconnectError {
    /// The code isn't between 4000 and 4999.
    Code,
    /// The reason has more than 123 bytes.
    ReasonTooLong,
    /// The reason is valid JSON.
    ReasonIsJson,
}

impl fmt::Display for DisconnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code => "an application's disconnect code is between 4000 and 4999",
            Self::ReasonTooLong => "a disconnect reason has at most 123 bytes",
            Self::ReasonIsJson => "a disconnect reason must not be valid JSON",
        })
    }
}

impl std::error::Error for DisconnectError {}

/// Codes that the protocol leaves to applications.
const APPLICATION_CODES: std::ops::RangeInclusive<u16> = 4000..=4999;

/// Bytes. 125, the most in a control frame (RFC 6455, 5.5), less 2 for the code.
const REASON_BYTES_MAX: usize = 123;

#[cfg(test)]
mod tests {
    use super::*;

    const BUILTIN: [Disconnect; 22] = [
        Disconnect::CLOSED,
        Disconnect::SHUTDOWN,
        Disconnect::SERVER_ERROR,
        Disconnect::EXPIRED,
        Disconnect::SUBSCRIPTION_EXPIRED,
        Disconnect::SLOW,
        Disconnect::WRITE_ERROR,
        Disconnect::INSUFFICIENT_STATE,
        Disconnect::FORCE_RECONNECT,
        Disconnect::NO_PONG,
        Disconnect::TOO_MANY_REQUESTS,
        Disconnect::STATE_INVALIDATED,
        Disconnect::INVALID_TOKEN,
        Disconnect::BAD_REQUEST,
        Disconnect::STALE,
        Disconnect::FORCE_DISCONNECT,
        Disconnect::CONNECTION_LIMIT,
        Disconnect::CHANNEL_LIMIT,
        Disconnect::INAPPROPRIATE_PROTOCOL,
        Disconnect::PERMISSION_DENIED,
        Disconnect::NOT_AVAILABLE,
        Disconnect::TOO_MANY_ERRORS,
    ];

    #[test]
    fn clients_come_back_after_half_of_the_codes() {
        let back: Vec<u16> = BUILTIN
            .iter()
            .filter(|disconnect| disconnect.reconnects())
            .map(Disconnect::code)
            .collect();
        assert_eq!(
            back,
            [
                3000, 3001, 3004, 3005, 3006, 3008, 3009, 3010, 3011, 3012, 3013, 3014
            ]
        );
        let gone: Vec<u16> = BUILTIN
            .iter()
            .filter(|disconnect| !disconnect.reconnects())
            .map(Disconnect::code)
            .collect();
        assert_eq!(gone, (3500..=3509).collect::<Vec<_>>());
    }

    #[test]
    fn no_reason_is_json_or_too_long() {
        for disconnect in &BUILTIN {
            let reason = disconnect.reason();
            assert!(
                serde_json::from_str::<IgnoredAny>(reason).is_err(),
                "{reason}"
            );
            assert!(reason.len() <= 123, "{reason}");
        }
    }

    #[test]
    fn an_application_says_by_the_code_whether_the_client_comes_back() {
        for (code, reconnects) in [(4000, true), (4499, true), (4500, false), (4999, false)] {
            let disconnect = Disconnect::new(code, "bye").expect("an application's code");
            assert_eq!(disconnect.reconnects(), reconnects, "{code}");
        }
    }

    #[test]
    fn what_a_close_frame_or_a_client_would_misread_is_refused() {
        for code in [0, 1000, 3000, 3500, 3999, 5000] {
            assert_eq!(Disconnect::new(code, "bye"), Err(DisconnectError::Code));
        }
        for reason in ["{}", "[]", "1", "null", "\"a\"", " true "] {
            assert_eq!(
                Disconnect::new(4000, reason),
                Err(DisconnectError::ReasonIsJson)
            );
        }
        assert!(Disconnect::new(4000, "a".repeat(123)).is_ok());
        assert_eq!(
            Disconnect::new(4000, "a".repeat(124)),
            Err(DisconnectError::ReasonTooLong)
        );
    }
}
