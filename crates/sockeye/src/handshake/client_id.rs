//! The name of a client.

use std::{borrow::Borrow, fmt, ops::Deref, str::FromStr, sync::Arc};

/// The name of a client: 1 to [`ClientId::BYTES_MAX`] bytes of UTF-8 without control characters. Cheap to clone.
///
/// [`crate::Route::identify`] decides where it comes from.
///
/// ```
/// use sockeye::ClientId;
///
/// let ann: ClientId = "ann".parse().unwrap();
/// assert_eq!(&*ann, "ann");
/// assert!("line\nfeed".parse::<ClientId>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Arc<str>);

/// The error for a text that can't be a [`ClientId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadClientId;

impl ClientId {
    /// The longest name, in bytes: 128. Room for a UUID, an e-mail address or the subject of a token.
    pub const BYTES_MAX: usize = 128;

    /// Checks `text` and makes it a name.
    ///
    /// # Errors
    ///
    /// `text` is empty, longer than [`ClientId::BYTES_MAX`], or has a control character.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, BadClientId> {
        let text = text.into();
        let fits = (1..=Self::BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
        if fits {
            Ok(Self(text))
        } else {
            Err(BadClientId)
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for ClientId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ClientId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ClientId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = BadClientId;

    fn from_str(text: &str) -> Result<Self, BadClientId> {
        Self::new(text)
    }
}

/// Doesn't copy: for programs that keep names as shared strings.
impl From<ClientId> for Arc<str> {
    fn from(client: ClientId) -> Self {
        client.0
    }
}

/// Doesn't copy.
impl From<&ClientId> for Arc<str> {
    fn from(client: &ClientId) -> Self {
        Self::clone(&client.0)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for BadClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let max = ClientId::BYTES_MAX;
        write!(
            f,
            "a client's name has 1 to {max} bytes and no control characters"
        )
    }
}

impl std::error::Error for BadClientId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_can_be_shown() {
        for good in ["a", "用户 7", &"x".repeat(128)] {
            assert_eq!(good.parse::<ClientId>().unwrap().as_str(), good);
        }
        for bad in ["", "a\r\nb", "\0", "\u{85}", &"x".repeat(129)] {
            assert_eq!(bad.parse::<ClientId>(), Err(BadClientId), "{bad:?}");
        }
    }
}
