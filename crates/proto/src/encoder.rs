//! Writes frames: with the shortest header, and masked if they are from a client.

use alloc::{boxed::Box, vec::Vec};

use sha1::{Digest, Sha1};

use crate::{
    MessageKind,
    frame::{CONTROL_BYTES_MAX, FrameHead, HEAD_BYTES_MAX},
    mask,
};

/// Writes frames.
pub(crate) struct Encoder {
    /// The masking keys of a client; a server has none.
    keys: Option<Box<Keys>>,
}

impl Encoder {
    pub(crate) fn server() -> Self {
        Self { keys: None }
    }

    pub(crate) fn client(seed: [u8; 32]) -> Self {
        Self {
            keys: Some(Box::new(Keys::new(seed))),
        }
    }

    pub(crate) fn masks(&self) -> bool {
        self.keys.is_some()
    }

    /// Appends the header as it is, for a server.
    #[inline]
    pub(crate) fn head(&self, head: FrameHead, out: &mut Vec<u8>) {
        debug_assert!(!self.masks());
        head.write(out);
    }

    /// Appends a whole message in one frame.
    #[inline]
    pub(crate) fn message(&mut self, kind: MessageKind, payload: &[u8], out: &mut Vec<u8>) {
        if payload.len() > CONTROL_BYTES_MAX || self.masks() {
            return self.frame(FrameHead::message(kind), payload, out);
        }
        // Most replies of a server are short: one reservation, and a header of two bytes.
        out.reserve(2 + payload.len());
        out.extend_from_slice(&[FrameHead::message(kind).first_byte(), payload.len() as u8]);
        out.extend_from_slice(payload);
    }

    /// Appends a frame, and sets the length and the mask of its header.
    #[inline(never)]
    pub(crate) fn frame(&mut self, mut head: FrameHead, payload: &[u8], out: &mut Vec<u8>) {
        head.len = payload.len() as u64;
        head.mask = self.keys.as_mut().map(|keys| keys.draw());
        out.reserve(HEAD_BYTES_MAX + payload.len());
        head.write(out);
        let start = out.len();
        out.extend_from_slice(payload);
        if let Some(key) = head.mask {
            mask::mask(&mut out[start..], key);
        }
    }
}

/// The masking keys of a client: SHA-1 over a secret seed and a counter, five keys a block. They can't be predicted from
/// earlier ones (RFC 6455 section 10.3).
struct Keys {
    seed: [u8; 32],
    blocks: u64,
    block: [u8; 20],
    /// 0 <= drawn <= 5; so many keys of `block` are used.
    drawn: usize,
}

/// Keys. Each is four of a block's twenty bytes.
const KEYS_PER_BLOCK: usize = 5;

impl Keys {
    fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            blocks: 0,
            block: [0; 20],
            drawn: KEYS_PER_BLOCK,
        }
    }

    fn draw(&mut self) -> [u8; 4] {
        if self.drawn == KEYS_PER_BLOCK {
            let digest = Sha1::new()
                .chain_update(self.seed)
                .chain_update(self.blocks.to_le_bytes())
                .finalize();
            self.block.copy_from_slice(&digest);
            self.blocks += 1;
            self.drawn = 0;
        }
        let (keys, _) = self.block.as_chunks();
        self.drawn += 1;
        keys[self.drawn - 1]
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_depend_on_the_seed_and_do_not_repeat() {
        let mut first = Keys::new([1; 32]);
        let mut second = Keys::new([2; 32]);
        let keys: BTreeSet<[u8; 4]> = (0..1000)
            .flat_map(|_| [first.draw(), second.draw()])
            .collect();
        // 2,000 draws of 2^32 values: the chance of a repetition is 1 in 2,000, and the seeds are fixed.
        assert_eq!(keys.len(), 2000);
    }
}
