//! The `chat_token` of the dialect: who may talk at all.

use std::{fmt, sync::Arc};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Decides about the `chat_token` that comes with what a page says. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl Tokens {
    /// A program's own rule; it is called on the connection's worker and must not block.
    pub(crate) fn new(rule: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    /// Any token that is one. The article's page says "abc".
    pub(crate) fn any() -> Self {
        Self::new(|token| !token.is_empty())
    }

    /// This token and no other. How long a wrong one takes doesn't tell how wrong it is.
    pub(crate) fn exactly(secret: &str) -> Self {
        // Of digests, so that the length isn't told either.
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
