//! Codes of ended subscriptions.

use crate::wire::UnsubscribePush;

/// Why a subscription ended. The connection stays open. Below 2500 it has ended for good; from 2500 on the client
/// subscribes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnsubscribeCode {
    /// The client unsubscribed. It is never sent: handlers and metrics see it.
    Client,
    /// The server unsubscribed the client. The subscription has ended for good.
    Server,
    /// The client's position is lost: publications are missing. The client subscribes again and recovers.
    Insufficient,
    /// The subscription has expired. The client gets a new token and subscribes again.
    Expired,
    /// What the client knows of the channel is void. The client subscribes again as if for the first time.
    Invalidated,
}

impl UnsubscribeCode {
    /// Every code, in ascending order.
    pub const ALL: [Self; 5] = [
        Self::Client,
        Self::Server,
        Self::Insufficient,
        Self::Expired,
        Self::Invalidated,
    ];

    /// Returns the number that clients get.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Client => 0,
            Self::Server => 2000,
            Self::Insufficient => 2500,
            Self::Expired => 2501,
            Self::Invalidated => 2502,
        }
    }

    /// Returns the text that clients get.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Client => "client unsubscribed",
            Self::Server => "server unsubscribe",
            Self::Insufficient => "insufficient state",
            Self::Expired => "subscription expired",
            Self::Invalidated => "state invalidated",
        }
    }

    /// Returns whether the client subscribes again.
    #[must_use]
    pub fn resubscribes(self) -> bool {
        self.code() >= RESUBSCRIBES_FROM
    }
}

impl From<UnsubscribeCode> for UnsubscribePush {
    fn from(unsubscribe: UnsubscribeCode) -> Self {
        Self {
            code: unsubscribe.code(),
            reason: unsubscribe.reason().to_owned(),
        }
    }
}

/// Lowest code after which clients subscribe again.
const RESUBSCRIBES_FROM: u32 = 2500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_subscribe_again_after_the_codes_from_2500_on() {
        let again: Vec<u32> = UnsubscribeCode::ALL
            .into_iter()
            .filter(|code| code.resubscribes())
            .map(UnsubscribeCode::code)
            .collect();
        assert_eq!(again, [2500, 2501, 2502]);
    }

    #[test]
    fn a_push_carries_code_and_reason() {
        assert_eq!(
            serde_json::to_string(&UnsubscribePush::from(UnsubscribeCode::Insufficient))
                .expect("JSON"),
            r#"{"code":2500,"reason":"insufficient state"}"#
        );
    }
}
