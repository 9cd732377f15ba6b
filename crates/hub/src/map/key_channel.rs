//! The names of the channels in which entries are kept over a restart.

use std::sync::Arc;

/// What all of these names begin with. No namespace has such a name, and clients can't name them: NUL is in no channel's name
/// that a client may use without a pattern, and a pattern that allows it is not one by accident.
pub(super) const PREFIX: &str = "\0map:";

/// Returns the name of the channel for an entry. The length tells where the map's name ends.
pub(super) fn name(map: &str, key: &str) -> Arc<str> {
    format!("{PREFIX}{}:{map}{key}", map.len()).into()
}

/// Returns the map's name and the key, if this is the name of such a channel.
pub(super) fn parse(name: &str) -> Option<(&str, &str)> {
    let (length, rest) = name.strip_prefix(PREFIX)?.split_once(':')?;
    rest.split_at_checked(length.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_map_and_which_key() {
        for (map, key) in [("game:1", "ann"), ("a", ":b:"), ("a:", "b"), ("ä", "")] {
            assert_eq!(parse(&name(map, key)), Some((map, key)));
        }
        assert_ne!(name("a", "bc"), name("ab", "c"));
        for other in ["news", "\0map:", "\0map:9:short", "\0map:x:y", "\0map:1:ä"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }
}
