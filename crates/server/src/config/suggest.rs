//! What a misspelt word was meant to be.

/// Returns the one of `words` that is nearest to `word`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let distances = words.iter().map(|known| (distance(word, known), *known));
    let (steps, known) = distances.min()?;
    (steps <= (word.len() / 3).clamp(1, 3)).then_some(known)
}

/// Returns how many letters must be put in, left out or replaced to make one word the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (index, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters() {
        for (from, to, steps) in [
            ("", "", 0),
            ("", "ab", 2),
            ("listen", "lisen", 1),
            ("presence", "presense", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), steps, "{from} {to}");
            assert_eq!(distance(to, from), steps, "{to} {from}");
        }
    }

    #[test]
    fn only_near_words_are_suggested() {
        let words = ["listen", "history_size", "history_ttl"];
        assert_eq!(nearest("lisen", &words), Some("listen"));
        assert_eq!(nearest("history_sise", &words), Some("history_size"));
        assert_eq!(nearest("presence", &words), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
