//! One message for many sessions.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;
use sockeye_proto::{
    Message,
    driver::{PreparedForm, encode_compressed, encode_plain},
};

use crate::connection::write::writer::{HEAD_BYTES, with_pool};

/// One message for many sessions: framed once, compressed once for each setting, then shared. It is cheap to
/// clone.
///
/// A session whose frames can't be shared encodes the message for itself: a client's are masked, and with
/// context takeover each frame depends on the ones before.
#[derive(Clone)]
pub struct Prepared(Arc<PreparedFrames>);

struct PreparedFrames {
    message: Message<'static>,
    plain: OnceLock<Bytes>,
    /// One entry for each setting in use: at most 8 windows × 10 levels.
    compressed: Mutex<Vec<(PreparedForm, Bytes)>>,
}

impl Prepared {
    /// Prepares a message. Copies the payload if it is borrowed.
    #[must_use]
    pub fn new<'m>(message: impl Into<Message<'m>>) -> Self {
        Self(Arc::new(PreparedFrames {
            message: message.into().into_owned(),
            plain: OnceLock::new(),
            compressed: Mutex::default(),
        }))
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &Message<'static> {
        &self.0.message
    }

    /// Returns the most bytes that its frame can have.
    pub(crate) fn wire_bytes_max(&self) -> usize {
        self.0.message.len() + HEAD_BYTES
    }

    /// Returns the whole frame, with the payload as it is.
    #[inline]
    pub(crate) fn plain_frame(&self) -> &Bytes {
        self.0.plain.get_or_init(|| self.encode(encode_plain))
    }

    /// Returns the whole frame in this form.
    pub(crate) fn frame(&self, form: PreparedForm) -> Bytes {
        let PreparedForm::Compressed { window_bits, level } = form else {
            return self.plain_frame().clone();
        };
        let mut compressed = self
            .0
            .compressed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, frame)) = compressed.iter().find(|(made, _)| *made == form) {
            return frame.clone();
        }
        let frame = self.encode(|kind, payload, out| {
            with_pool(|pool| encode_compressed(kind, payload, window_bits, level, pool, out));
        });
        compressed.push((form, frame.clone()));
        frame
    }

    fn encode(
        &self,
        encode: impl FnOnce(sockeye_proto::MessageKind, &[u8], &mut Vec<u8>),
    ) -> Bytes {
        let mut out = Vec::with_capacity(self.wire_bytes_max());
        encode(self.0.message.kind(), self.0.message.as_bytes(), &mut out);
        out.into()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prepared").field(&self.0.message).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_framed_once_and_compressed_once_for_each_setting() {
        let prepared = Prepared::new("river ".repeat(1000));
        let forms = [
            PreparedForm::Plain,
            PreparedForm::Compressed {
                window_bits: 15,
                level: 2,
            },
            PreparedForm::Compressed {
                window_bits: 9,
                level: 2,
            },
        ];
        let first = forms.map(|form| prepared.frame(form));
        let again = forms.map(|form| prepared.clone().frame(form));
        for (first, again) in first.iter().zip(&again) {
            assert_eq!(first.as_ptr(), again.as_ptr());
        }
        assert_eq!(first[0].len(), 6000 + 4);
        assert!(first[1].len() < 200, "{}", first[1].len());
        assert_ne!(first[1].as_ptr(), first[2].as_ptr());
    }
}
