//! Where the publications of one channel stand.

use super::record::Location;

/// A ring of places, oldest first, and until when they are kept: one allocation of 8 bytes for each place and 16 more. It
/// grows by an eighth, not to its double.
///
/// ```text
///   words: until | first, count | place | place | …          first, count: of the ring behind
/// ```
#[derive(Debug)]
pub(super) struct Places(Box<[u64]>);

impl Places {
    /// Creates a ring with room for `count` places, and none in it.
    pub(super) fn new(count: usize) -> Self {
        Self(vec![0; HEAD_WORDS + count].into_boxed_slice())
    }

    /// Returns until when they are kept: milliseconds of the log's clock.
    pub(super) fn until(&self) -> u64 {
        self.0[0]
    }

    pub(super) fn set_until(&mut self, until: u64) {
        self.0[0] = until;
    }

    pub(super) fn len(&self) -> usize {
        (self.0[1] & u64::from(u32::MAX)) as usize
    }

    /// Returns the place with this index, from the oldest on.
    pub(super) fn at(&self, index: usize) -> Option<Location> {
        (index < self.len()).then(|| unpack(self.0[self.word(index)]))
    }

    /// Replaces the place with this index. Returns the one before.
    pub(super) fn replace(&mut self, index: usize, place: Location) -> Option<Location> {
        let before = self.at(index)?;
        let word = self.word(index);
        self.0[word] = pack(place);
        Some(before)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Location> + '_ {
        (0..self.len()).map(|index| unpack(self.0[self.word(index)]))
    }

    pub(super) fn push_back(&mut self, place: Location) {
        self.make_room(1);
        let len = self.len();
        let word = self.word(len);
        self.0[word] = pack(place);
        self.set(self.first(), len + 1);
    }

    pub(super) fn push_front(&mut self, place: Location) {
        self.make_room(1);
        let first = (self.first() + self.capacity() - 1) % self.capacity();
        self.0[HEAD_WORDS + first] = pack(place);
        self.set(first, self.len() + 1);
    }

    pub(super) fn pop_front(&mut self) -> Option<Location> {
        let place = self.at(0)?;
        self.set((self.first() + 1) % self.capacity(), self.len() - 1);
        Some(place)
    }

    pub(super) fn pop_back(&mut self) -> Option<Location> {
        let last = self.len().checked_sub(1)?;
        let place = self.at(last)?;
        self.set(self.first(), last);
        Some(place)
    }

    /// Makes room for `more` places beside those that are there.
    pub(super) fn make_room(&mut self, more: usize) {
        let len = self.len();
        if self.capacity() - len < more {
            self.resize(len + more.max(len / 8));
        }
    }

    /// Gives memory back, if there is much more of it than is needed.
    pub(super) fn shrink(&mut self) {
        if self.capacity() > SPARE_MIN && self.len() < self.capacity() / 4 {
            self.resize(self.len());
        }
    }

    fn resize(&mut self, capacity: usize) {
        let mut resized = Self::new(capacity);
        resized.set_until(self.until());
        for (index, place) in self.iter().enumerate() {
            resized.0[HEAD_WORDS + index] = pack(place);
        }
        resized.set(0, self.len());
        *self = resized;
    }

    fn capacity(&self) -> usize {
        self.0.len() - HEAD_WORDS
    }

    /// Returns the index of the oldest in the ring.
    fn first(&self) -> usize {
        (self.0[1] >> 32) as usize
    }

    fn set(&mut self, first: usize, len: usize) {
        self.0[1] = (first as u64) << 32 | len as u64;
    }

    fn word(&self, index: usize) -> usize {
        HEAD_WORDS + (self.first() + index) % self.capacity()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

fn pack(place: Location) -> u64 {
    u64::from(place.segment) << 32 | u64::from(place.position)
}

fn unpack(word: u64) -> Location {
    Location {
        segment: (word >> 32) as u32,
        position: word as u32,
    }
}

const HEAD_WORDS: usize = 2;

/// Places. A smaller ring isn't shrunk.
const SPARE_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::random::mix;

    #[test]
    fn a_ring_is_a_list_with_two_ends() {
        let (mut ring, mut list) = (Places::new(0), VecDeque::new());
        for number in 0..20_000_u32 {
            let place = Location {
                segment: number,
                position: !number,
            };
            match mix(number.into()) % 9 {
                0..=2 => {
                    ring.push_back(place);
                    list.push_back(place);
                }
                3 => {
                    ring.push_front(place);
                    list.push_front(place);
                }
                4 | 5 => assert_eq!(ring.pop_front(), list.pop_front()),
                6 => assert_eq!(ring.pop_back(), list.pop_back()),
                7 => ring.shrink(),
                _ => {
                    let index = list.len() / 2;
                    let before = list.get_mut(index).map(|it| std::mem::replace(it, place));
                    assert_eq!(ring.replace(index, place), before);
                }
            }
            assert_eq!(ring.len(), list.len());
            assert!(ring.iter().eq(list.iter().copied()));
            assert_eq!(ring.at(list.len()), None);
        }
    }

    #[test]
    fn a_place_has_eight_bytes_and_few_more() {
        let mut ring = Places::new(0);
        for count in 1..=1000 {
            ring.push_back(Location::NONE);
            // An eighth is room to grow.
            assert!(
                ring.bytes() <= 16 + 9 * count,
                "{} B for {count}",
                ring.bytes()
            );
        }
        while ring.len() > 10 {
            ring.pop_front();
            ring.shrink();
        }
        assert!(ring.bytes() <= 16 + 8 * 64);
    }
}
