//! The slab that holds a worker's connections.

/// A table of values with numbered slots. A slot is used again once its value is removed.
///
/// It grows by pages, which never move: doubling one table would copy megabytes while connections wait.
pub(crate) struct Slab<T> {
    pages: Vec<Vec<SlabEntry<T>>>,
    /// The slot that was freed last; [`NONE`] if all are taken.
    free: u32,
    len: usize,
}

enum SlabEntry<T> {
    Taken(T),
    Free { next: u32 },
}

/// Slots of a page. A page of sessions takes some 25 KiB.
const PAGE_ENTRIES: usize = 256;

/// No slot.
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

    /// Returns the slot that the next value takes.
    pub(crate) fn next(&self) -> u32 {
        match self.free {
            NONE => match self.pages.split_last() {
                Some((last, full)) => (full.len() * PAGE_ENTRIES + last.len()) as u32,
                None => 0,
            },
            free => free,
        }
    }

    /// Inserts `value` and returns its slot.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        if self.free != NONE {
            let number = self.free;
            let entry =
                &mut self.pages[number as usize / PAGE_ENTRIES][number as usize % PAGE_ENTRIES];
            if let SlabEntry::Free { next } = *entry {
                self.free = next;
            }
            *entry = SlabEntry::Taken(value);
            return number;
        }
        if self
            .pages
            .last()
            .is_none_or(|page| page.len() == PAGE_ENTRIES)
        {
            self.pages.push(Vec::with_capacity(PAGE_ENTRIES));
        }
        let page_number = self.pages.len() - 1;
        let page = &mut self.pages[page_number];
        page.push(SlabEntry::Taken(value));
        u32::try_from(page_number * PAGE_ENTRIES + page.len() - 1).expect("fewer than descriptors")
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, number: u32) -> Option<&mut T> {
        let page = self.pages.get_mut(number as usize / PAGE_ENTRIES)?;
        match page.get_mut(number as usize % PAGE_ENTRIES)? {
            SlabEntry::Taken(value) => Some(value),
            SlabEntry::Free { .. } => None,
        }
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let page = self.pages.get_mut(number as usize / PAGE_ENTRIES)?;
        let entry = page.get_mut(number as usize % PAGE_ENTRIES)?;
        if matches!(entry, SlabEntry::Free { .. }) {
            return None;
        }
        let free = SlabEntry::Free { next: self.free };
        self.free = number;
        self.len -= 1;
        match std::mem::replace(entry, free) {
            SlabEntry::Taken(value) => Some(value),
            SlabEntry::Free { .. } => None,
        }
    }

    /// Returns the numbers of all taken slots.
    pub(crate) fn numbers(&self) -> Vec<u32> {
        let entries = self.pages.iter().flatten();
        let numbered = (0_u32..).zip(entries);
        let taken = numbered.filter(|(_, entry)| matches!(entry, SlabEntry::Taken(_)));
        taken.map(|(number, _)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_once_it_is_free() {
        let mut slab = Slab::new();
        let insert = |value| {
            let next = slab.next();
            assert_eq!(slab.insert(value), next);
            next
        };
        let entries: Vec<u32> = (0..1000).map(insert).collect();
        assert_eq!(entries, (0..1000).collect::<Vec<_>>());
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
