//! The payload of a message: borrowed, owned or shared.

use alloc::{borrow::Cow, boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{
    fmt,
    mem::{self, ManuallyDrop},
    ops::Deref,
};

use bytes::Bytes;

/// The payload of a text message: a `&str`, a `String` or an `Arc<str>`.
///
/// It dereferences to `str`. `From` takes each of the three and a `Cow<str>`, without a copy. A clone of a shared text points
/// to the same memory; a clone of an owned one is a copy.
///
/// ```
/// use std::sync::Arc;
///
/// use sockeye_proto::Text;
///
/// let shared = Text::from(Arc::<str>::from("hello"));
/// assert_eq!(shared.len(), 5);
/// assert_eq!(shared.clone().as_ptr(), shared.as_ptr());
/// assert_eq!(shared, "hello");
/// ```
#[derive(Clone)]
pub struct Text<'a>(Payload<'a, str, String, Arc<str>>);

/// The payload of a binary message: a `&[u8]`, a `Vec<u8>` or a `Bytes`.
///
/// It dereferences to `[u8]`. `From` takes each of the three and a `Cow<[u8]>`, without a copy. A clone of a shared payload
/// points to the same memory; a clone of an owned one is a copy.
///
/// ```
/// use bytes::Bytes;
/// use sockeye_proto::Binary;
///
/// let shared = Binary::from(Bytes::from(vec![1, 2, 3]));
/// assert_eq!(shared.clone().as_ptr(), shared.as_ptr());
/// assert_eq!(shared, [1, 2, 3]);
/// ```
#[derive(Clone)]
pub struct Binary<'a>(Payload<'a, [u8], Vec<u8>, BoxedBytes>);

enum Payload<'a, B: ?Sized, O: Default, S> {
    Borrowed(&'a B),
    Kept(Kept<O, S>),
}

/// Memory that must be dropped. It drops itself out of line, so that a payload that is known to be borrowed costs nothing, and
/// one that isn't known costs a comparison.
struct Kept<O: Default, S>(ManuallyDrop<KeptMemory<O, S>>);

#[derive(Clone)]
enum KeptMemory<O, S> {
    Owned(O),
    Shared(S),
}

impl<'a> Text<'a> {
    /// Returns the text.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Returns whether the memory belongs to somebody else, so that [`Text::detach`] copies.
    #[must_use]
    #[inline]
    pub fn is_borrowed(&self) -> bool {
        self.0.is_borrowed()
    }

    /// Returns whether it alone owns its memory, a `String`.
    #[must_use]
    #[inline]
    pub fn is_owned(&self) -> bool {
        self.0.is_owned()
    }

    /// Returns whether the memory is shared, so that a clone costs no copy.
    #[must_use]
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    /// Returns the text as a `String`. Copies it if it is borrowed or shared.
    #[must_use]
    #[inline]
    pub fn into_owned(self) -> String {
        match self.0 {
            Payload::Borrowed(text) => text.into(),
            Payload::Kept(kept) => match kept.into_memory() {
                KeptMemory::Owned(text) => text,
                KeptMemory::Shared(text) => String::from(&*text),
            },
        }
    }

    /// Returns a payload that borrows nothing. Copies the text if it is borrowed.
    #[must_use]
    #[inline]
    pub fn detach(self) -> Text<'static> {
        Text(self.0.detach())
    }

    /// Returns the text as bytes, in the same memory.
    #[must_use]
    #[inline]
    pub fn into_binary(self) -> Binary<'a> {
        Binary(match self.0 {
            Payload::Borrowed(text) => Payload::Borrowed(text.as_bytes()),
            Payload::Kept(kept) => match kept.into_memory() {
                KeptMemory::Owned(text) => Payload::owned(text.into_bytes()),
                KeptMemory::Shared(text) => {
                    let bytes = Bytes::from_owner(SharedText(text));
                    Payload::shared(BoxedBytes(Box::new(bytes)))
                }
            },
        })
    }
}

