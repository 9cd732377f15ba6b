//! The last plain text of one direction, with which a context is primed.

use alloc::collections::VecDeque;

/// The last plain text of one direction.
///
/// This is all that context takeover needs between two messages: a context from the pool gets it as its dictionary, and can
/// refer to it as if it had processed it. It takes at most 32 KiB, while a context takes 47 KiB for inflating and 290 KiB for
/// deflating.
#[derive(Default)]
pub(super) struct History {
    /// `len <= capacity`, and `capacity` is at most the largest `window_bytes` of all calls.
    bytes: VecDeque<u8>,
}

impl History {
    /// Adds `text`, and keeps at most the last `window_bytes` of everything.
    pub(super) fn append(&mut self, text: &[u8], window_bytes: usize) {
        let text = &text[text.len().saturating_sub(window_bytes)..];
        let surplus = (self.bytes.len() + text.len()).saturating_sub(window_bytes);
        self.bytes.drain(..surplus);

        let needed = self.bytes.len() + text.len();
        if needed > self.bytes.capacity() {
            let capacity = needed.next_power_of_two().min(window_bytes);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend(text);
    }

    /// Returns all of it, oldest byte first, in two slices. Moving them together would cost more than inflating a short
    /// message.
    pub(super) fn halves(&self) -> [&[u8]; 2] {
        let (older, newer) = self.bytes.as_slices();
        [older, newer]
    }

    /// Frees all of it.
    pub(super) fn clear(&mut self) {
        self.bytes = VecDeque::new();
    }

    /// Returns the bytes of memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_bytes_in_order() {
        let mut history = History::default();
        assert_eq!(history.halves().concat(), b"");
        assert_eq!(history.held_bytes(), 0);
        for (text, kept) in [
            (&b"abc"[..], &b"abc"[..]),
            (b"defgh", b"abcdefgh"),
            (b"ij", b"cdefghij"),
            (b"", b"cdefghij"),
            (b"0123456789", b"23456789"),
            (b"x", b"3456789x"),
        ] {
            history.append(text, 8);
            assert_eq!(history.halves().concat(), kept);
            assert!(history.held_bytes() <= 8);
        }
        history.clear();
        assert_eq!(history.halves().concat(), b"");
        assert_eq!(history.held_bytes(), 0);
    }
}
