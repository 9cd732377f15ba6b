//! How large the publications of one channel are.

use std::collections::VecDeque;

/// Bytes of the publications that a channel keeps, where its options limit them. Other channels don't have it: 4 bytes for
/// each publication.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The offset of the first one.
    first: u64,
    /// 0: it isn't known, and counts for nothing. So it is with publications from before there was a limit.
    bytes: VecDeque<u32>,
    /// Their sum.
    total: u64,
}

impl Contents {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Returns how large a publication is.
    pub(super) fn get(&self, offset: u64) -> u32 {
        let at = offset.checked_sub(self.first);
        let at = at.and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.bytes.get(at))
            .copied()
            .unwrap_or_default()
    }

    /// Sets how large a publication is. Those between it and the others aren't known.
    pub(super) fn set(&mut self, offset: u64, bytes: u32) {
        if self.bytes.is_empty() {
            self.first = offset;
        }
        while offset < self.first {
            self.bytes.push_front(0);
            self.first -= 1;
        }
        let at = (offset - self.first) as usize;
        if at >= self.bytes.len() {
            self.bytes.resize(at + 1, 0);
        }
        let before = std::mem::replace(&mut self.bytes[at], bytes);
        self.total = self.total - u64::from(before) + u64::from(bytes);
    }

    /// Drops all but the publications from `first` to `top`.
    pub(super) fn keep(&mut self, first: u64, top: u64) {
        while self.first < first
            && let Some(bytes) = self.bytes.pop_front()
        {
            self.first += 1;
            self.total -= u64::from(bytes);
        }
        while self.first + self.bytes.len() as u64 > top + 1
            && let Some(bytes) = self.bytes.pop_back()
        {
            self.total -= u64::from(bytes);
        }
        if self.bytes.capacity() > SPARE_MIN && self.bytes.len() < self.bytes.capacity() / 4 {
            self.bytes.shrink_to_fit();
        }
    }
}

/// Places. A smaller list isn't shrunk.
const SPARE_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::mix;

    #[test]
    fn contents_are_those_of_the_offsets_that_are_kept() {
        let (mut contents, mut map) = (Contents::default(), BTreeMap::<u64, u32>::new());
        for number in 0..20_000_u64 {
            let random = mix(number);
            let offset = 1_000 + number / 10 + random % 20;
            match random % 5 {
                0 => {
                    let first = offset - 15;
                    contents.keep(first, offset);
                    map.retain(|it, _| (first..=offset).contains(it));
                }
                _ => {
                    contents.set(offset, (random >> 40) as u32);
                    map.insert(offset, (random >> 40) as u32);
                }
            }
            let total: u64 = map.values().map(|bytes| u64::from(*bytes)).sum();
            assert_eq!(contents.total(), total);
            let known = map.get(&offset).copied().unwrap_or_default();
            assert_eq!(contents.get(offset), known);
        }
    }
}
