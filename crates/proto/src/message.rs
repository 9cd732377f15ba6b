//! One whole payload, text or binary.

use alloc::{borrow::Cow, string::String, sync::Arc, vec::Vec};

use bytes::Bytes;

use crate::payload::{Binary, Text};

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
/// the input. A message to be sent may borrow, own or share its payload: `From` takes `&str`, `String`, `Arc<str>`, `Cow<str>`,
/// `&[u8]`, `Vec<u8>`, `Bytes` and `Cow<[u8]>` without a copy. To clone a shared one costs no copy either.
///
/// ```
/// use bytes::Bytes;
/// use sockeye_proto::Message;
///
/// let received = Message::from("hello");
/// assert_eq!(received.as_text(), Some("hello"));
/// assert_eq!(received.into_text().unwrap(), "hello");
/// assert!(Message::from(vec![1, 2, 3]).into_text().is_err());
///
/// let shared = Message::from(Bytes::from_static(&[1, 2, 3]));
/// assert!(shared.is_shared());
/// assert_eq!(shared.clone().as_bytes().as_ptr(), shared.as_bytes().as_ptr());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8 text.
    Text(Text<'a>),
    /// Bytes.
    Binary(Binary<'a>),
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

    /// Returns whether the message borrows its payload, so that [`Message::into_owned`] copies it.
    #[must_use]
    pub fn is_borrowed(&self) -> bool {
        match self {
            Self::Text(text) => text.is_borrowed(),
            Self::Binary(bytes) => bytes.is_borrowed(),
        }
    }

    /// Returns whether the message alone owns its payload, in a `String` or a `Vec<u8>`.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        match self {
            Self::Text(text) => text.is_owned(),
            Self::Binary(bytes) => bytes.is_owned(),
        }
    }

    /// Returns whether the payload is in memory that others may share, an `Arc<str>` or a `Bytes`, so that a clone costs no
    /// copy.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Text(text) => text.is_shared(),
            Self::Binary(bytes) => bytes.is_shared(),
        }
    }

    /// Returns a message that borrows this one's payload.
    #[must_use]
    pub fn as_ref(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::from(text.as_str()),
            Self::Binary(bytes) => Message::from(bytes.as_slice()),
        }
    }

    /// Returns the text without a copy.
    ///
    /// # Errors
    ///
    /// The message is binary; the error is the message itself.
    pub fn into_text(self) -> Result<Text<'a>, Self> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(_) => Err(self),
        }
    }

    /// Returns the payload of either kind, in the same memory.
    #[must_use]
    pub fn into_payload(self) -> Binary<'a> {
        match self {
            Self::Text(text) => text.into_binary(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// Returns the payload of either kind. Copies it if it is borrowed or if others share it.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_owned().into_bytes(),
            Self::Binary(bytes) => bytes.into_owned(),
        }
    }

    /// Returns a message that borrows nothing. Copies the payload if it is borrowed; a shared one stays shared.
    #[must_use]
    pub fn into_owned(self) -> Message<'static> {
        match self {
            Self::Text(text) => Message::Text(text.detach()),
            Self::Binary(bytes) => Message::Binary(bytes.detach()),
        }
    }
}

impl<'a> From<Cow<'a, str>> for Message<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text.into())
    }
}

impl From<Arc<str>> for Message<'_> {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<Text<'a>> for Message<'a> {
    fn from(text: Text<'a>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a String> for Message<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.as_str().into())
    }
}

impl<'a> From<Cow<'a, [u8]>> for Message<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Bytes> for Message<'_> {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes.into())
    }
}

impl<'a> From<Binary<'a>> for Message<'a> {
    fn from(bytes: Binary<'a>) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes[..].into())
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(bytes[..].into())
    }
}

impl From<Vec<u8>> for Message<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl<'a> From<&'a Vec<u8>> for Message<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Binary(bytes[..].into())
    }
}

impl<'a> From<&'a Message<'_>> for Message<'a> {
    fn from(message: &'a Message<'_>) -> Self {
        message.as_ref()
    }
}