impl Binary<'_> {
    /// Returns the bytes.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.0.get()
    }

    /// Returns whether the memory belongs to somebody else, so that [`Binary::detach`] copies.
    #[must_use]
    #[inline]
    pub fn is_borrowed(&self) -> bool {
        self.0.is_borrowed()
    }

    /// Returns whether it alone owns its memory, a `Vec<u8>`.
    #[must_use]
    #[inline]
    pub fn is_owned(&self) -> bool {
        self.0.is_owned()
    }

    /// Returns whether the memory is shared, so that a clone costs no copy.
    #[must_use]
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    /// Returns the bytes as a `Vec`. Copies them if they are borrowed, or if others share them.
    #[must_use]
    #[inline]
    pub fn into_owned(self) -> Vec<u8> {
        match self.0 {
            Payload::Borrowed(bytes) => bytes.into(),
            Payload::Kept(kept) => match kept.into_memory() {
                KeptMemory::Owned(bytes) => bytes,
                KeptMemory::Shared(BoxedBytes(bytes)) => (*bytes).into(),
            },
        }
    }

    /// Returns the bytes as shared memory. Copies them if they are borrowed.
    #[must_use]
    pub fn into_shared(self) -> Bytes {
        match self.0 {
            Payload::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Payload::Kept(kept) => match kept.into_memory() {
                KeptMemory::Owned(bytes) => bytes.into(),
                KeptMemory::Shared(BoxedBytes(bytes)) => *bytes,
            },
        }
    }

    /// Returns a payload that borrows nothing. Copies the bytes if they are borrowed.
    #[must_use]
    #[inline]
    pub fn detach(self) -> Binary<'static> {
        Binary(self.0.detach())
    }
}

impl<'a, B: ?Sized, O: Default, S> Payload<'a, B, O, S> {
    #[inline]
    fn owned(memory: O) -> Self {
        Self::Kept(Kept::new(KeptMemory::Owned(memory)))
    }

    #[inline]
    fn shared(memory: S) -> Self {
        Self::Kept(Kept::new(KeptMemory::Shared(memory)))
    }

    #[inline]
    fn get(&self) -> &B
    where
        O: Deref<Target = B>,
        S: AsRef<B>,
    {
        match self {
            Self::Borrowed(payload) => payload,
            Self::Kept(kept) => match &*kept.0 {
                KeptMemory::Owned(memory) => memory,
                KeptMemory::Shared(memory) => memory.as_ref(),
            },
        }
    }

    #[inline]
    fn is_borrowed(&self) -> bool {
        matches!(self, Self::Borrowed(_))
    }

    #[inline]
    fn is_owned(&self) -> bool {
        matches!(self, Self::Kept(kept) if matches!(*kept.0, KeptMemory::Owned(_)))
    }

    #[inline]
    fn is_shared(&self) -> bool {
        matches!(self, Self::Kept(kept) if matches!(*kept.0, KeptMemory::Shared(_)))
    }

    #[inline]
    fn detach(self) -> Payload<'static, B, O, S>
    where
        O: From<&'a B>,
    {
        match self {
            Self::Borrowed(payload) => Payload::owned(payload.into()),
            Self::Kept(kept) => Payload::Kept(kept),
        }
    }
}

impl<B: ?Sized, O: Default + Clone, S: Clone> Clone for Payload<'_, B, O, S> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::Borrowed(payload) => Self::Borrowed(payload),
            Self::Kept(kept) => Self::Kept(Kept(kept.0.clone())),
        }
    }
}

impl<O: Default, S> Kept<O, S> {
    #[inline]
    fn new(memory: KeptMemory<O, S>) -> Self {
        Self(ManuallyDrop::new(memory))
    }

    #[inline]
    fn into_memory(mut self) -> KeptMemory<O, S> {
        let memory = self.take();
        // What is left owns nothing.
        mem::forget(self);
        memory
    }

    #[inline]
    fn take(&mut self) -> KeptMemory<O, S> {
        let nothing = ManuallyDrop::new(KeptMemory::Owned(O::default()));
        ManuallyDrop::into_inner(mem::replace(&mut self.0, nothing))
    }
}

impl<O: Default, S> Drop for Kept<O, S> {
    #[inline(never)]
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// Shared bytes in one word. A `Bytes` is wider than a borrowed and an owned payload, and most messages are not shared.
#[derive(Clone)]
struct BoxedBytes(Box<Bytes>);

impl AsRef<[u8]> for BoxedBytes {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A shared text as the memory of a `Bytes`.
struct SharedText(Arc<str>);

impl AsRef<[u8]> for SharedText {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Deref for Text<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Deref for Binary<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<[u8]> for Text<'_> {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for Binary<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<'a> From<&'a str> for Text<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self(Payload::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    #[inline]
    fn from(text: String) -> Self {
        Self(Payload::owned(text))
    }
}

impl From<Arc<str>> for Text<'_> {
    #[inline]
    fn from(text: Arc<str>) -> Self {
        Self(Payload::shared(text))
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    #[inline]
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl From<Text<'_>> for String {
    fn from(text: Text<'_>) -> Self {
        text.into_owned()
    }
}

impl<'a> From<&'a [u8]> for Binary<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        Self(Payload::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Binary<'_> {
    #[inline]
    fn from(bytes: Vec<u8>) -> Self {
        Self(Payload::owned(bytes))
    }
}

impl From<Bytes> for Binary<'_> {
    #[inline]
    fn from(bytes: Bytes) -> Self {
        Self(Payload::shared(BoxedBytes(Box::new(bytes))))
    }
}

impl<'a> From<Cow<'a, [u8]>> for Binary<'a> {
    #[inline]
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        match bytes {
            Cow::Borrowed(bytes) => bytes.into(),
            Cow::Owned(bytes) => bytes.into(),
        }
    }
}

