//! Which numbers the segments of one log can have.

use super::{LogError, error::damaged};

/// Returns an error if segments whose numbers are given in their order can't belong to one log. A start makes room for each
/// that is missing between them.
pub(super) fn check_numbers(ids: impl Iterator<Item = u32>) -> Result<(), LogError> {
    let mut previous = None;
    for id in ids {
        if previous.is_some_and(|previous| id - previous > MISSING_MAX) {
            return Err(damaged(
                id,
                0,
                "its number is far from that of the segment before",
            ));
        }
        previous = Some(id);
    }
    Ok(())
}

/// Segments that may be missing between two others. Those that were removed may be there again after a power cut, in any
/// order; they are as many as one step of upkeep removes.
const MISSING_MAX: u32 = 65_536;
