//! Filters of publications by their tags.

use super::{CommandLimits, DecodeError, messages::messages};

messages! {
    /// A filter, or a part of one: a comparison of one tag, or a connection of other nodes.
    pub struct FilterNode {
        /// Connection of `nodes`: `and`, `or`, `not`. Empty in a comparison.
        1 (string) op: String,
        /// Name of the tag that is compared.
        2 (string) key: String,
        /// Comparison: `eq`, `neq`, `in`, `nin`, `ex`, `nex`, `sw`, `ew`, `ct`, `lt`, `lte`, `gt` or `gte`.
        3 (string) cmp: String,
        /// Value to compare with. `lt`, `lte`, `gt` and `gte` read it as a decimal number.
        4 (string) val: String,
        /// Values to compare with: `in` and `nin`.
        5 (string, repeated) vals: Vec<String>,
        /// Nodes that `op` connects.
        6 (message, repeated) nodes: Vec<FilterNode>,
    }
}

/// Levels of a filter that can be encoded. serde_json stops at 128 levels of JSON, of which a node takes two and a connect
/// command five; prost stops at 100 messages.
pub(super) const ENCODED_DEPTH_MAX: u32 = 60;

/// Checks that the filters of one command are within the limits.
///
/// It doesn't recurse: a walk over levels of at most `filter_nodes_max` nodes.
pub(super) fn check<'a>(
    filters: impl Iterator<Item = &'a FilterNode>,
    limits: &CommandLimits,
) -> Result<(), DecodeError> {
    let mut level: Vec<&FilterNode> = filters.collect();
    let mut nodes = level.len() as u64;
    let mut values: u64 = 0;
    let mut depth = 0;
    while !level.is_empty() {
        depth += 1;
        if depth > limits.filter_depth_max {
            return Err(DecodeError::FilterTooDeep);
        }
        let mut below = Vec::new();
        for node in level {
            nodes += node.nodes.len() as u64;
            values += node.vals.len() as u64;
            if nodes > u64::from(limits.filter_nodes_max)
                || values > u64::from(limits.filter_values_max)
            {
                return Err(DecodeError::FilterTooLarge);
            }
            below.extend(&node.nodes);
        }
        level = below;
    }
    Ok(())
}

/// Returns whether a filter has more than [`ENCODED_DEPTH_MAX`] levels.
pub(super) fn is_too_deep<'a>(filters: impl Iterator<Item = &'a FilterNode>) -> bool {
    let mut level: Vec<&FilterNode> = filters.collect();
    for _ in 0..ENCODED_DEPTH_MAX {
        level = level.into_iter().flat_map(|node| &node.nodes).collect();
    }
    !level.is_empty()
}
