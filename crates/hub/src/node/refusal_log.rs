//! The log lines about clients that are refused. Any client can cause them, so each kind has a limit.

use std::time::Duration;

use super::NodeShared;
use crate::{
    ErrorCode,
    log_limit::LogLimit,
    namespace::{ChannelOptions, Membership, ResolvedChannel},
    node::client::Failure,
    token::TokenError,
    wire::DecodeError,
};

/// Why clients are refused, as far as the one who runs the server can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RefusalKind {
    NoToken,
    BadToken,
    NoPermission,
    BadRequest,
    Stale,
}

/// A limit for the lines of each kind.
#[derive(Default)]
pub(crate) struct RefusalLog([LogLimit; 5]);

impl RefusalLog {
    /// Returns how many lines of this kind were left out since the last one, if one may be written now.
    fn due(&self, kind: RefusalKind, now: Duration) -> Option<u64> {
        self.0[kind as usize].due(now)
    }
}

/// A right that the options of a channel grant.
pub(crate) type Right = fn(&ChannelOptions, &str, Membership) -> bool;

impl NodeShared {
    fn refusal_due(&self, kind: RefusalKind) -> Option<u64> {
        self.refusals.due(kind, self.elapsed())
    }

    /// Logs that a client has brought no token, and nothing lets it in without one.
    pub(crate) fn log_no_token(&self) {
        if let Some(suppressed) = self.refusal_due(RefusalKind::NoToken) {
            let reason = match self.handlers.connect {
                None => {
                    "client.allow_anonymous_connect_without_token is off, and no connect hook decides"
                }
                Some(_) => {
                    "the connect hook has not decided, and client.allow_anonymous_connect_without_token is off"
                }
            };
            tracing::info!(suppressed, reason, "a client without a token was refused");
        }
    }

    /// Logs that a token has no user.
    pub(crate) fn log_anonymous_token(&self) {
        if let Some(suppressed) = self.refusal_due(RefusalKind::BadToken) {
            let reason = "it has no user, and client.disallow_anonymous_connection_tokens is on";
            tracing::info!(suppressed, reason, "a token was refused");
        }
    }

    /// Logs that a token is not accepted. `section` has the keys of such tokens. Errors of tokens quote nothing from them.
    pub(crate) fn log_bad_token(&self, section: &str, error: &TokenError) {
        if let Some(suppressed) = self.refusal_due(RefusalKind::BadToken) {
            tracing::info!(
                suppressed,
                reason = %error,
                keys = %format_args!("{section}.hmac_secret_key and the other keys of {section}"),
                "a token was refused"
            );
        }
    }

    /// Logs that a token is for another channel, client or user.
    pub(crate) fn log_token_of_others(&self) {
        if let Some(suppressed) = self.refusal_due(RefusalKind::BadToken) {
            let reason = "it is for another channel, client or user";
            tracing::info!(suppressed, reason, "a token was refused");
        }
    }

    /// Logs that `user` has no right in a channel, and returns error 103. The option is `allow_NAME_for_…`.
    pub(crate) fn deny(
        &self,
        name: &'static str,
        right: Right,
        resolved: &ResolvedChannel<'_>,
        user: &str,
        membership: Membership,
    ) -> Failure {
        self.log_denied(name, resolved, || {
            missing(name, right, resolved.options, user, membership)
        });
        ErrorCode::PermissionDenied.into()
    }

    /// Logs that a client has no right in a channel.
    pub(crate) fn log_denied(
        &self,
        command: &'static str,
        resolved: &ResolvedChannel<'_>,
        missing: impl FnOnce() -> String,
    ) {
        if let Some(suppressed) = self.refusal_due(RefusalKind::NoPermission) {
            let namespace = match resolved.namespace {
                "" => "channel.without_namespace",
                namespace => namespace,
            };
            let missing = missing();
            tracing::info!(
                suppressed,
                command,
                namespace,
                missing,
                "a client was told that it has no permission (error 103)"
            );
        }
    }

    /// Logs that a command is one that its client may not send.
    pub(crate) fn log_bad_command(&self, command: &'static str) {
        if let Some(suppressed) = self.refusal_due(RefusalKind::BadRequest) {
            tracing::info!(
                suppressed,
                command,
                "a client was ended with 3501: the command is unknown, lacks what it needs, or comes before connect"
            );
        }
    }

    /// Logs that a client has sent no connect command in time.
    pub(crate) fn log_stale(&self, transport: &'static str) {
        if let Some(suppressed) = self.refusal_due(RefusalKind::Stale) {
            tracing::info!(
                suppressed,
                transport,
                waited_max_ms = self.settings.stale_close_delay.as_millis() as u64,
                "a client was ended with 3502: it has not sent its connect command"
            );
        }
    }

    /// Logs that a frame has no commands. What a client has sent is not in the line.
    pub(crate) fn log_bad_frame(&self, encoding: &'static str, error: &DecodeError) {
        if let Some(suppressed) = self.refusal_due(RefusalKind::BadRequest) {
            let reason = match error {
                DecodeError::Malformed(_) => "it holds what is not a command".to_owned(),
                error => error.to_string(),
            };
            tracing::info!(
                suppressed,
                encoding,
                reason,
                "a client was ended with 3501: its frame is not understood"
            );
        }
    }
}

/// Returns what would give `user` the right.
fn missing(
    name: &str,
    right: Right,
    options: &ChannelOptions,
    user: &str,
    membership: Membership,
) -> String {
    let somebody = "somebody";
    let of_users = if right(options, somebody, membership) {
        None
    } else if right(options, somebody, Membership::Subscriber) {
        Some("a subscription to the channel".to_owned())
    } else {
        Some(format!("allow_{name}_for_client"))
    };
    let of_anonymous = user
        .is_empty()
        .then(|| format!("allow_{name}_for_anonymous"));
    let options: Vec<_> = of_users.into_iter().chain(of_anonymous).collect();
    options.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_limit::INTERVAL;

    #[test]
    fn each_kind_has_a_limit_of_its_own() {
        let log = RefusalLog::default();
        let start = Duration::from_secs(1);
        assert_eq!(log.due(RefusalKind::NoToken, start), Some(0));
        assert_eq!(log.due(RefusalKind::NoToken, start), None);
        assert_eq!(log.due(RefusalKind::BadRequest, start), Some(0));
        assert_eq!(log.due(RefusalKind::NoToken, start + INTERVAL), Some(1));
    }

    #[test]
    fn the_option_that_is_missing_is_named() {
        let of_subscribers = ChannelOptions {
            allow_publish_for_subscriber: true,
            ..ChannelOptions::default()
        };
        let none = ChannelOptions::default();
        for (options, user, membership, expected) in [
            (
                &none,
                "ann",
                Membership::Outsider,
                "allow_publish_for_client",
            ),
            (
                &none,
                "",
                Membership::Subscriber,
                "allow_publish_for_client and allow_publish_for_anonymous",
            ),
            (
                &of_subscribers,
                "",
                Membership::Subscriber,
                "allow_publish_for_anonymous",
            ),
            (
                &of_subscribers,
                "ann",
                Membership::Outsider,
                "a subscription to the channel",
            ),
        ] {
            let right = ChannelOptions::allows_publish;
            assert_eq!(
                missing("publish", right, options, user, membership),
                expected
            );
        }
    }
}
