//! Tokens and comma separated lists of them (RFC 9110 sections 5.6.1 and 5.6.2).

/// Returns the elements of a list in any number of fields, in order and without the white space around them.
///
/// Empty elements are left out, as RFC 9110 section 5.6.1.2 demands. Quoted strings are not supported, because none of these
/// lists has them.
pub(super) fn elements<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
) -> impl Iterator<Item = &'a [u8]> {
    values
        .into_iter()
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// Returns whether one element of the list is `token`, in upper or lower case.
pub(super) fn contains<'a>(values: impl IntoIterator<Item = &'a [u8]>, token: &str) -> bool {
    let is_token = |element: &[u8]| element.eq_ignore_ascii_case(token.as_bytes());
    // Most lists have one element, so the whole field is compared first.
    let mut values = values.into_iter();
    values.any(|value| is_token(value) || elements([value]).any(is_token))
}

/// Returns `bytes` as text if they are a token: one or more of RFC 9110's `tchar`.
pub(super) fn as_token(bytes: &[u8]) -> Option<&str> {
    let text = core::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && text.bytes().all(is_token_byte)).then_some(text)
}

/// RFC 9110 section 5.6.2, `tchar`.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn list_runs_over_several_fields_and_skips_empty_elements() {
        let fields: [&[u8]; 3] = [b"a, ,b\t", b"", b",c ,"];
        let list: Vec<&[u8]> = elements(fields).collect();
        assert_eq!(list, [b"a", b"b", b"c"]);
    }

    #[test]
    fn token_has_no_separator_and_is_not_empty() {
        assert_eq!(as_token(b"v1.json"), Some("v1.json"));
        for bad in ["", "a b", "a,b", "a;b", "a/b", "\"a\"", "a=b", "é"] {
            assert_eq!(as_token(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
