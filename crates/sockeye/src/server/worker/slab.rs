//! Places for what a worker looks after.

/// Values at numbered places. A place is used again once its value is gone.
///
/// It grows by pages, which never move: doubling would copy megabytes in the middle of the traffic.
pub(crate) struct Slab<T> {
    pages: Vec<Vec<Place<T>>>,
    /// The place that was freed last; [`NONE`] if all are taken.
    free: u32,
    len: usize,
}

enum Place<T> {
    Taken(T),
    Free { next: u32 },
}

/// Values of a page: some 25 KiB of sessions.
const PAGE_PLACES: usize = 256;

/// No place.
const NONE: u32 = u32::MAX;

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self {
            pages: Vec::new(),
            free: NONE,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The place that the next value takes.
    pub(crate) fn next(&self) -> u32 {
        match self.free {
            NONE => match self.pages.split_last() {
                Some((last, full)) => (full.len() * PAGE_PLACES + last.len()) as u32,
                None => 0,
            },
            free => free,
        }
    }

    /// Takes a place for `value`.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        if self.free != NONE {
            let number = self.free;
            let place =
                &mut self.pages[number as usize / PAGE_PLACES][number as usize % PAGE_PLACES];
            if let Place::Free { next } = *place {
                self.free = next;
            }
            *place = Place::Taken(value);
            return number;
        }
        if self
            .pages
            .last()
            .is_none_or(|page| page.len() == PAGE_PLACES)
        {
            self.pages.push(Vec::with_capacity(PAGE_PLACES));
        }
        let page_number = self.pages.len() - 1;
        let page = &mut self.pages[page_number];
        page.push(Place::Taken(value));
        u32::try_from(page_number * PAGE_PLACES + page.len() - 1).expect("fewer than descriptors")
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, number: u32) -> Option<&mut T> {
        let page = self.pages.get_mut(number as usize / PAGE_PLACES)?;
        match page.get_mut(number as usize % PAGE_PLACES)? {
            Place::Taken(value) => Some(value),
            Place::Free { .. } => None,
        }
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let page = self.pages.get_mut(number as usize / PAGE_PLACES)?;
        let place = page.get_mut(number as usize % PAGE_PLACES)?;
        if matches!(place, Place::Free { .. }) {
            return None;
        }
        let free = Place::Free { next: self.free };
        self.free = number;
        self.len -= 1;
        match std::mem::replace(place, free) {
            Place::Taken(value) => Some(value),
            Place::Free { .. } => None,
        }
    }

    /// The numbers of all taken places.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let places = self.pages.iter().flatten();
        let numbered = (0_u32..).zip(places);
        let taken = numbered.filter(|(_, place)| matches!(place, Place::Taken(_)));
        taken.map(|(number, _)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_once_it_is_free() {
        let mut slab = Slab::new();
        let insert = |value| {
            let next = slab.next();
            assert_eq!(slab.insert(value), next);
            next
        };
        let places: Vec<u32> = (0..1000).map(insert).collect();
        assert_eq!(places, (0..1000).collect::<Vec<_>>());
        assert_eq!(slab.remove(500), Some(500));
        assert_eq!(slab.remove(500), None);
        assert_eq!(slab.at_mut(500), None);
        assert_eq!(slab.remove(3), Some(3));
        assert_eq!(slab.len(), 998);
        assert_eq!(slab.numbers().len(), 998);
        assert_eq!(slab.next(), 3);
        assert_eq!(slab.insert(7), 3);
        assert_eq!(slab.insert(8), 500);
        assert_eq!(slab.insert(9), 1000);
        assert_eq!(slab.at_mut(500), Some(&mut 8));
        assert_eq!(slab.at_mut(5000), None);
        assert_eq!(slab.len(), 1001);
    }
}
