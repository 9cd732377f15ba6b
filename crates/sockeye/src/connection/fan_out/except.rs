//! The sessions that a publication is not for.

use std::sync::Arc;

/// The ids of the sessions that a publication is not for.
#[derive(Clone, Debug, Default)]
pub(crate) enum Except {
    /// It is for all members.
    #[default]
    Nobody,
    /// It is for all but this one, as most are that are not for all.
    One(u64),
    /// It is for all but these, which are sorted. One list for all slices.
    Several(Arc<[u64]>),
}

impl Except {
    pub(crate) fn new(mut ids: Vec<u64>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        match *ids {
            [] => Self::Nobody,
            [id] => Self::One(id),
            _ => Self::Several(ids.into()),
        }
    }

    #[inline]
    pub(crate) fn has(&self, id: u64) -> bool {
        match self {
            Self::Nobody => false,
            Self::One(one) => *one == id,
            Self::Several(ids) => ids.binary_search(&id).is_ok(),
        }
    }

    /// Returns all of them, sorted.
    pub(crate) fn ids(&self) -> &[u64] {
        match self {
            Self::Nobody => &[],
            Self::One(id) => std::slice::from_ref(id),
            Self::Several(ids) => ids,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_session_is_in_the_list_once_in_whatever_order_it_was_named() {
        for (named, ids) in [
            (vec![], vec![]),
            (vec![7, 7], vec![7]),
            (vec![9, 2, 9, 5], vec![2, 5, 9]),
        ] {
            let except = Except::new(named);
            assert_eq!(except.ids(), ids);
            for id in 0..10 {
                assert_eq!(except.has(id), ids.contains(&id), "{id} {ids:?}");
            }
        }
    }
}
