//! The parameters of a query.

use percent_encoding::percent_decode_str;

/// Returns the parameters of a query in their order, decoded as those of forms are (the URL standard).
///
/// # Errors
///
/// A parameter isn't UTF-8; the text names it. Replacing invalid bytes, as `form_urlencoded` does, would make different values
/// equal.
pub(crate) fn parameters(query: &str) -> Result<Vec<(String, String)>, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_bad = || format!("{name}: not UTF-8");
        let name = decoded(name).ok_or_else(is_bad)?;
        Ok((name, decoded(value).ok_or_else(is_bad)?))
    });
    pairs.collect()
}

/// Decodes a name or value: `+` is a space, and a `%` without two digits stays. Returns `None` if it isn't UTF-8.
fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_as_those_of_forms_are() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            pair("a b", "\u{9c7c}=+"),
            pair("a", "50%"),
            pair("", ""),
            pair("b", ""),
        ];
        let found = parameters("a+b=%E9%B1%BC=%2B&a=50%&&=&b");
        assert_eq!(found, Ok(expected.into()));
        assert_eq!(parameters(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_not_utf8_is_refused_and_named() {
        for (query, name) in [("a=1&b=%ff", "b"), ("%c3=1", "%c3"), ("b=%ED%A0%80", "b")] {
            assert_eq!(parameters(query), Err(format!("{name}: not UTF-8")));
        }
    }
}
