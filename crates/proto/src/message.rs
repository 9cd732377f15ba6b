//! One whole payload, text or binary.

use alloc::{borrow::Cow, string::String, vec::Vec};

/// The kind of a message: text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8, checked on arrival.
    Text,
    /// Bytes.
    Binary,
}

/// One whole text or binary payload, after reassembly and inflation.
///
/// A received message borrows its payload from the input wherever it can; [`Message::into_owned`] makes it independent of
/// the input. A message to be sent may borrow or own its payload: `From` takes both without a copy.
///
/// ```
/// use sockeye_proto::Message;
///
/// let received = Message::from("hello");
/// assert_eq!(received.as_text(), Some("hello"));
/// assert_eq!(received.into_text().unwrap(), "hello");
/// assert!(Message::from(vec![1, 2, 3]).into_text().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8 text.
    Text(Cow<'a, str>),
    /// Bytes.
    Binary(Cow<'a, [u8]>),
}

impl<'a> Message<'a> {
    /// Returns whether this is text or binary.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::Text(_) => MessageKind::Text,
            Self::Binary(_) => MessageKind::Binary,
        }
    }

    /// Returns the payload of either kind.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the text, or `None` if the message is binary.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Returns the length of the payload in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns whether the payload has no bytes. Such a message is valid.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether the message owns its payload.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        matches!(
            self,
            Self::Text(Cow::Owned(_)) | Self::Binary(Cow::Owned(_))
        )
    }

    /// Returns a message that borrows this one's payload.
    #[must_use]
    pub fn as_ref(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(Cow::Borrowed(text)),
            Self::Binary(bytes) => Message::Binary(Cow::Borrowed(bytes)),
        }
    }

    /// Returns the text without a copy.
    ///
    /// # Errors
    ///
    /// The message is binary; the error is the message itself.
    pub fn into_text(self) -> Result<Cow<'a, str>, Self> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(_) => Err(self),
        }
    }

    /// Returns the payload of either kind. Copies it if it is borrowed.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_owned().into_bytes(),
            Self::Binary(bytes) => bytes.into_owned(),
        }
    }

    /// Returns the message with a payload of its own. Copies it if it is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Message<'static> {
        match self {
            Self::Text(text) => Message::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Message::Binary(Cow::Owned(bytes.into_owned())),
        }
    }
}

impl<'a> From<Cow<'a, str>> for Message<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Message<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<&'a String> for Message<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<Cow<'a, [u8]>> for Message<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(Cow::Borrowed(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Message<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(Cow::Owned(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for Message<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Binary(Cow::Borrowed(bytes))
    }
}

impl<'a> From<&'a Message<'_>> for Message<'a> {
    fn from(message: &'a Message<'_>) -> Self {
        message.as_ref()
    }
}
