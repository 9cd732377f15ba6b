//! The syntax of a route's path.

/// Checks whether a request can match the path. The router checks the rest when the route is added.
///
/// # Errors
///
/// Why no request can match, and the right form.
pub(super) fn check(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err("does not begin with /".to_owned());
    }
    let mut names = Vec::new();
    for segment in path.split('/') {
        check_segment(segment)?;
        if let Some(name) = parameter(segment) {
            if names.contains(&name) {
                return Err(format!("two parameters are named {name:?}"));
            }
            names.push(name);
        }
    }
    Ok(())
}

fn check_segment(segment: &str) -> Result<(), String> {
    // Other routers write parameters like this. Here these would be letters that no request has.
    if let Some(name) = segment.strip_prefix(':') {
        return Err(format!("a parameter is written {{{name}}}, not :{name}"));
    }
    if let Some(name) = segment.strip_prefix('*') {
        let right = if name.is_empty() { "rest" } else { name };
        return Err(format!(
            "all that is left is written {{*{right}}}, not *{name}"
        ));
    }
    if let Some(name) = segment
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return Err(format!("a parameter is written {{{name}}}, not <{name}>"));
    }
    if parameter(segment).is_some() {
        return Ok(());
    }
    // RFC 3986 section 3.3: the characters of a segment. Braces are left to the router, which knows more about
    // them.
    let is_allowed =
        |letter: char| letter.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%{}".contains(letter);
    match segment.chars().find(|letter| !is_allowed(*letter)) {
        None => Ok(()),
        Some(letter) => {
            let mut bytes = [0; 4];
            let bytes = letter.encode_utf8(&mut bytes).bytes();
            let encoded: String = bytes.map(|byte| format!("%{byte:02X}")).collect();
            Err(format!(
                "no request's path has {letter:?}; it is written {encoded}"
            ))
        }
    }
}

/// Returns the name of a segment that is one whole parameter.
fn parameter(segment: &str) -> Option<&str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    let name = name.strip_prefix('*').unwrap_or(name);
    (!name.is_empty() && !name.contains(['{', '}'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_on_which_no_request_can_come_is_refused_with_the_right_form() {
        for good in [
            "/",
            "/a/{id}",
            "/{a}/{b}/{*rest}",
            "/a:b/c*d",
            "/%E9%B1%BC",
            "//",
            "/{{a}}",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, right) in [
            ("/x/:id", "{id}"),
            ("/x/*", "{*rest}"),
            ("/x/*path", "{*path}"),
            ("/x/<id>", "{id}"),
            ("/{id}/{id}", "two parameters are named \"id\""),
            ("/{id}/{*id}", "two parameters are named \"id\""),
            ("/\u{9c7c}", "%E9%B1%BC"),
            ("/a b", "%20"),
            ("/a?b", "%3F"),
            ("a", "does not begin with /"),
            ("", "does not begin with /"),
        ] {
            let why = check(bad).unwrap_err();
            assert!(why.contains(right), "{bad}: {why}");
        }
    }
}
