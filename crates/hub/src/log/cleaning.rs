//! A segment that is being emptied.

use std::collections::HashMap;

use super::scan::Scan;

/// The oldest segment, while it is being emptied.
pub(super) struct Cleaning {
    pub(super) segment: u32,
    pub(super) scan: Scan,
    /// What the numbers of the segment stand for.
    pub(super) names: HashMap<u32, Box<str>>,
    pub(super) kept: Kept,
}

/// What becomes of the publications in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Those that channels keep are copied forward.
    Copied,
    /// All are dropped.
    Dropped,
}
