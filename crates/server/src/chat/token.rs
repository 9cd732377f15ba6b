//! The check of the protocol's `chat_token`.

use std::{fmt, sync::Arc};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Checks the `chat_token` of a page's messages. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Tokens {
    /// Creates a check by `rule`, which is called on the connection's worker and must not block.
    pub(crate) fn new(rule: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    /// Accepts any token that is not empty. The article's page sends "abc".
    pub(crate) fn any() -> Self {
        Self::new(|token| !token.is_empty())
    }

    /// Accepts this token alone. Compares in constant time.
    pub(crate) fn exactly(secret: &str) -> Self {
        // Compares digests, so that timing doesn't reveal the length either.
        let expected = Sha256::digest(secret);
        Self::new(move |token| bool::from(Sha256::digest(token).ct_eq(&expected)))
    }

    pub(crate) fn admit(&self, token: &str) -> bool {
        (self.0)(token)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_any_or_exactly_one() {
        assert!(Tokens::any().admit("abc"));
        assert!(!Tokens::any().admit(""));
        let tokens = Tokens::exactly("s3cret");
        assert!(tokens.admit("s3cret"));
        for wrong in ["", "s3cre", "s3cret ", "abc"] {
            assert!(!tokens.admit(wrong), "{wrong}");
        }
    }
}
