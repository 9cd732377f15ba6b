//! A payload that most clients don't have.

use std::{fmt, ops::Deref};

use bytes::Bytes;

/// A payload that is mostly empty. It takes 8 bytes then, where [`Bytes`] takes 32.
///
/// ```
/// use bytes::Bytes;
/// use sockeye_hub::RareBytes;
///
/// let info = RareBytes::from(Bytes::from_static(b"{}"));
/// assert_eq!(&info[..], b"{}");
/// assert!(RareBytes::default().is_empty());
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RareBytes(
    /// Never empty bytes.
    Option<Box<Bytes>>,
);

impl RareBytes {
    /// Returns the payload, which is shared and not copied.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.0.as_deref().cloned().unwrap_or_default()
    }
}

impl From<Bytes> for RareBytes {
    fn from(bytes: Bytes) -> Self {
        Self((!bytes.is_empty()).then(|| Box::new(bytes)))
    }
}

impl Deref for RareBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], |bytes| bytes)
    }
}

impl fmt::Debug for RareBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().fmt(f)
    }
}