impl From<Binary<'_>> for Vec<u8> {
    fn from(bytes: Binary<'_>) -> Self {
        bytes.into_owned()
    }
}

impl From<Binary<'_>> for Bytes {
    fn from(bytes: Binary<'_>) -> Self {
        bytes.into_shared()
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text<'_> {}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialEq<String> for Text<'_> {
    fn eq(&self, other: &String) -> bool {
        **self == **other
    }
}

impl PartialEq for Binary<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Binary<'_> {}

impl PartialEq<[u8]> for Binary<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl PartialEq<&[u8]> for Binary<'_> {
    fn eq(&self, other: &&[u8]) -> bool {
        **self == **other
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Binary<'_> {
    fn eq(&self, other: &[u8; N]) -> bool {
        **self == *other
    }
}

impl PartialEq<Vec<u8>> for Binary<'_> {
    fn eq(&self, other: &Vec<u8>) -> bool {
        **self == **other
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Debug for Binary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_message_is_four_words() {
        // It is moved and returned on the path of every message.
        assert_eq!(size_of::<Text<'_>>(), 24);
        assert_eq!(size_of::<Binary<'_>>(), 24);
        assert_eq!(size_of::<Message<'_>>(), 32);
    }

    fn address(bytes: impl AsRef<[u8]>) -> usize {
        bytes.as_ref().as_ptr().addr()
    }

    #[test]
    fn a_text_stays_in_its_memory_as_binary_and_detached() {
        let owned = String::from("river");
        let at = address(&owned);
        let text = Text::from(owned).detach().into_binary();
        assert_eq!((address(&text), text.is_owned()), (at, true));
        assert_eq!(address(text.into_owned()), at);

        let shared = Arc::<str>::from("river");
        let at = address(shared.as_bytes());
        let text = Text::from(Arc::clone(&shared)).detach().into_binary();
        assert_eq!((address(&text), text.is_shared()), (at, true));
        assert_eq!(address(text.into_shared()), at);
        assert_eq!(Arc::strong_count(&shared), 1);

        let text = Text::from("river");
        let at = address(&text);
        assert!(text.is_borrowed());
        assert_eq!(address(text.clone().into_binary()), at);
        let text = text.detach();
        assert!(text.is_owned());
        assert_ne!(address(&text), at);
    }

    #[test]
    fn bytes_stay_in_their_memory_owned_and_shared() {
        let bytes = Bytes::from(vec![7; 100]);
        let at = address(&bytes);
        let shared = Binary::from(bytes).detach();
        assert_eq!(address(shared.clone().into_shared()), at);
        assert_eq!(address(shared.into_owned()), at);
        assert_eq!(Binary::from(vec![1, 2]).into_shared(), [1, 2][..]);
    }

    #[test]
    fn a_cow_keeps_its_memory() {
        let owned = String::from("river");
        let at = address(&owned);
        assert_eq!(address(Text::from(Cow::Owned(owned)).into_owned()), at);
        assert!(Text::from(Cow::Borrowed("lake")).is_borrowed());
        assert!(Binary::from(Cow::<[u8]>::Owned(vec![1])).is_owned());
    }

    #[test]
    fn what_is_shared_is_dropped_once_and_with_the_last_clone() {
        let shared = Arc::<str>::from("river");
        let message = Message::from(Arc::clone(&shared));
        let clones = [message.clone(), message.clone().into_owned(), message];
        assert_eq!(Arc::strong_count(&shared), 4);
        drop(clones);
        assert_eq!(Arc::strong_count(&shared), 1);
        let bytes = Bytes::from(vec![7; 100]);
        drop(Message::from(bytes.clone()).clone());
        assert!(bytes.is_unique());
    }

    #[test]
    fn payloads_are_equal_by_their_bytes() {
        let shared = Message::from(Arc::<str>::from("hi"));
        assert_eq!(shared, Message::from("hi"));
        assert_eq!(shared, Message::from(String::from("hi")));
        assert_ne!(shared, Message::from(&b"hi"[..]));
        assert_eq!(format!("{shared:?}"), r#"Text("hi")"#);
        assert_eq!(Binary::from(Bytes::from_static(b"hi")), *b"hi");
    }
}
