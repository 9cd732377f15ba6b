//! The names of clients.

/// Bytes. The longest client name. Fits a UUID, an e-mail address or the subject of a token.
pub const CLIENT_BYTES_MAX: usize = 128;

/// Returns whether `id` can be a name: 1 to `bytes_max` bytes, no control characters.
pub(crate) fn is_name(id: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&id.len()) && !id.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_can_be_shown() {
        for good in ["a", "用户 7", &"x".repeat(128)] {
            assert!(is_name(good, CLIENT_BYTES_MAX), "{good}");
        }
        for bad in ["", "a\nb", "\0", "\u{85}", &"x".repeat(129)] {
            assert!(!is_name(bad, CLIENT_BYTES_MAX), "{bad:?}");
        }
    }
}
